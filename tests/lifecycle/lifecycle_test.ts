/**
 * How a process with a network lives and ends: each test runs a program in this runtime.
 *
 * @module
 */
import { assert, Random, suite } from "../harness.ts";
import { endChildren, start } from "./child.ts";
import { ENDINGS, endOnce, endsAtOnce, median, terminateWorkers } from "./endings.ts";
import { expectSoonEnd, keepAliveTests } from "./keep_alive.ts";

const test = suite("lifecycle", {}, { timeoutMs: 40_000 });

test.after(() => endChildren());

keepAliveTests(test);

test("a recv keeps the process alive only as long as it waits", async () => {
  const kinds = ["recv with a budget", "recv, then unref", "aborted recv"];
  await Promise.all(kinds.map(async (kind) => {
    const program = start("pending", { args: [kind] });
    await expectSoonEnd(program, 1_500);
    const { output } = await program.ended;
    if (kind === "recv with a budget") assert.match(output, "<Timeout>");
    if (kind === "aborted recv") assert.match(output, "<aborted>");
  }));
});

// `make lifecycle` does the same more often.
const ENDING_ROUNDS = 6;
const TERMINATED_WORKERS = 30;

for (const kind of Object.keys(ENDINGS)) {
  test(`a process that ends by "${kind}" at a random moment under load ends at once`, async () => {
    const random = new Random();
    const tookMs: number[] = [];
    for (let i = 0; i < ENDING_ROUNDS; i++) tookMs.push(await endOnce(kind, random.next()));
    console.log(`${kind}: median ${median(tookMs)} ms, longest ${Math.max(...tookMs)} ms`);
    assert.ok(endsAtOnce(tookMs), `took ${tookMs} ms`);
  });
}

test("an uncaught error while calls are pending: ends at once, and not with 0", async () => {
  const program = start("pending", { args: ["an error"] });
  await program.line(/<left>/);
  const left = performance.now();
  const { code, signal, output, at } = await program.ended;
  assert.is(signal, null, output);
  assert.ok(code !== 0 && code !== null && code < 128, `code ${code}:\n${output}`);
  assert.match(output, "on purpose");
  assert.ok(at - left < 1_000, `it took ${Math.round(at - left)} ms`);
});

test("closing a network under load ends", async () => {
  const program = start("ending", { args: ["close", String(new Random().next())] });
  await program.line(/<ending /);
  const { code, output } = await program.ended;
  assert.is(code, 0, output);
  assert.match(output, "<closed>");
});

test("descriptors are as before after each network", async () => {
  const program = start("descriptors");
  const { code, output } = await program.ended;
  assert.is(code, 0, output);
  const counts = /<counts (.*)>/.exec(output)?.[1].split(" ").map(Number) ?? [];
  assert.is(counts.length, 6, output);
  assert.ok(counts.slice(1).every((count) => count <= counts[0]), `counts ${counts}`);
});

test("workers are terminated at random moments of their lives: nothing is left", async () => {
  await terminateWorkers(TERMINATED_WORKERS, new Random().next());
});

test("a timer stays punctual while 50 connections echo flat out", async () => {
  const { code, output } = await start("fairness").ended;
  assert.is(code, 0, output);
  const [line, ticks, echoes, p50] =
    /<ticks (\d+) echoes (\d+) p50 (\S+) p99 \S+ max \S+>/.exec(output) ?? [];
  assert.ok(line !== undefined, output);
  console.log(line);
  // How late the latest are is up to who else wants the processor; a timer that starves gets none.
  assert.ok(Number(echoes) > 3_000, line);
  assert.ok(Number(ticks) > 50, line);
  assert.ok(Number(p50) < 50, line);
});

test.run();
