/**
 * How a process with a network lives and ends: each test runs a program in this runtime.
 *
 * @module
 */
import { assert, Random, suite } from "../harness.ts";
import { endChildren, start } from "./child.ts";
import { endOnce, endsAtOnce, KINDS, median, terminateWorkers } from "./endings.ts";
import { expectSoonEnd, keepAliveTests } from "./keep_alive.ts";

const test = suite("lifecycle", {}, { timeoutMs: 120_000 });

test.after(() => endChildren());

keepAliveTests(test);

test("a recv keeps the process alive only as long as it waits", async () => {
  const kinds = ["recv with a budget", "recv, then unref", "aborted recv"];
  await Promise.all(kinds.map((kind) =>
    expectSoonEnd(kind, 1_500, ({ code, output }) => {
      assert.is(code, 0, output);
      if (kind === "recv with a budget") assert.match(output, "<Timeout>");
      if (kind === "aborted recv") assert.match(output, "<aborted>");
    })
  ));
});

// `make lifecycle` does the same more often.
const ENDING_ROUNDS = 6;
/** As often again where the machine was busy. */
const ENDING_ROUNDS_MAX = 3 * ENDING_ROUNDS;
const TERMINATED_WORKERS = 30;

for (const kind of KINDS) {
  test(`a process that ends by "${kind}" at a random moment under load ends at once`, async () => {
    const random = new Random();
    const tookMs: number[] = [];
    const plainMs: number[] = [];
    for (let i = 0; i < ENDING_ROUNDS_MAX && !endsAtOnce(tookMs, plainMs);) {
      for (const end = i + ENDING_ROUNDS; i < end; i++) {
        tookMs.push(await endOnce(kind, random.next()));
        plainMs.push(await endOnce("plain", random.next()));
      }
    }
    console.log(`${kind}: median ${median(tookMs)} ms, longest ${Math.max(...tookMs)} ms`);
    assert.ok(endsAtOnce(tookMs, plainMs), `took ${tookMs} ms, plain ends took ${plainMs} ms`);
  });
}

test("an uncaught error while calls are pending: ends at once, and not with 0", async () => {
  await expectSoonEnd("an error", 1_000, ({ code, signal, output }) => {
    assert.is(signal, null, output);
    assert.ok(code !== 0 && code !== null && code < 128, `code ${code}:\n${output}`);
    assert.match(output, "on purpose");
  });
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
  const [line, p50] = /<ticks \d+ echoes \d+ p50 (\S+) p99 \S+ max \S+>/.exec(output) ?? [];
  assert.ok(line !== undefined, output);
  console.log(line);
  // How late the latest are is up to who else wants the processor; where timers starve, the program
  // does not end.
  assert.ok(Number(p50) < 50, line);
});

test.run();
