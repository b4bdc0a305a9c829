/**
 * The number of turns that a pump takes before the timers and the I/O of the runtime have their
 * turn, on a clock that the test moves.
 *
 * @module
 */
import { LIMITS } from "../../../src/base/limits.ts";
import { Meter } from "../../../src/base/meter.ts";
import type { RingPort } from "../../../src/ring/port.ts";
import { Pump, type PumpedRing } from "../../../src/ring/pump.ts";
import { TurnChain } from "../../../src/ring/turn_chain.ts";
import { assert, suite } from "../../harness.ts";
import { ManualHost } from "../../support/manual_host.ts";

/** Turns until the pump gives way, on a ring that always has more work, `turnMs` for each turn. */
async function chainedTurns(turnMs: number): Promise<number[]> {
  const host = new ManualHost();
  let turns = 0;
  const port = {
    openDoorbell: () => ({ opened: Promise.resolve(), ref() {}, unref() {}, close() {} }),
  };
  const ring = {
    port: port as unknown as RingPort,
    host,
    meter: new Meter(),
    now: host.now(),
    activity: 0,
    inFlight: 1,
    canStage: false,
    hasMore: true,
    turn() {
      turns++;
      host.block(turnMs);
      ring.now = host.now();
      return 1;
    },
    onSleep() {},
  };
  const pump = new Pump(ring satisfies PumpedRing, null);
  const counts: number[] = [];
  pump.addReference();
  pump.schedule();
  for (let round = 0; round < 2; round++) {
    while (host.macrotasks.length === 0) await Promise.resolve();
    counts.push(turns);
    turns = 0;
    host.macrotasks.shift()?.();
  }
  pump.close();
  return counts;
}

const test = suite("Pump");

test("quick turns chain up to their largest number, and again after a macrotask", async () => {
  const most = LIMITS.chainedTurnCountMax;
  assert.equal(await chainedTurns(0.01), [most, most]);
});

test("long turns chain until their time is over, and a single one may exceed it", async () => {
  const turnMs = LIMITS.chainedTurnsMs / 4;
  assert.equal(await chainedTurns(turnMs), [5, 5]);
  assert.equal(await chainedTurns(LIMITS.chainedTurnsMs), [2, 2]);
});

test("a rest of the pump is no time of its turns, and the turns before count", () => {
  const chain = new TurnChain();
  const turn = (nowMs: number) => {
    chain.note(nowMs);
    return chain.mayGoOn;
  };
  assert.ok(turn(0));
  chain.resume(100);
  assert.ok(turn(100));
  assert.not(turn(100 + LIMITS.chainedTurnsMs));
  chain.restart();
  for (let count = 1; count < LIMITS.chainedTurnCountMax; count++) {
    chain.resume(200 + count);
    assert.ok(turn(200 + count), `turn ${count}`);
  }
  assert.not(turn(300));
});

test.run();
