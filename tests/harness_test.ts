/**
 * The harness is trusted by every other test, so it is tested from outside: a runner is started on
 * files that must fail, and must be seen to fail.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { assert, bytesEqual, deferred, Random, randomSeed, rejects, suite } from "./harness.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const inDeno = "Deno" in globalThis;

interface Outcome {
  code: number | null;
  output: string;
  passed: number;
  failed: number;
  skipped: number;
}

interface Context {
  folder: string;
}

const test = suite<Context>("harness", { folder: "" });

test.before((context) => {
  context.folder = mkdtempSync(join(tmpdir(), "uringnet-harness-"));
});

test.after((context) => {
  rmSync(context.folder, { recursive: true, force: true });
});

/** Runs one test file in this runtime's runner. */
async function runFile(
  { folder }: Context,
  body: string,
  environment: Record<string, string> = {},
): Promise<Outcome> {
  const file = join(folder, "case_test.ts");
  const harness = new URL("./harness.ts", import.meta.url).href;
  const names = "assert, bytesEqual, patience, Random, randomSeed, rejects, suite";
  writeFileSync(file, `import { ${names} } from ${JSON.stringify(harness)};\n${body}\n`);
  const flags = inDeno
    ? ["test", "--no-check", "--no-lock", "--allow-env", "--config", join(root, "deno.json"), file]
    : ["test", file];
  const given = { URINGNET_SEED: "", URINGNET_TEST_SLOWNESS: "" };
  const env = { ...process.env, NO_COLOR: "1", CI: "", ...given, ...environment };
  const child = spawn(process.execPath, flags, { cwd: folder, env });
  let output = "";
  child.stdout.on("data", (chunk) => output += String(chunk));
  child.stderr.on("data", (chunk) => output += String(chunk));
  const closed = deferred<number | null>();
  child.on("error", closed.reject);
  child.on("close", closed.resolve);
  const code = await closed.promise;
  // "ok | 1 passed | 2 failed | 3 ignored" in Deno; lines of " 1 pass", " 2 fail" in Bun.
  const count = (deno: string, bun: string) => {
    const pattern = inDeno ? `(\\d+) ${deno}` : `^ *(\\d+) ${bun}$`;
    return Number(new RegExp(pattern, "m").exec(output)?.[1] ?? 0);
  };
  return {
    code,
    output,
    passed: count("passed", "pass"),
    failed: count("failed", "fail"),
    skipped: count("ignored", "skip"),
  };
}

function counts({ passed, failed, skipped }: Outcome): [number, number, number] {
  return [passed, failed, skipped];
}

/** The lines of the file's output that start with ">". */
function marks(outcome: Outcome): string {
  return (outcome.output.match(/^>.*$/gm) ?? []).map((line) => line.slice(1).trim()).join(" ");
}

test("a passing file exits with 0", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s"); test("a", () => {}); test("b", async () => {}); test.run();`,
  );
  assert.equal(counts(outcome), [2, 0, 0], outcome.output);
  assert.is(outcome.code, 0);
  assert.match(outcome.output, "s > a");
});

test("a failing assertion fails one test and the runner, with uvu's diff", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s");
     test("good", () => {});
     test("bad", () => assert.is("one", "two"));
     test("rejected", () => Promise.reject(new Error("late")));
     test("thrown text", () => { throw "text"; });
     test.run();`,
  );
  assert.equal(counts(outcome), [1, 3, 0], outcome.output);
  assert.ok(outcome.code !== 0 && outcome.code !== null);
  assert.match(outcome.output, "Expected values to be strictly equal");
  assert.match(outcome.output, /Expected[\s\S]*two/);
  assert.match(outcome.output, "late");
  assert.match(outcome.output, "Thrown: text");
  assert.not.match(outcome.output, "\u2022 ");
});

test("hooks run in uvu's order, once per suite or around each test", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s", { log: [] });
     const say = (text) => () => console.log("\\n> " + text);
     test.before(say("before")); test.after(say("after"));
     test.before.each(say("[")); test.after.each(say("]"));
     test("a", say("a"));
     test.skip("b", "not today", say("b"));
     test("c", () => { say("c")(); throw new Error("c fails"); });
     test("d", say("d"));
     test.run();`,
  );
  assert.is(marks(outcome), "before [ a ] [ c ] [ d ] after", outcome.output);
  assert.equal(counts(outcome), [2, 1, 1], outcome.output);
});

