/**
 * The test runner of this runtime: `deno test` or `bun test`, behind one interface.
 *
 * @module
 */

/** The fate of a test: it runs, it alone runs, or it is reported as skipped. */
export type Mode = "run" | "only" | "skip";

export interface NativeRunner {
  test(name: string, mode: Mode, timeoutMs: number, run: () => Promise<void>): void;
  /** Registers a function that runs when all tests of the file have ended. */
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

const { Deno } = globalThis as unknown as { Deno?: { test: DenoTest } };

export const inDeno = Deno !== undefined;

/** The runner that this file was loaded by. */
export const nativeRunner: NativeRunner = Deno !== undefined
  ? denoRunner(Deno.test)
  : await bunRunner();

function denoRunner(test: DenoTest): NativeRunner {
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

async function bunRunner(): Promise<NativeRunner> {
  const specifier = "bun:test"; // Not a literal where it is imported: Deno would look for it.
  const { test, afterAll } = await import(specifier) as BunTest;
  return {
    test: (name, mode, timeoutMs, run) =>
      (mode === "run" ? test : test[mode])(name, run, timeoutMs),
    afterFile: (run) => afterAll(run),
  };
}
