import { LIMITS } from "../../../../src/base/limits.ts";
import { COUNT, Meter } from "../../../../src/base/meter.ts";
import { Retrier, type RetryTarget } from "../../../../src/net/call/retrier.ts";
import { assert, suite } from "../../../harness.ts";
import { ManualHost } from "../../../support/manual_host.ts";

function setUp() {
  const host = new ManualHost();
  const meter = new Meter();
  const submitted: RetryTarget[] = [];
  const target: RetryTarget = { ring: { host, meter }, resubmit: () => submitted.push(target) };
  const retrier = new Retrier(target, COUNT.retriesSend);
  return { host, meter, submitted, target, retrier };
}

const test = suite("Retrier");

test("retry(again) submits at once and counts", () => {
  const { host, meter, submitted, target, retrier } = setUp();
  assert.ok(retrier.retry("again"));
  assert.is(submitted.length, 1);
  assert.is(submitted[0], target);
  assert.is(host.timersSet, 0);
  assert.not.ok(retrier.isWaiting);
  assert.is(meter.counts[COUNT.retriesSend], 1);
});

test("retry(later) pauses, each time twice as long, up to the longest pause", () => {
  const { host, submitted, retrier } = setUp();
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    assert.ok(retrier.retry("later"));
    assert.ok(retrier.isWaiting);
    assert.is(submitted.length, i, "not before the pause ends");
    pauses.push(host.nextDueMs as number - host.now());
    host.runUntil(host.nextDueMs as number);
    assert.is(submitted.length, i + 1);
    assert.not.ok(retrier.isWaiting);
  }
  assert.equal(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
  assert.equal([pauses[0], pauses.at(-1)], [LIMITS.backOffFirstMs, LIMITS.backOffLastMs]);
});

test("retries without progress are bounded, whatever their kind", () => {
  for (const how of ["again", "later"] as const) {
    const { host, meter, submitted, retrier } = setUp();
    let count = 0;
    while (count < 1_000 && retrier.retry(how)) {
      count++;
      host.runUntil(host.now() + 100);
    }
    assert.is(count, LIMITS.retryCountMax);
    assert.is(submitted.length, count, "the refused one submits nothing");
    assert.is(meter.counts[COUNT.retriesSend], count);
    assert.not.ok(retrier.isWaiting);
    assert.not.ok(retrier.retry(how), "and it stays refused");
  }
});

test("progress() starts count and pause anew", () => {
  const { host, retrier } = setUp();
  for (let i = 0; i < LIMITS.retryCountMax; i++) {
    assert.ok(retrier.retry("later"));
    host.runUntil(host.now() + 100);
  }
  retrier.progress();
  assert.ok(retrier.retry("later"));
  assert.is(host.nextDueMs as number - host.now(), LIMITS.backOffFirstMs);
  host.runUntil(host.now() + 100);
  for (let i = 1; i < LIMITS.retryCountMax; i++) assert.ok(retrier.retry("again"));
  assert.not.ok(retrier.retry("again"));
});

test("stop() ends a pause without submitting, and does nothing otherwise", () => {
  const { host, submitted, retrier } = setUp();
  retrier.stop();
  retrier.retry("later");
  retrier.stop();
  assert.not.ok(retrier.isWaiting);
  assert.is(host.timers.length, 0);
  host.runUntil(host.now() + 1_000);
  assert.equal(submitted, []);
});

test.run();
