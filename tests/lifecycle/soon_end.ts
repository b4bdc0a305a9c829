/**
 * Processes that end by themselves, on any backend.
 *
 * @module
 */
import { assert, type suite } from "../harness.ts";
import { type Program, start } from "./child.ts";

const KINDS = [
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

/** Adds a test for each kind of waiting that lets the process end. */
export function soonEndTests(test: ReturnType<typeof suite>): void {
  for (const kind of KINDS) {
    test(`a process ends within a second when it leaves ${kind}`, async () => {
      await expectSoonEnd(start("pending", { args: [kind] }), 1_000);
    });
  }
}
