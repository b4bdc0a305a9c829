/**
 * uvu suites that run, test by test, under `deno test` and `bun test`.
 *
 * uvu's own runner must not be used inside the runtimes' runners: it starts from a timer, both
 * runners have finished by then, and failures exit with 0. So this file hands each test to the
 * runtime as one native test. Its body is run by a real uvu suite of that one test, taken from
 * uvu's queue:
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
import process from "node:process";
import * as uvuAssert from "uvu/assert";

/** A test's or a hook's function; gets the context of its suite. */
export type Body<T> = (context: T) => Promise<void> | void;

/** What one test may change. */
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
export const DEFAULT_TIMEOUT_MS = 30_000;

const SLOWNESS_VARIABLE = "URINGNET_TEST_SLOWNESS";
const SLOWNESS_MAX = 1_000;
const slowness = readSlowness();

// Room for the hooks before the runner's own limit strikes, which reports less.
const NATIVE_TIMEOUT_FACTOR = 3;

// deno-lint-ignore no-explicit-any
type Context = Record<string, any>;
type Mode = "run" | "only" | "skip";

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

interface Native {
  test(name: string, mode: Mode, timeoutMs: number, run: () => Promise<void>): void;
  afterFile(run: () => Promise<void>): void;
}

interface BunTest {
  test: Record<"only" | "skip", BunRegister> & BunRegister;
  afterAll(run: () => Promise<void>): void;
}
type BunRegister = (name: string, run: () => Promise<void>, timeoutMs?: number) => void;

interface DenoTest {
  (definition: Record<string, unknown>): void;
  afterAll(run: () => Promise<void>): void;
}

const globals = globalThis as unknown as {
  Deno?: { test: DenoTest };
  Bun?: unknown;
  UVU_DEFER: number;
  UVU_INDEX: number;
  UVU_QUEUE: unknown[][];
};

// Must be set before uvu is evaluated: its own runner stays off, and suites go to this queue.
globals.UVU_DEFER = 1;
globals.UVU_INDEX = 0;
globals.UVU_QUEUE ??= [[null]];
const uvu: typeof import("uvu") = await import("uvu");
const inDeno = globals.Deno !== undefined;
const native = inDeno ? denoNative(globals.Deno!.test) : await bunNative();
silenceUvu();

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

/**
 * A limit for something that should take far less, on a machine that may be slower than most: an
 * emulated one is told to wait longer by URINGNET_TEST_SLOWNESS. Limits of tests are stretched by
 * themselves. Not for times that are part of a claim.
 */
export function patience(limitMs: number): number {
  return limitMs * slowness;
}

/** How many times slower than usual this machine may be. */
function readSlowness(): number {
  const given = process.env[SLOWNESS_VARIABLE];
  if (given === undefined || given === "") return 1;
  const factor = Number(given);
  if (!(factor >= 1 && factor <= SLOWNESS_MAX)) {
    throw new RangeError(`${SLOWNESS_VARIABLE} must be 1 to ${SLOWNESS_MAX}, got "${given}"`);
  }
  return factor;
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
    native.test(`${suiteName} > ${test.name}`, test.mode, nativeMs, async () => {
      const first = !progress.open;
      progress.open = true;
      ended.add(test);
      const last = ended.size === runnable.length;
      if (last) ended.clear();
      try {
        await runInUvu(test, progress, first, last);
      } finally {
        if (last) progress.open = false;
      }
    });
  }
  native.afterFile(async () => {
    if (!progress.open) return;
    progress.open = false;
    for (const body of hooks.after) await within(hookMs, `after of "${suiteName}"`, body, context);
  });
}

