/**
 * Processes that end at random moments with work in flight: by exit(), by an error that no code
 * catches, or because nothing is left that keeps them alive. And workers that are terminated.
 *
 * @module
 */
import { assert } from "../harness.ts";
import { start } from "./child.ts";

/** The exit code of each way to end, and the ways that print the error. */
export const ENDINGS: Readonly<Record<string, { code: number; says: string | null }>> = {
  "exit": { code: 7, says: null },
  "throw": { code: 1, says: "on purpose" },
  "rejection": { code: 1, says: "on purpose" },
  "unref": { code: 0, says: null },
  // By exit(), without a network: how long an end takes on this machine.
  "plain": { code: 7, says: null },
};

/** The ways to end with a network. */
export const KINDS: readonly string[] = Object.keys(ENDINGS).filter((kind) => kind !== "plain");

/** How long the quickest end may take: nothing in an end waits that long. */
export const SOON_MS = 100;

/** How long the median may take on a busy machine. */
export const LATE_MS = 500;

/** The work of an end with a network, in ends without one. */
const PLAIN_FACTOR = 3;

/** A process that has not ended by then never will. */
const HANG_MS = 30_000;

/** Ends one process; returns how long that took, from the call to the parent's seeing it. */
export async function endOnce(kind: string, seed: number): Promise<number> {
  const what = `${kind}, seed ${seed}`;
  const program = start("ending", { args: [kind, String(seed)] });
  const begun = Number((await program.line(/<ending (\d+)>/))[1]);
  const hang = setTimeout(() => program.kill(), HANG_MS);
  const { code, signal, output, wallMs } = await program.ended;
  clearTimeout(hang);
  const { code: expected, says } = ENDINGS[kind];
  assert.is(signal, null, `${what}: it hung, or crashed:\n${output}`);
  assert.is(code, expected, `${what}:\n${output}`);
  if (says !== null) assert.match(output, says);
  return wallMs - begun;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/**
 * A busy machine delays some ends, and plain ones as well; an end that waits for something is slow
 * each time.
 */
export function endsAtOnce(tookMs: readonly number[], plainMs: readonly number[]): boolean {
  if (tookMs.length === 0) return false;
  const isSoon = Math.min(...tookMs) < SOON_MS + PLAIN_FACTOR * Math.min(...plainMs);
  return isSoon && median(tookMs) < LATE_MS + PLAIN_FACTOR * median(plainMs);
}

/** Terminates so many workers; returns what the program said of its descriptors. */
export async function terminateWorkers(count: number, seed: number): Promise<string> {
  const { code, signal, output } = await start("terminate", {
    args: [String(count), String(seed)],
  }).ended;
  const what = `${count} workers, seed ${seed}:\n${output}`;
  assert.is(signal, null, what);
  assert.is(code, 0, what);
  const [line, before, after] = /<descriptors (\d+) (\d+)>/.exec(output) ?? [];
  assert.ok(line !== undefined, what);
  assert.ok(Number(after) <= Number(before), `descriptors grew: ${what}`);
  return `descriptors ${before} before, ${after} after`;
}
