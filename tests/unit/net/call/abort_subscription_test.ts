/**
 * Calls and the signals that abort them: one listener, the order, and calls that end meanwhile.
 *
 * @module
 */
import { AbortSubscription } from "../../../../src/net/call/abort_subscription.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { countedSignal } from "../../../support/counted_signal.ts";

const test = suite("AbortSubscription");

/** Calls that note when they are aborted. */
function setUp(count: number) {
  const counted = countedSignal();
  const aborted: number[] = [];
  const calls = Array.from({ length: count }, (_, id) => {
    const call = { abort: (_reason: unknown) => void aborted.push(id) };
    return { call, subscription: new AbortSubscription(counted.signal, call) };
  });
  return { ...counted, aborted, calls };
}

test("a signal has one listener for all its calls, and none when they have ended", () => {
  const { listenerCount, calls } = setUp(1_000);
  for (const { subscription } of calls) {
    subscription.begin();
    assert.is(listenerCount(), 1);
  }
  for (const { subscription } of calls.slice(1)) subscription.end();
  assert.is(listenerCount(), 1);
  calls[0].subscription.end();
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
        calls[id].subscription.begin();
        waiting.push(id);
      } else {
        calls[id].subscription.end();
        calls[id].subscription.end();
        waiting.splice(at, 1);
      }
      assert.is(listenerCount(), waiting.length > 0 ? 1 : 0);
    }
    controller.abort();
    assert.equal(aborted, waiting);
    for (const { subscription } of calls) subscription.end();
    assert.equal(aborted, waiting);
  }
});

test("an aborted call that ends other calls ends them for good", () => {
  const { controller, aborted, calls } = setUp(5);
  for (const { subscription } of calls) subscription.begin();
  calls[1].call.abort = () => {
    aborted.push(1);
    calls[2].subscription.end();
    calls[4].subscription.end();
  };
  controller.abort();
  assert.equal(aborted, [0, 1, 3]);
});

test("the reason is the signal's, and signals are independent", () => {
  const reasons: unknown[] = [];
  const call = { abort: (reason: unknown) => void reasons.push(reason) };
  const [first, second] = [new AbortController(), new AbortController()];
  for (const { signal } of [first, second]) new AbortSubscription(signal, call).begin();
  second.abort("enough");
  assert.equal(reasons, ["enough"]);
  first.abort("more than that");
  assert.equal(reasons, ["enough", "more than that"]);
});

test.run();
