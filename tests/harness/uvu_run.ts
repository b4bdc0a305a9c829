/**
 * Runs a uvu suite of one test, without uvu's own runner and its report.
 *
 * uvu puts suites on a queue that its runner takes them from. Here the queue is set before uvu is
 * loaded, and each suite is taken off at once.
 *
 * @module
 */
import process from "node:process";

const globals = globalThis as unknown as {
  UVU_DEFER: number;
  UVU_INDEX: number;
  UVU_QUEUE: unknown[][];
};

// Must be set before uvu is evaluated: its own runner stays off, and suites go to this queue.
globals.UVU_DEFER = 1;
globals.UVU_INDEX = 0;
globals.UVU_QUEUE ??= [[null]];
const uvu: typeof import("uvu") = await import("uvu");
silenceUvu();

/** A suite of uvu's, to be given its hooks and its one test. */
export type UvuSuite<T> = ReturnType<typeof uvu.suite<T>>;

/** How a run ended. `error` is what uvu itself threw, which it does when a `before` hook fails. */
export interface Ran {
  passed: boolean;
  error: { thrown: unknown } | null;
}

/** Runs what `fill` puts into a suite of this name. */
export async function runInUvu<T extends Record<string, unknown>>(
  suiteName: string,
  context: T,
  fill: (single: UvuSuite<T>) => void,
): Promise<Ran> {
  // Without a name: uvu would print it. Tests find the name in their context, as uvu promises.
  const single = uvu.suite<T>("", context);
  (context as Record<string, unknown>).__suite__ = suiteName;
  fill(single);
  single.run();
  const run = globals.UVU_QUEUE[0].pop() as () => Promise<[string | true, number, number, number]>;
  try {
    const [errors, passedCount] = await run();
    return { passed: errors === true && passedCount === 1, error: null };
  } catch (thrown) {
    return { passed: false, error: { thrown } };
  }
}

/** Drops exactly what uvu prints for a suite of one test: it would garble the runner's report. */
function silenceUvu(): void {
  // deno-lint-ignore no-control-regex
  const escapes = /\x1b\[[0-9;]*m/g;
  const noise = /^(?:\u2022 |\u2718 | {2}\(\d \/ 1\)\n)$/;
  const write = process.stdout.write.bind(process.stdout) as (...data: unknown[]) => boolean;
  process.stdout.write = ((...data: unknown[]) => {
    const [chunk] = data;
    if (typeof chunk === "string" && noise.test(chunk.replace(escapes, ""))) return true;
    return write(...data);
  }) as typeof process.stdout.write;
}
