#!/usr/bin/env bun
/**
 * The command of the package: `bunx uringnet doctor`.
 *
 * @module
 */
import process from "node:process";
import { doctor } from "../src/doctor.ts";

const [command, ...options] = process.argv.slice(2);
if (command === "doctor") {
  process.exitCode = await doctor(options);
} else {
  process.stderr.write("usage: uringnet doctor [--json] [--selftest]\n");
  process.exitCode = 2;
}
