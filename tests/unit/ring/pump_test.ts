/**
 * The turns that a pump takes before the timers and the I/O of the runtime have their turn, on a
 * clock that the test moves.
 *
 * @module
 */
import { LIMITS } from "../../../src/base/limits.ts";
import { Meter } from "../../../src/base/meter.ts";
import { type RingPort, TURN_SUBMIT } from "../../../src/ring/port.ts";
import { Pump, type PumpedRing } from "../../../src/ring/pump.ts";
import { TurnChain } from "../../../src/ring/turn_chain.ts";
import { assert, suite } from "../../harness.ts";
import { ManualHost } from "../../support/manual_host.ts";

/** More rounds of microtasks than a pump waits for calls. */
const ROUNDS_OF_QUIET = 10;

/** A ring that always has more work, and a pump for it. */
class BusyRing implements PumpedRing {
  readonly host = new ManualHost();
  readonly meter = new Meter();
  readonly port = {
    openDoorbell: () => ({ opened: Promise.resolve(), ref() {}, unref() {}, close() {} }),
  } as unknown as RingPort;
  readonly inFlight = 1;
  readonly hasMore = true;
  readonly taken: ("submit" | "turn")[] = [];
  readonly pump: Pump;
  now = this.host.now();
  activity = 0;
  canStage = false;
  readonly #react: (ring: BusyRing) => void;

  /** `react` is the program's reaction to a turn. */
  constructor(react: (ring: BusyRing) => void) {
    this.#react = react;
    this.pump = new Pump(this, null);
    this.pump.addReference();
    this.pump.schedule();
  }

  turn(flags: number): number {
    this.now = this.host.now();
    this.canStage = false;
    this.taken.push(flags === TURN_SUBMIT ? "submit" : "turn");
    if (flags !== TURN_SUBMIT) queueMicrotask(() => this.#react(this));
    return 1;
  }

  onSleep(): void {}

  call(): void {
    this.activity++;
    this.canStage = true;
    this.pump.schedule();
  }

  /** Waits until the pump has given way. */
  async yields(): Promise<void> {
    while (this.host.macrotasks.length === 0) await Promise.resolve();
  }

  /** The event loop runs its macrotask. */
  goOn(): void {
    this.host.macrotasks.shift()?.();
  }
}

/** Turns until the pump gives way, twice, where the reactions to a turn take `reactionMs`. */
async function chainedTurns(reactionMs: number): Promise<number[]> {
  const ring = new BusyRing(({ host }) => host.block(reactionMs));
  const counts: number[] = [];
  for (let round = 0; round < 2; round++) {
    await ring.yields();
    counts.push(ring.taken.splice(0).length);
    ring.goOn();
  }
  ring.pump.close();
  return counts;
}

const test = suite("Pump");

test("quick turns chain up to their largest number, and again after a macrotask", async () => {
  const most = LIMITS.chainedTurnCountMax;
  assert.equal(await chainedTurns(0.01), [most, most]);
});

test("long reactions chain until their time is over, one turn at least", async () => {
  const limitMs = LIMITS.chainedTurnsMs;
  assert.equal(await chainedTurns(limitMs / 4), [4, 4]);
  assert.equal(await chainedTurns(limitMs), [1, 1]);
  assert.equal(await chainedTurns(limitMs * 10), [1, 1]);
});

test("the last calls are submitted before timers run, and nothing is collected", async () => {
  const ring = new BusyRing((ring) => {
    ring.host.block(LIMITS.chainedTurnsMs);
    ring.call();
  });
  for (let round = 0; round < 3; round++) {
    await ring.yields();
    assert.not(ring.canStage, "a macrotask runs while calls wait for their submission");
    ring.goOn();
  }
  ring.pump.close();
  assert.equal(ring.taken, ["turn", "submit", "turn", "submit", "turn", "submit"]);
});

test("calls that come after the pump gave way are submitted before timers run", async () => {
  const ring = new BusyRing(({ host }) => host.block(LIMITS.chainedTurnsMs));
  await ring.yields();
  for (let call = 0; call < 2; call++) {
    ring.call();
    for (let round = 0; round < ROUNDS_OF_QUIET; round++) await Promise.resolve();
  }
  assert.equal(ring.taken, ["turn", "submit", "submit"]);
  assert.is(ring.host.macrotasks.length, 1, "one macrotask, however many calls");
  ring.goOn();
  await ring.yields();
  ring.pump.close();
  assert.equal(ring.taken, ["turn", "submit", "submit", "turn"]);
});

test("a rest of the pump is no time of its turns, and the turns before the rest count", () => {
  const chain = new TurnChain();
  const turn = (nowMs: number) => {
    chain.count();
    return chain.mayGoOn(nowMs);
  };
  assert.ok(turn(1));
  chain.resume(100);
  assert.ok(turn(100));
  assert.not(turn(100 + LIMITS.chainedTurnsMs));
  chain.restart(200);
  for (let count = 1; count < LIMITS.chainedTurnCountMax; count++) {
    chain.resume(200 + count);
    assert.ok(turn(200 + count), `turn ${count}`);
  }
  assert.not(turn(200));
});

test("the first turn after timers is taken, however late it is", () => {
  const chain = new TurnChain();
  chain.restart(10);
  assert.ok(chain.mayGoOn(10 + 10 * LIMITS.chainedTurnsMs));
});

test.run();
