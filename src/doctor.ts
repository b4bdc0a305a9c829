/**
 * Says which backend a network would use here, why, and what to change.
 *
 *   deno run --allow-ffi --allow-env --allow-read --allow-net .../src/doctor.ts [OPTION...]
 *   bunx uringnet doctor [--json] [--selftest]
 *
 * Exit codes: 0 when io_uring works, 1 when only the portable backend works, 2 when neither works,
 * when `URINGNET_BACKEND` names none that works, or when the self-test failed. The doctor works
 * without any permission, and lists the missing ones.
 *
 * @module
 */
import process from "node:process";
import { examine } from "./doctor/examination.ts";
import { advice, report } from "./doctor/report.ts";
import { selfTest } from "./doctor/self_test.ts";

const USAGE = "usage: doctor [--json] [--selftest]";
const OPTIONS = ["--json", "--selftest"];

/** Prints the report and resolves with the exit code. */
export async function doctor(options: readonly string[]): Promise<number> {
  const unknown = options.find((option) => !OPTIONS.includes(option));
  if (unknown !== undefined) {
    process.stderr.write(`doctor: unknown option ${unknown}\n${USAGE}\n`);
    return 2;
  }
  const found = await examine();
  const test = options.includes("--selftest") && found.exitCode < 2 ? await selfTest() : null;
  const exitCode = test !== null && test.failure !== null ? 2 : found.exitCode;
  const text = options.includes("--json")
    ? JSON.stringify({ ...found, exitCode, selfTest: test, advice: advice(found) }, null, 2)
    : report(found, test);
  process.stdout.write(`${text}\n`);
  return exitCode;
}

if (import.meta.main) process.exitCode = await doctor(process.argv.slice(2));
