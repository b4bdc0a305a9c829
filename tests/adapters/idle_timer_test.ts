/**
 * The timeout of a socket, with the runtime's timers and a clock of the test.
 *
 * @module
 */
import { IdleTimer } from "../../src/adapters/idle_timer.ts";
import { assert, suite } from "../harness.ts";

const test = suite("idle timer");

/** A timer whose expiries are counted, and which can be awaited. */
function counted(now = () => performance.now()) {
  const state = { count: 0, next: Promise.withResolvers<number>() };
  const idle = new IdleTimer(now, () => {
    state.count++;
    state.next.resolve(now());
  });
  return { idle, state };
}

const STEP_MS = 2;

/** A clock that goes on with the event loop: it stands still where the machine does. */
function loopClock(): Disposable & { now(): number } {
  let nowMs = 1_000;
  const ticking = setInterval(() => nowMs += STEP_MS, STEP_MS);
  return { now: () => nowMs, [Symbol.dispose]: () => clearInterval(ticking) };
}

const pause = (delayMs: number) => new Promise((resolve) => setTimeout(resolve, delayMs));

test("one period after the last start it expires, however often it was stopped", async () => {
  // The timer is unreferenced: the clock keeps the process alive.
  using clock = loopClock();
  const { idle, state } = counted(clock.now);
  for (let i = 0; i < 5; i++) {
    idle.start(40);
    await pause(10);
    idle.stop();
  }
  idle.start(40);
  const startedMs = clock.now();
  const expiredMs = await state.next.promise;
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
