import { Histogram } from "../../../src/base/histogram.ts";
import { COUNT, Meter } from "../../../src/base/meter.ts";
import { assert, Random, suite } from "../../harness.ts";

const test = suite("Meter");

test("Histogram.observe() counts a value that equals a bound as below it", () => {
  const histogram = new Histogram([1, 2, 4]);
  for (const value of [0, 1, 1.5, 2, 3, 4, 4.5, 1e9]) histogram.observe(value);
  assert.equal([...histogram.buckets], [2, 2, 2, 2]);
  assert.is(histogram.sum, 0 + 1 + 1.5 + 2 + 3 + 4 + 4.5 + 1e9);
});

test("every observation lands in exactly one bucket, the first whose bound holds it", () => {
  const random = new Random();
  const bounds = [0.5, 1, 10, 100];
  const histogram = new Histogram(bounds);
  const expected = [0, 0, 0, 0, 0];
  for (let i = 0; i < 2_000; i++) {
    const value = random.float() * random.pick([1, 20, 200]);
    histogram.observe(value);
    const at = bounds.findIndex((bound) => value <= bound);
    expected[at < 0 ? bounds.length : at]++;
  }
  assert.equal([...histogram.buckets], expected);
});

test("a new Meter has counted nothing and has ascending bounds", () => {
  const meter = new Meter();
  assert.is(meter.counts.length, COUNT.length);
  assert.ok(meter.counts.every((value) => value === 0));
  for (const name of ["batchSize", "sendIovecs", "sendSeconds", "recvSeconds"] as const) {
    const { bounds, buckets, sum } = meter[name];
    assert.is(buckets.length, bounds.length + 1, name);
    assert.is(sum, 0);
    for (let i = 1; i < bounds.length; i++) assert.ok(bounds[i] > bounds[i - 1], name);
  }
});

test("COUNT names each index once and leaves none out", () => {
  const { length, ...indexes } = COUNT;
  const sorted = Object.values(indexes).sort((a, b) => a - b);
  assert.equal(sorted, Array.from({ length }, (_, index) => index));
});

test("the counts by operation stand in the order send, recv, accept, connect", () => {
  // The metrics read four of them from the first one on.
  for (const kind of ["retries", "timeouts", "cancellations"]) {
    const counts = COUNT as unknown as Record<string, number>;
    const first = counts[`${kind}Send`];
    const found = ["Recv", "Accept", "Connect"].map((name) => counts[kind + name]);
    assert.equal(found, [first + 1, first + 2, first + 3], kind);
  }
});

test.run();
