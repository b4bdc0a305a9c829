/**
 * uvu suites that run, test by test, under `deno test` and `bun test`.
 *
 * uvu's own runner does not serve inside the runtimes' runners: it starts from a timer, both
 * runners have finished by then, and failures exit with 0. So this file hands each test to the
 * runtime as one native test. Its body is run by a real uvu suite of that one test (uvu_run.ts):
 *
 *   test.run()  ->  native test "suite > name"  ->  uvu.suite()  ->  hooks, body, hooks
 *
 * - `before` runs when the first test of its suite runs, `after` when the last one has ended, or at
 *   the end of the file when a filter left tests out.
 * - The first error of a hook or body is the error of the test, as it was thrown.
 * - A hook or body that takes longer than its limit fails; what comes after it still runs.
 *
 * @module
 */
import { inDeno, type Mode, nativeRunner } from "./native_runner.ts";
import { enterSuite, seedOf } from "./seed.ts";
import { patience, within } from "./time_limit.ts";
import { runInUvu } from "./uvu_run.ts";

/** A test's or a hook's function; gets the context of its suite. */
export type Body<T> = (context: T) => Promise<void> | void;

/** The options of one test. */
export interface TestOptions {
  /** The longest that the body, or one hook around it, may take. */
  timeoutMs?: number;
}

/** Registers a hook that runs once per suite; `each` registers one that runs around every test. */
export interface Hook<T> {
  (hook: Body<T>): void;
  each(hook: Body<T>): void;
}

/** uvu's interface. Nothing runs before `run()`, which is the last line of each test file. */
export interface Suite<T> {
  (name: string, body: Body<T>, options?: TestOptions): void;
  only(name: string, body: Body<T>, options?: TestOptions): void;
  /** The reason is part of the name in every report. */
  skip(name: string, reason: string, body?: Body<T>): void;
  /** Skips for a reason, or runs when the reason is null. */
  skipIf(reason: string | null, name: string, body: Body<T>, options?: TestOptions): void;
  before: Hook<T>;
  after: Hook<T>;
  run(): void;
}

/** The limit of one body or hook, unless the suite or the test says otherwise. */
export const DEFAULT_TIMEOUT_MS = 60_000;

// Room for the hooks before the runner's own limit strikes, which reports less.
const NATIVE_TIMEOUT_FACTOR = 3;

// deno-lint-ignore no-explicit-any
type Context = Record<string, any>;

interface Case<T> {
  name: string;
  body: Body<T>;
  mode: Mode;
  timeoutMs: number;
}

interface Hooks<T> {
  before: Body<T>[];
  beforeEach: Body<T>[];
  afterEach: Body<T>[];
  after: Body<T>[];
}

/** Starts a suite. Its context is handed to every hook and body. */
export function suite<T extends Context = Context>(
  suiteName: string,
  context: T = {} as T,
  options: TestOptions = {},
): Suite<T> {
  const cases: Case<T>[] = [];
  const hooks: Hooks<T> = { before: [], beforeEach: [], afterEach: [], after: [] };
  const defaultMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const hookMs = patience(defaultMs);
  let started = false;

  const add = (mode: Mode, name: string, body: Body<T>, { timeoutMs = defaultMs }: TestOptions) => {
    if (started) throw new Error(`Cannot add "${name}" to "${suiteName}": it already runs`);
    if (typeof body !== "function") throw new TypeError(`Test "${name}" has no body`);
    cases.push({ name, body, mode, timeoutMs: patience(timeoutMs) });
  };
  const skip = (name: string, reason: string) => {
    if (typeof reason !== "string" || reason.trim() === "") {
      throw new TypeError(`Cannot skip "${name}" without a reason`);
    }
    add("skip", `${name} (skipped: ${reason})`, () => {}, {});
  };
  const hook = (once: Body<T>[], each: Body<T>[]): Hook<T> =>
    Object.assign((body: Body<T>) => void once.push(body), {
      each: (body: Body<T>) => void each.push(body),
    });

  return Object.assign(
    (name: string, body: Body<T>, options: TestOptions = {}) => add("run", name, body, options),
    {
      only: (name: string, body: Body<T>, options: TestOptions = {}) =>
        add("only", name, body, options),
      skip,
      skipIf: (reason: string | null, name: string, body: Body<T>, options: TestOptions = {}) =>
        reason === null ? add("run", name, body, options) : skip(name, reason),
      before: hook(hooks.before, hooks.beforeEach),
      after: hook(hooks.after, hooks.afterEach),
      run: () => {
        if (started) throw new Error(`Suite "${suiteName}" already runs`);
        started = true;
        const state = { open: false, beforeFailed: null };
        registerAll(cases, { suiteName, hooks, context, hookMs, ...state });
      },
    },
  );
}