test("the context is shared by hooks and tests", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s", { n: 1 });
     test.before((c) => { c.n = 2; });
     test("a", (c) => { assert.is(c.n, 2); assert.is(c.__suite__, "s"); c.n = 3; });
     test("b", (c) => { assert.is(c.n, 3); assert.is(c.__test__, "b"); });
     test.run();`,
  );
  assert.equal(counts(outcome), [2, 0, 0], outcome.output);
});

test("a failing before fails every test, and after still runs", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s");
     test.before(() => { throw new Error("no ground"); });
     test.after(() => console.log("\\n> after"));
     test("a", () => console.log("\\n> a"));
     test("b", () => console.log("\\n> b"));
     test.run();`,
  );
  assert.equal(counts(outcome), [0, 2, 0], outcome.output);
  assert.is(marks(outcome), "after", outcome.output);
  assert.match(outcome.output, "no ground");
  assert.ok(outcome.code !== 0);
});

for (const hook of ["before.each", "after.each", "after"]) {
  test(`a failing ${hook} fails a test`, async (context) => {
    const outcome = await runFile(
      context,
      `const test = suite("s");
       let calls = 0;
       test.${hook}(() => { console.log("\\n> " + ++calls); throw new Error("hook failed"); });
       test("a", () => {});
       test.run();`,
    );
    assert.equal(counts(outcome), [0, 1, 0], outcome.output);
    assert.is(marks(outcome), "1");
    assert.match(outcome.output, "hook failed");
    assert.ok(outcome.code !== 0);
  });
}

test("a hanging test times out, and the next one still runs", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s", {}, { timeoutMs: 5_000 });
     test.after.each(() => console.log("\\n> cleaned"));
     test("hangs", () => new Promise((resolve) => setTimeout(resolve, 4_000)), { timeoutMs: 50 });
     test("next", () => {});
     test.run();`,
  );
  assert.equal(counts(outcome), [1, 1, 0], outcome.output);
  assert.match(outcome.output, 'Timed out after 50 ms: body of "hangs"');
  assert.is(marks(outcome), "cleaned cleaned");
  assert.ok(outcome.code !== 0);
});

test("a slow machine waits longer, by the factor of the environment", async (context) => {
  const body = `const test = suite("s", {}, { timeoutMs: 40 });
     test("hangs", () => new Promise((resolve) => setTimeout(resolve, 4_000)));
     test("by its own limit", async () => {
       console.log("\\n> " + patience(7));
       await new Promise((resolve) => setTimeout(resolve, 4_000));
     }, { timeoutMs: 20 });
     test.run();`;
  const slow = await runFile(context, body, { URINGNET_TEST_SLOWNESS: "2.5" });
  assert.match(slow.output, 'Timed out after 100 ms: body of "hangs"');
  assert.match(slow.output, 'Timed out after 50 ms: body of "by its own limit"');
  assert.is(marks(slow), "17.5", slow.output);
  for (const wrong of ["0.5", "fast", "1e9"]) {
    const refused = await runFile(context, body, { URINGNET_TEST_SLOWNESS: wrong });
    assert.match(refused.output, `URINGNET_TEST_SLOWNESS must be 1 to 1000, got "${wrong}"`);
    assert.ok(refused.code !== 0);
  }
});

test("the limit of a test may exceed the runner's own", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s");
     test("slow", () => new Promise((resolve) => setTimeout(resolve, 5_500)));
     test.run();`,
  );
  assert.equal(counts(outcome), [1, 0, 0], outcome.output);
}, { timeoutMs: 60_000 });