/** Runs one test in a uvu suite of its own, and throws its first error. */
async function runInUvu<T extends Context>(
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
        await within(timeoutMs, `${what} of "${test.name}"`, body, context);
      } catch (error) {
        errors.push(error);
        if (what === "before") progress.beforeFailed = { error };
        throw error;
      }
    };
  };

  const single = uvu.suite<T>("", context);
  (context as Context).__suite__ = suiteName;
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
  single.run();

  runningSuite = suiteName;
  const run = globals.UVU_QUEUE[0].pop() as () => Promise<[string | true, number, number, number]>;
  const outcome = await run().catch((error: unknown) => {
    if (errors.length === 0) throw error;
    return null;
  });
  runningSuite = null;
  if (errors.length > 0) throw describeFailure(errors[0], suiteName);
  if (outcome === null || outcome[0] !== true || outcome[1] !== 1) {
    throw new Error(`uvu did not run "${test.name}"`);
  }
}

/** Waits for a body for a limited time. A body that hangs is left behind: it cannot be stopped. */
async function within<T>(
  timeoutMs: number,
  what: string,
  body: Body<T>,
  context: T,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Timed out after ${timeoutMs} ms: ${what}`)),
      timeoutMs,
    );
  });
  try {
    await Promise.race([body(context), limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Adds what the runner would not show: uvu's diff in Deno, and the seed in use. */
function describeFailure(thrown: unknown, suiteName: string): unknown {
  const additions: string[] = [];
  const details = (thrown as { details?: unknown } | null)?.details;
  if (inDeno && typeof details === "string" && details !== "") additions.push(details);
  if (seedUsers.has(suiteName) || seedUsers.has(null)) {
    additions.push(`(random: ${SEED_VARIABLE}=${seedInUse} repeats this run)`);
    console.error(`${SEED_VARIABLE}=${seedInUse}`);
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

function denoNative(test: DenoTest): Native {
  return {
    test: (name, mode, timeout, fn) =>
      test({
        name,
        fn,
        timeout,
        only: mode === "only",
        ignore: mode === "skip",
        sanitizeOps: false,
        sanitizeResources: false,
      }),
    afterFile: (run) => test.afterAll(run),
  };
}

async function bunNative(): Promise<Native> {
  const specifier = "bun:test"; // Not a literal where it is imported: Deno would look for it.
  const { test, afterAll } = await import(specifier) as BunTest;
  return {
    test: (name, mode, timeoutMs, run) =>
      (mode === "run" ? test : test[mode])(name, run, timeoutMs),
    afterFile: (run) => afterAll(run),
  };
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

/** What a rejection must look like: its class, its text, its fields, or a predicate. */
export type RejectionCheck =
  | RegExp
  // deno-lint-ignore no-explicit-any
  | (abstract new (...data: any[]) => Error)
  | ((error: RejectedError) => boolean)
  | Readonly<Record<string, unknown>>;

/** The error of a rejection, with whatever fields it has. */
export interface RejectedError extends Error {
  [field: string]: unknown;
}

/** Waits for a rejection, checks it, and returns the error. Await it. */
export async function rejects(
  actual: Promise<unknown> | (() => unknown),
  check?: RejectionCheck,
): Promise<RejectedError> {
  let error: RejectedError;
  try {
    await (typeof actual === "function" ? actual() : actual);
  } catch (thrown) {
    // As in uvu's throws(): a failed assertion is not what the test waits for, unless it says so.
    if (thrown instanceof uvuAssert.Assertion && check !== uvuAssert.Assertion) throw thrown;
    error = thrown as RejectedError;
    checkRejection(error, check);
    return error;
  }
  throw new uvuAssert.Assertion({
    message: "Expected a rejection, but the promise was fulfilled",
    operator: "rejects",
    expects: check ?? "a rejection",
    actual: "fulfilled",
  });
}

function checkRejection(error: RejectedError, check: RejectionCheck | undefined): void {
  const shown = `${error?.name ?? typeof error} ${error?.code ?? ""}: ${error?.message ?? error}`;
  if (check === undefined) return;
  if (check instanceof RegExp) {
    uvuAssert.ok(check.test(String(error?.message)), `Expected ${check}, got ${shown}`);
  } else if (typeof check === "function" && isErrorClass(check)) {
    uvuAssert.ok(error instanceof check, `Expected an instance of ${check.name}, got ${shown}`);
  } else if (typeof check === "function") {
    const matches = (check as (error: RejectedError) => boolean)(error);
    uvuAssert.ok(matches, `The predicate refused ${shown}`);
  } else {
    for (const [field, expected] of Object.entries(check)) {
      uvuAssert.equal(error?.[field], expected, `Unexpected "${field}" in ${shown}`);
    }
  }
}

function isErrorClass(check: unknown): check is ErrorConstructor {
  return check === Error || (check as { prototype?: unknown }).prototype instanceof Error;
}

/** Compares bytes. Says where they first differ instead of printing them all. */
export function bytesEqual(actual: Uint8Array, expected: Uint8Array, message = "bytes"): void {
  const fail = (text: string): never => {
    throw new uvuAssert.Assertion({
      message: `${message}: ${text}`,
      operator: "bytesEqual",
      expects: `${expected.length} bytes`,
      actual: `${actual.length} bytes`,
    });
  };
  const shorter = Math.min(actual.length, expected.length);
  let index = 0;
  while (index < shorter && actual[index] === expected[index]) index++;
  if (index === actual.length && index === expected.length) return;
  if (actual.length !== expected.length) {
    const where = index < shorter ? `differing from index ${index}` : `equal up to index ${index}`;
    fail(`expected ${expected.length} bytes, got ${actual.length}, ${where}`);
  }
  fail(`expected 0x${hex(expected[index])} at index ${index}, got 0x${hex(actual[index])}`);
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** uvu's assertions, and two of our own. */
export const assert:
  & typeof import("uvu/assert")
  & { rejects: typeof rejects; bytesEqual: typeof bytesEqual } = {
    ...uvuAssert,
    rejects,
    bytesEqual,
  };

/** A promise that is settled from outside. */
export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(reason?: unknown): void;
}

/** Makes a promise to settle later. */
export function deferred<T = void>(): Deferred<T> {
  return Promise.withResolvers<T>();
}

const SEED_VARIABLE = "URINGNET_SEED";
let seedInUse: number | null = null;
// The suites that asked for the seed; null is outside of tests. All files of one Bun run share it.
const seedUsers = new Set<string | null>();
let runningSuite: string | null = null;

/** The seed of this run, a u32: from URINGNET_SEED, or a new one. Printed when first asked for. */
export function randomSeed(): number {
  seedUsers.add(runningSuite);
  if (seedInUse !== null) return seedInUse;
  const given = process.env[SEED_VARIABLE];
  const seed = given === undefined || given === ""
    ? crypto.getRandomValues(new Uint32Array(1))[0]
    : Number(given);
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff) {
    throw new RangeError(
      `${SEED_VARIABLE} must be an integer from 0 to 4294967295, got "${given}"`,
    );
  }
  seedInUse = seed;
  console.log(`${SEED_VARIABLE}=${seed}`);
  return seed;
}

/** Repeatable random numbers (sfc32): the same seed gives the same sequence everywhere. */
export class Random {
  readonly seed: number;
  #a = 0x9e3779b9;
  #b = 0x243f6a88;
  #c: number;
  #counter = 1;

  constructor(seed: number = randomSeed()) {
    this.seed = seed >>> 0;
    this.#c = this.seed;
    for (let round = 0; round < 15; round++) this.next();
  }

  /** A u32. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** From 0, below 1. */
  float(): number {
    return this.next() / 0x1_0000_0000;
  }

  /** An integer from `min` to `max`, both possible. */
  int(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1));
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("Cannot pick from nothing");
    return items[this.int(0, items.length - 1)];
  }

  /** The same items in another order, in a new array. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let index = shuffled.length - 1; index > 0; index--) {
      const other = this.int(0, index);
      [shuffled[index], shuffled[other]] = [shuffled[other], shuffled[index]];
    }
    return shuffled;
  }

  /** That many random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.next() >>> 24;
    return bytes;
  }

  /** A generator of its own, so that one consumer's draws do not shift another's. */
  fork(): Random {
    return new Random(this.next());
  }
}