/** Where a suite stands between its first and its last test. */
interface Progress<T> {
  suiteName: string;
  hooks: Hooks<T>;
  context: T;
  hookMs: number;
  /** `before` has run and `after` has not. */
  open: boolean;
  /** Why `before` failed: then every test of the suite fails. */
  beforeFailed: { error: unknown } | null;
}

/** Hands every test of a suite to the runtime, and decides when its `before` and `after` run. */
function registerAll<T extends Context>(cases: Case<T>[], progress: Progress<T>): void {
  const { suiteName, hooks, context, hookMs } = progress;
  const anyOnly = cases.some((test) => test.mode === "only");
  const runnable = cases.filter((test) => test.mode === (anyOnly ? "only" : "run"));
  const ended = new Set<Case<T>>();

  for (const test of cases) {
    const nativeMs = (test.timeoutMs + hookMs) * NATIVE_TIMEOUT_FACTOR;
    nativeRunner.test(`${suiteName} > ${test.name}`, test.mode, nativeMs, async () => {
      const first = !progress.open;
      progress.open = true;
      ended.add(test);
      const last = ended.size === runnable.length;
      if (last) ended.clear();
      try {
        await runTest(test, progress, first, last);
      } finally {
        if (last) progress.open = false;
      }
    });
  }
  nativeRunner.afterFile(async () => {
    if (!progress.open) return;
    progress.open = false;
    for (const body of hooks.after) {
      await within(hookMs, `after of "${suiteName}"`, () => body(context));
    }
  });
}

/** Runs one test in a uvu suite of its own, and throws its first error. */
async function runTest<T extends Context>(
  test: Case<T>,
  progress: Progress<T>,
  first: boolean,
  last: boolean,
): Promise<void> {
  const { suiteName, hooks, context, hookMs } = progress;
  const errors: unknown[] = [];
  // uvu turns errors into text, loses those of `before`, and calls `after.each` again when it
  // threw. So each function runs at most once here, and keeps its error.
  const once = (body: Body<T>, what: string, timeoutMs = hookMs): Body<T> => {
    let ran = false;
    return async (context) => {
      if (ran) return;
      ran = true;
      try {
        await within(timeoutMs, `${what} of "${test.name}"`, () => body(context));
      } catch (error) {
        errors.push(error);
        if (what === "before") progress.beforeFailed = { error };
        throw error;
      }
    };
  };

  enterSuite(suiteName);
  const ran = await runInUvu(suiteName, context, (single) => {
    if (first) {
      progress.beforeFailed = null;
      for (const body of hooks.before) single.before(once(body, "before"));
    } else if (progress.beforeFailed) {
      const { error } = progress.beforeFailed;
      single.before(once(() => Promise.reject(error), "before"));
    }
    for (const body of hooks.beforeEach) single.before.each(once(body, "before.each"));
    single(test.name, once(test.body, "body", test.timeoutMs));
    for (const body of hooks.afterEach) single.after.each(once(body, "after.each"));
    if (last) hooks.after.forEach((body) => single.after(once(body, "after")));
  });
  enterSuite(null);
  if (errors.length > 0) throw describeFailure(errors[0], suiteName);
  if (ran.error !== null) throw ran.error.thrown;
  if (!ran.passed) throw new Error(`uvu did not run "${test.name}"`);
}

/** Adds what the runner would not show: uvu's diff in Deno, and the seed in use. */
function describeFailure(thrown: unknown, suiteName: string): unknown {
  const additions: string[] = [];
  const details = (thrown as { details?: unknown } | null)?.details;
  if (inDeno && typeof details === "string" && details !== "") additions.push(details);
  const seed = seedOf(suiteName);
  if (seed !== null) {
    additions.push(`(random: ${seed} repeats this run)`);
    console.error(seed);
  }
  if (!(thrown instanceof Error)) return new Error(`Thrown: ${String(thrown)}`, { cause: thrown });
  if (additions.length === 0) return thrown;
  try {
    thrown.message = [thrown.message, ...additions].join("\n");
  } catch {
    // The message of a DOMException is read-only.
    return new Error([thrown.message, ...additions].join("\n"), { cause: thrown });
  }
  return thrown;
}