test("a skipped test is counted and says why", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s");
     test.skip("a", "needs a newer kernel");
     test.skipIf("no network", "b", () => { throw new Error("ran"); });
     test.skipIf(null, "c", () => {});
     test.run();`,
  );
  assert.equal(counts(outcome), [1, 0, 2], outcome.output);
  assert.match(outcome.output, "s > a (skipped: needs a newer kernel)");
  assert.match(outcome.output, "s > b (skipped: no network)");
});

test("a skip without a reason is refused", () => {
  const inner = suite("inner");
  assert.throws(() => (inner.skip as (name: string) => void)("a"), /without a reason/);
  assert.throws(() => inner.skip("a", " "), /without a reason/);
});

test("only leaves the other tests out", async (context) => {
  const outcome = await runFile(
    context,
    `const test = suite("s");
     test.before(() => console.log("\\n> before")); test.after(() => console.log("\\n> after"));
     test("a", () => console.log("\\n> a"));
     test.only("b", () => console.log("\\n> b"));
     test.run();`,
  );
  assert.is(marks(outcome), "before b after", outcome.output);
});

test("an error outside of every test fails the runner", async (context) => {
  const outcome = await runFile(context, `throw new Error("broken file");`);
  assert.ok(outcome.code !== 0 && outcome.code !== null, outcome.output);
});

test("a failure repeats the seed, which can be given", async (context) => {
  const body = `const test = suite("s");
     test("a", () => { console.log("\\n> " + new Random(randomSeed()).next()); assert.ok(false); });
     test.run();`;
  const outcome = await runFile(context, body, { URINGNET_SEED: "7" });
  assert.match(outcome.output, /URINGNET_SEED=7 repeats this run/);
  assert.is(marks(outcome), String(new Random(7).next()));
  const free = await runFile(context, body);
  const seed = /URINGNET_SEED=(\d+) repeats/.exec(free.output)?.[1];
  assert.is(marks(free), String(new Random(Number(seed)).next()), free.output);
});

test("rejects() checks class, text, fields and predicate, and returns the error", async () => {
  const failing = () => Promise.reject(Object.assign(new TypeError("no way"), { code: "Closed" }));
  const error = await rejects(failing(), TypeError);
  assert.is(error.code, "Closed");
  await rejects(failing, /way/);
  await rejects(failing, { code: "Closed", message: "no way" });
  await rejects(failing, (error) => error.code === "Closed");
  await rejects(() => {
    throw new Error("synchronous");
  }, /synchronous/);
  for (const wrong of [RangeError, /road/, { code: "Timeout" }, () => false]) {
    await rejects(() => rejects(failing, wrong), assert.Assertion);
  }
  const refused = await rejects(() => rejects(Promise.resolve(1)), assert.Assertion);
  assert.match(refused.message, "fulfilled");
});

test("bytesEqual() names the first difference", () => {
  const bytes = (...values: number[]) => new Uint8Array(values);
  // uvu's throws() lets failed assertions through.
  const failure = (actual: Uint8Array, expected: Uint8Array): string => {
    try {
      bytesEqual(actual, expected);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assert.is(failure(bytes(1, 2, 3), bytes(1, 2, 3)), "");
  assert.is(failure(bytes(), bytes()), "");
  assert.match(failure(bytes(1, 2), bytes(1, 9)), "expected 0x09 at index 1, got 0x02");
  assert.match(failure(bytes(1), bytes(1, 2)), "expected 2 bytes, got 1, equal up to index 1");
  assert.match(failure(bytes(7, 2), bytes(1)), "expected 1 bytes, got 2, differing from index 0");
});

test("Random gives the same sequence for the same seed, within its bounds", () => {
  const one = new Random(42);
  const two = new Random(42);
  for (let round = 0; round < 1000; round++) assert.is(one.next(), two.next());
  const seen = new Set<number>();
  for (let round = 0; round < 1000; round++) seen.add(one.int(3, 7));
  assert.equal([...seen].sort(), [3, 4, 5, 6, 7]);
  assert.equal(one.shuffle([1, 2, 3, 4]).sort(), [1, 2, 3, 4]);
  assert.is(one.bytes(1000).length, 1000);
  assert.ok(new Set(one.bytes(1000)).size > 200);
  assert.is.not(new Random(1).next(), new Random(2).next());
  assert.is.not(one.fork().next(), one.fork().next());
  assert.throws(() => one.pick([]), /nothing/);
  assert.is(randomSeed(), randomSeed());
});

test.run();
