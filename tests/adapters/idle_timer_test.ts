/**
 * The timeout of a socket, with the runtime's timers and a clock of the test.
 *
 * @module
 */
import { IdleTimer } from "../../src/adapters/idle_timer.ts";
import { assert, suite } from "../harness.ts";

const test = suite("idle timer");

/** A timer whose expiries are counted, and which can be awaited. */
function counted() {
  const state = { count: 0, next: Promise.withResolvers<number>() };
  const idle = new IdleTimer(() => performance.now(), () => {
    state.count++;
    state.next.resolve(performance.now());
  });
  return { idle, state };
}

const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));

test("one period after the last start it expires, however often it was stopped", async () => {
  const { idle, state } = counted();
  let startedMs = 0;
  for (let i = 0; i < 5; i++) {
    idle.start(40);
    startedMs = performance.now();
    await pause(10);
    idle.stop();
  }
  idle.start(40);
  startedMs = performance.now();
  // The timer is unreferenced: something else keeps the process alive.
  const alive = setInterval(() => {}, 1_000);
  const expiredMs = await state.next.promise;
  clearInterval(alive);
  assert.ok(expiredMs - startedMs >= 38, `${expiredMs - startedMs} ms after the last start`);
  assert.is(state.count, 1);
});

test("after stop nothing expires", async () => {
  const { idle, state } = counted();
  idle.start(5);
  idle.stop();
  await pause(30);
  assert.is(state.count, 0);
});

test("a shorter period than the one that was stopped is kept", async () => {
  const { idle, state } = counted();
  idle.start(60_000);
  idle.stop();
  idle.start(10);
  const alive = setInterval(() => {}, 1_000);
  await state.next.promise;
  clearInterval(alive);
  assert.is(state.count, 1);
});

test("after release nothing expires, and traffic sets no timer", async () => {
  const { idle, state } = counted();
  idle.start(5);
  idle.release();
  idle.touch();
  await pause(30);
  assert.is(state.count, 0);
});

test("it expires again only after more traffic", async () => {
  const { idle, state } = counted();
  const alive = setInterval(() => {}, 1_000);
  idle.start(5);
  await state.next.promise;
  await pause(20);
  assert.is(state.count, 1);
  state.next = Promise.withResolvers<number>();
  idle.touch();
  await state.next.promise;
  assert.is(state.count, 2);
  idle.release();
  clearInterval(alive);
});

test.run();
