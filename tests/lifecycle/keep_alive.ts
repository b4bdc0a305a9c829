/**
 * Calls that keep a process alive, and processes that end by themselves, on any backend.
 *
 * @module
 */
import { pause } from "../contract/fixture.ts";
import { assert, type suite } from "../harness.ts";
import { type Program, start } from "./child.ts";

const KEEPING = ["recv", "accept", "send"];
const LEAVING = [
  "nothing",
  "unref'd recv",
  "unref'd accept",
  "unref'd send",
  "an unref'd server that is full",
  "closed network",
];

/** A program that waits for nothing ends by itself, soon after its last line. */
export async function expectSoonEnd(program: Program, limitMs: number): Promise<void> {
  await program.line(/<left>/);
  const left = performance.now();
  const { code, output, at } = await program.ended;
  assert.is(code, 0, output);
  assert.ok(at - left < limitMs, `it took ${Math.round(at - left)} ms to end:\n${output}`);
}

/** Adds a test of the calls that keep a process alive, and one for each kind that does not. */
export function keepAliveTests(test: ReturnType<typeof suite>): void {
  test("a pending recv, accept or send keeps the process alive", async () => {
    const programs = KEEPING.map((kind) => start("pending", { args: [kind] }));
    await Promise.all(programs.map((program) => program.line(/<left>/)));
    await pause(1_200);
    for (const program of programs) assert.ok(program.running());
    for (const program of programs) program.kill();
    await Promise.all(programs.map((program) => program.ended));
  });
  for (const kind of LEAVING) {
    test(`a process ends within a second when it leaves ${kind}`, async () => {
      await expectSoonEnd(start("pending", { args: [kind] }), 1_000);
    });
  }
}
