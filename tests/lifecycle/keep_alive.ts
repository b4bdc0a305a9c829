/**
 * Calls that keep a process alive, and processes that end by themselves, on any backend.
 *
 * @module
 */
import { pause } from "../contract/fixture.ts";
import { assert, type suite } from "../harness.ts";
import { type Ending, start } from "./child.ts";

const KEEPING = ["recv", "accept", "send"];
const LEAVING = [
  "nothing",
  "unref'd recv",
  "unref'd accept",
  "unref'd send",
  "an unref'd server that is full",
  "closed network",
];

/** A busy machine delays some ends; an end that waits for something is late each time. */
const ATTEMPTS_MAX = 5;

/** Runs "pending" until one run ends within the limit after its last line, as `right` wants it. */
export async function expectSoonEnd(
  kind: string,
  limitMs: number,
  right: (ending: Ending) => void = ({ code, output }) => assert.is(code, 0, output),
): Promise<void> {
  for (let attempt = 1;; attempt++) {
    const program = start("pending", { args: [kind] });
    await program.line(/<left>/);
    const left = performance.now();
    const ending = await program.ended;
    right(ending);
    const tookMs = Math.round(ending.at - left);
    if (tookMs < limitMs) return;
    assert.ok(attempt < ATTEMPTS_MAX, `it took ${tookMs} ms to end:\n${ending.output}`);
  }
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
      await expectSoonEnd(kind, 1_000);
    });
  }
}
