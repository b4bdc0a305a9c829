/**
 * Calls and the signals that end them: one listener, order, and calls that leave meanwhile.
 *
 * @module
 */
import { Patience } from "../../../../src/net/call/patience.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { countedSignal } from "../../../support/counted_signal.ts";

const test = suite("Patience");

/** Calls that note when they are aborted. */
function setUp(count: number) {
  const counted = countedSignal();
  const aborted: number[] = [];
  const calls = Array.from({ length: count }, (_, id) => {
    const call = { abort: (_reason: unknown) => void aborted.push(id) };
    return { call, patience: new Patience(counted.signal, call) };
  });
  return { ...counted, aborted, calls };
}

test("however many calls wait, the signal has one listener, and none when they have ended", () => {
  const { listenerCount, calls } = setUp(1_000);
  for (const { patience } of calls) {
    patience.begin();
    assert.is(listenerCount(), 1);
  }
  for (const { patience } of calls.slice(1)) patience.end();
  assert.is(listenerCount(), 1);
  calls[0].patience.end();
  assert.is(listenerCount(), 0);
});

test("calls are aborted once, with the signal's reason, in the order of their beginning", () => {
  const random = new Random();
  for (let round = 0; round < 100; round++) {
    const { controller, aborted, calls, listenerCount } = setUp(20);
    const waiting: number[] = [];
    for (let i = 0; i < 60; i++) {
      const id = random.int(0, 19);
      const at = waiting.indexOf(id);
      if (at < 0) {
        calls[id].patience.begin();
        waiting.push(id);
      } else {
        calls[id].patience.end();
        calls[id].patience.end();
        waiting.splice(at, 1);
      }
      assert.is(listenerCount(), waiting.length > 0 ? 1 : 0);
    }
    controller.abort();
    assert.equal(aborted, waiting);
    for (const { patience } of calls) patience.end();
    assert.equal(aborted, waiting);
  }
});

test("a call that ends others when it is aborted ends them for good", () => {
  const { controller, aborted, calls } = setUp(5);
  for (const { patience } of calls) patience.begin();
  calls[1].call.abort = () => {
    aborted.push(1);
    calls[2].patience.end();
    calls[4].patience.end();
  };
  controller.abort();
  assert.equal(aborted, [0, 1, 3]);
});

test("the reason is the signal's, and signals do not know each other", () => {
  const reasons: unknown[] = [];
  const call = { abort: (reason: unknown) => void reasons.push(reason) };
  const [first, second] = [new AbortController(), new AbortController()];
  for (const { signal } of [first, second]) new Patience(signal, call).begin();
  second.abort("enough");
  assert.equal(reasons, ["enough"]);
  first.abort("more than that");
  assert.equal(reasons, ["enough", "more than that"]);
});

test.run();
