import { LIMITS } from "../../../src/base/limits.ts";
import { type Deadline, TimingWheel } from "../../../src/ring/timing_wheel.ts";
import { assert, Random, suite } from "../../harness.ts";
import { ManualHost } from "../../support/manual_host.ts";

const TICK_MS = LIMITS.deadlineTickMs;
const REVOLUTION_MS = 4_096 * TICK_MS;

/** The wheel's own tick, and the whole milliseconds that timers are rounded up to. */
const LATE_MS_MAX = TICK_MS + 1;

class Entry implements Deadline {
  deadlineNext: Deadline | null = null;
  deadlinePrevious: Deadline | null = null;
  deadlineMs = 0;
  deadlineTick = -1;
  readonly expiredAtMs: number[] = [];
  readonly #host: ManualHost;
  onExpire: () => void = () => {};

  constructor(host: ManualHost) {
    this.#host = host;
  }

  expire(): void {
    this.expiredAtMs.push(this.#host.now());
    this.onExpire();
  }
}

function setUp(nowMs = 1_000) {
  const host = new ManualHost(nowMs);
  const wheel = new TimingWheel(host);
  const add = (timeoutMs: number) => {
    const entry = new Entry(host);
    wheel.add(entry, timeoutMs);
    return entry;
  };
  return { host, wheel, add };
}

/** Whether an entry expired exactly once, not early, and at most about one tick late. */
function assertInTime(entry: Entry, lateMsMax = LATE_MS_MAX): void {
  assert.is(entry.expiredAtMs.length, 1, `deadline at ${entry.deadlineMs}`);
  const lateMs = entry.expiredAtMs[0] - entry.deadlineMs;
  assert.ok(lateMs >= 0, `${-lateMs} ms early`);
  assert.ok(lateMs <= lateMsMax, `${lateMs} ms late`);
}

const test = suite("TimingWheel");

test("a deadline is never early and at most about one tick late, wherever it falls", () => {
  for (const nowMs of [0, 1_000, 1_002.5, 1_004.999, 123_456.789]) {
    for (const timeoutMs of [0, 0.1, 1, 4, 4.999, 5, 5.001, 7, 10, 99.5, 100, 1_000, 20_000]) {
      const { host, wheel, add } = setUp(nowMs);
      const entry = add(timeoutMs);
      assert.is(entry.deadlineMs, nowMs + timeoutMs);
      host.runUntil(nowMs + timeoutMs + 100);
      assertInTime(entry);
      assert.is(host.timersSet, 1, "the timer is not set early, to find nothing due");
      assert.is(wheel.count, 0);
      assert.is(entry.deadlineTick, -1);
    }
  }
});

test("deadlines around and beyond one revolution come at their time", () => {
  const { host, wheel, add } = setUp();
  const around = [-TICK_MS, -1, 0, 1, TICK_MS, 2 * TICK_MS, 1_000];
  const entries = [1, 2, 3, 10].flatMap((revolutions) =>
    around.map((ms) => add(revolutions * REVOLUTION_MS + ms))
  );
  host.runUntil(11 * REVOLUTION_MS);
  for (const entry of entries) assertInTime(entry);
  assert.is(wheel.count, 0);
});

test("the largest budget that a call can be given neither expires early nor spins", () => {
  const { host, wheel, add } = setUp();
  const entry = add(LIMITS.timeoutMsMax);
  host.runUntil(host.now() + 100 * REVOLUTION_MS);
  assert.equal(entry.expiredAtMs, []);
  assert.ok(host.timersSet <= 110, `${host.timersSet} timers for 100 revolutions`);
  wheel.remove(entry);
});

test("the timer is set for the next occupied slot, and there is only one", () => {
  const { host, wheel, add } = setUp();
  const late = add(10_000);
  assert.is(host.timers.length, 1);
  assert.ok(Math.abs(host.nextDueMs as number - late.deadlineMs) <= LATE_MS_MAX);
  const soon = add(100);
  assert.is(host.timers.length, 1);
  assert.ok(Math.abs(host.nextDueMs as number - soon.deadlineMs) <= LATE_MS_MAX);
  host.runUntil(soon.deadlineMs + LATE_MS_MAX);
  assertInTime(soon);
  assert.is(host.timers.length, 1);
  assert.ok(Math.abs(host.nextDueMs as number - late.deadlineMs) <= LATE_MS_MAX);
  wheel.remove(late);
});

test("a later deadline does not touch the timer", () => {
  const { host, wheel, add } = setUp();
  const entries = [add(50)];
  for (let i = 0; i < 1_000; i++) entries.push(add(1_000 + i));
  assert.is(host.timersSet, 1);
  assert.is(wheel.count, 1_001);
  for (const entry of entries) wheel.remove(entry);
});

test("after a long idle time a deadline needs one timer, as at the beginning", () => {
  const { host, add } = setUp();
  add(10);
  host.runUntil(10 * REVOLUTION_MS);
  const before = host.timersSet;
  const entry = add(5_000);
  host.runUntil(11 * REVOLUTION_MS);
  assertInTime(entry);
  assert.is(host.timersSet - before, 1);
});

test("the timer runs only while entries exist", () => {
  const { host, wheel, add } = setUp();
  assert.is(host.timers.length, 0, "none at the beginning");
  const entry = add(100);
  host.runUntil(2_000);
  assertInTime(entry);
  assert.is(host.timers.length, 0, "none after the last expiry");
  const removed = add(100);
  wheel.remove(removed);
  host.runUntil(4_000);
  assert.is(host.timers.length, 0, "a timer whose entry was removed is not set again");
  assert.equal(removed.expiredAtMs, []);
});

test("a new deadline is in time although a timer of a removed one is still set", () => {
  const { host, wheel, add } = setUp();
  wheel.remove(add(1_000));
  host.runUntil(host.now() + 900);
  const entries = [add(50), add(100), add(150), add(30_000)];
  host.runUntil(host.now() + 31_000);
  for (const entry of entries) assertInTime(entry);
});

test("remove() is idempotent, also for an entry that was never in and for an expired one", () => {
  const { host, wheel, add } = setUp();
  const entry = add(10);
  wheel.remove(new Entry(host));
  assert.is(wheel.count, 1);
  wheel.remove(entry);
  wheel.remove(entry);
  assert.is(wheel.count, 0);
  assert.equal([entry.deadlineTick, entry.deadlineNext, entry.deadlinePrevious], [-1, null, null]);
  const expired = add(10);
  host.runUntil(2_000);
  wheel.remove(expired);
  assert.is(wheel.count, 0);
});

test("any of several entries of one slot can be removed", () => {
  for (let victim = 0; victim < 4; victim++) {
    const { host, wheel, add } = setUp();
    const entries = [add(50), add(50), add(50), add(50)];
    wheel.remove(entries[victim]);
    host.runUntil(2_000);
    entries.forEach((entry, index) => {
      if (index === victim) assert.equal(entry.expiredAtMs, []);
      else assertInTime(entry);
    });
  }
});

test("an entry that is removed by the expiry of another does not expire", () => {
  // Of the same slot, and of another slot that is due in the same pass.
  const { host, wheel, add } = setUp();
  const entries = [add(50), add(50), add(50), add(200)];
  for (const entry of entries) {
    entry.onExpire = () => entries.forEach((other) => other !== entry && wheel.remove(other));
  }
  host.block(1_000);
  host.runUntil(host.now());
  assert.is(entries.reduce((count, entry) => count + entry.expiredAtMs.length, 0), 1);
  assert.is(wheel.count, 0);
});

/** Adds entries with one budget, each `gapMs` after the other; returns in which order they end. */
function orderOf(names: string, timeoutMs: number, gapMs: number): string {
  const { host, add } = setUp();
  let order = "";
  for (const name of names) {
    add(timeoutMs).onExpire = () => order += name;
    host.runUntil(host.now() + gapMs);
  }
  host.runUntil(host.now() + timeoutMs + 100);
  return order;
}

test("entries with the same budget expire in the order in which they were added", () => {
  for (const timeoutMs of [0, 50, 500, REVOLUTION_MS - 1, REVOLUTION_MS, 3.3 * REVOLUTION_MS]) {
    for (const gapMs of [0, 0.4, 3]) assert.is(orderOf("ABCDE", timeoutMs, gapMs), "ABCDE");
  }
});

test("the same after one of them was removed, and when the loop was blocked", () => {
  const { host, wheel, add } = setUp();
  let order = "";
  const entries = [..."ABCDE"].map((name) => {
    const entry = add(50);
    entry.onExpire = () => order += name;
    return entry;
  });
  wheel.remove(entries[2]);
  wheel.remove(entries[0]);
  host.block(1_000);
  host.runUntil(host.now());
  assert.is(order, "BDE");
});

test("an entry that rested for a revolution expires before later ones of its slot", () => {
  const { host, add } = setUp();
  const keeper = add(10_000);
  // The wheel turns with its timer: what is added before that may have to rest, later ones not.
  host.runUntil(host.now() + 5_000);
  let order = "";
  const deadlineMs = host.now() + REVOLUTION_MS - 3 * TICK_MS;
  add(deadlineMs - host.now()).onExpire = () => order += "A";
  host.runUntil(keeper.deadlineMs + LATE_MS_MAX);
  add(deadlineMs + 0.5 - host.now()).onExpire = () => order += "B";
  host.runUntil(deadlineMs + 100);
  assert.is(order, "AB");
});

test("an entry that is added during expiry waits for its own time", () => {
  for (const timeoutMs of [0, 1, 5, 50, REVOLUTION_MS - 1, REVOLUTION_MS, REVOLUTION_MS + 7]) {
    const { host, wheel, add } = setUp();
    const added: Entry[] = [];
    const entries = [add(50), add(50), add(60)];
    for (const entry of entries) entry.onExpire = () => added.push(add(timeoutMs));
    host.runUntil(3 * REVOLUTION_MS);
    for (const entry of [...entries, ...added]) assertInTime(entry);
    assert.is(added.length, 3);
    assert.is(wheel.count, 0);
    assert.is(host.timers.length, 0);
  }
});

test("an entry can be added again from its own expiry, as a new deadline", () => {
  const { host, wheel } = setUp();
  const entry = new Entry(host);
  entry.onExpire = () => entry.expiredAtMs.length < 5 && wheel.add(entry, 100);
  wheel.add(entry, 100);
  host.runUntil(10_000);
  assert.is(entry.expiredAtMs.length, 5);
  for (let i = 1; i < 5; i++) {
    const gapMs = entry.expiredAtMs[i] - entry.expiredAtMs[i - 1];
    assert.ok(gapMs >= 100 && gapMs <= 100 + LATE_MS_MAX, `${gapMs} ms`);
  }
});

test("after a loop that was blocked for revolutions all that is due expires at once", () => {
  for (const blockedMs of [REVOLUTION_MS - 10, REVOLUTION_MS + 10, 3.5 * REVOLUTION_MS]) {
    const { host, wheel, add } = setUp();
    const due = [add(1), add(100), add(10_000), add(blockedMs - 10)];
    const later = [add(blockedMs + 100), add(blockedMs + 2 * REVOLUTION_MS)];
    host.block(blockedMs);
    host.runUntil(host.now());
    for (const entry of due) assert.is(entry.expiredAtMs.length, 1, `blocked for ${blockedMs}`);
    for (const entry of later) assert.equal(entry.expiredAtMs, []);
    host.runUntil(host.now() + 3 * REVOLUTION_MS);
    for (const entry of later) assertInTime(entry);
    assert.is(wheel.count, 0);
  }
});

test("an event loop that is always late makes deadlines as late, and no later", () => {
  const { host, add } = setUp();
  host.latenessMs = 40;
  const entries = [add(5), add(100), add(100.5), add(500), add(30_000)];
  host.runUntil(60_000);
  for (const entry of entries) assertInTime(entry, LATE_MS_MAX + 40);
});

test("close() forgets the timer and all entries", () => {
  const { host, wheel, add } = setUp();
  const entries = [add(0), add(50), add(50), add(REVOLUTION_MS * 2)];
  wheel.close();
  assert.is(wheel.count, 0);
  assert.is(host.timers.length, 0);
  host.runUntil(10 * REVOLUTION_MS);
  for (const entry of entries) {
    assert.equal(entry.expiredAtMs, []);
    assert.is(entry.deadlineTick, -1);
  }
});

test("thousands of random deadlines agree with a model", () => {
  const random = new Random();
  const { host, wheel, add } = setUp(random.float() * 100_000);
  const waiting = new Set<Entry>();
  const removed: Entry[] = [];
  const all: Entry[] = [];
  const randomTimeoutMs = () => {
    const scale = random.pick([3, 20, 500, 5_000, 2 * REVOLUTION_MS]);
    return random.chance(0.5) ? random.int(0, scale) : random.float() * scale;
  };
  const addRandom = () => {
    const entry = add(randomTimeoutMs());
    waiting.add(entry);
    all.push(entry);
    entry.onExpire = () => {
      assert.ok(waiting.delete(entry), "expired although it was removed, or twice");
      if (random.chance(0.1)) addRandom();
      if (random.chance(0.05) && waiting.size > 0) removeRandom();
    };
  };
  const removeRandom = () => {
    const entry = random.pick([...waiting]);
    waiting.delete(entry);
    wheel.remove(entry);
    removed.push(entry);
  };
  for (let step = 0; step < 6_000; step++) {
    if (random.chance(0.6)) addRandom();
    else if (random.chance(0.3) && waiting.size > 0) removeRandom();
    else host.runUntil(host.now() + random.float() * random.pick([1, 10, 100, 1_000]));
    assert.is(wheel.count, waiting.size);
    assert.ok(host.timers.length <= 1);
    assert.ok(waiting.size === 0 || host.timers.length === 1);
  }
  while (waiting.size > 0) host.runUntil(host.now() + REVOLUTION_MS);
  assert.is(wheel.count, 0);
  assert.is(host.timers.length, 0);
  const gone = new Set(removed);
  for (const entry of all) {
    if (gone.has(entry)) assert.equal(entry.expiredAtMs, []);
    else assertInTime(entry);
  }
});

test.run();
