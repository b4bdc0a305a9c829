/**
 * `uringnet/net` on the portable backend: its suites run again in a process of their own, where
 * `URINGNET_BACKEND` names that backend. Scenarios that differ there name the reason.
 *
 * @module
 */
import process from "node:process";
import { assert, suite } from "../harness.ts";
import { ROOT } from "../package/program.ts";
import { run, tool } from "../package/tools.ts";

const test = suite("adapters/net, portable", {}, { timeoutMs: 180_000 });
const inDeno = "Deno" in globalThis;

/** The tests of a file that pass at least: fewer mean that something has skipped them. */
const SUITES: Readonly<Record<string, number>> = {
  "net_test.ts": 25,
  "net_module_test.ts": 14,
  "duplex_test.ts": 12,
};

for (const [file, passedMin] of Object.entries(SUITES)) {
  test(`${file} passes on the portable backend`, async () => {
    const path = `./tests/adapters/${file}`;
    const flags = ["test", "--no-check", "--allow-all", "--quiet", path];
    const command = inDeno ? [tool("deno"), ...flags] : [tool("bun"), "test", path];
    const { TMPDIR = "/tmp" } = process.env;
    const env = { URINGNET_BACKEND: "portable", TMPDIR };
    const { code, output, errors } = await run(command, { cwd: ROOT, env });
    const said = `${output}\n${errors}`;
    assert.is(code, 0, said);
    const found = /(\d+) pass/.exec(said);
    assert.ok(Number(found?.[1]) >= passedMin, said);
  });
}

test.run();
