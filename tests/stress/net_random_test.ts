/**
 * Random programs over `uringnet/net`, on both backends, each backend in a process of its own that
 * has to end by itself: see `programs/net_programs.ts`.
 *
 * @module
 */
import process from "node:process";
import { assert, randomSeed, suite } from "../harness.ts";
import { ROOT } from "../package/program.ts";
import { run, tool } from "../package/tools.ts";
import { randomMs } from "../support/random_time.ts";

const PLAY_MS = randomMs(1_500);
const COUNT_MAX = 1_000_000;
const PROGRAM = "./tests/stress/programs/net_programs.ts";

const test = suite("random sockets", {}, { timeoutMs: 60_000 + PLAY_MS });
const inDeno = "Deno" in globalThis;

for (const backend of ["io_uring", "portable"]) {
  test(`sockets of node:net keep its promises in every order of calls (${backend})`, async () => {
    const command = inDeno
      ? [tool("deno"), "run", "--no-check", "--allow-all", "--quiet", PROGRAM]
      : [tool("bun"), PROGRAM];
    const args = [randomSeed(), COUNT_MAX, PLAY_MS].map(String);
    const { TMPDIR = "/tmp" } = process.env;
    const env = { URINGNET_BACKEND: backend, TMPDIR };
    const { code, output, errors } = await run([...command, ...args], { cwd: ROOT, env });
    assert.is(code, 0, errors);
    assert.ok(/^played [1-9]/m.test(output), output);
  });
}

test.run();
