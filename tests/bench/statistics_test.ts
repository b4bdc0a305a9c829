/**
 * Medians, ratios, orders and estimates of the benchmarks.
 *
 * @module
 */
import { Estimate, formatSeconds } from "../../bench/lib/progress.ts";
import {
  difference,
  median,
  percentile,
  ratio,
  rotated,
  spread,
} from "../../bench/lib/statistics.ts";
import { assert, suite } from "../harness.ts";

const test = suite("bench statistics");

test("the median of an odd count is the middle, of an even count between the two", () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([4, 1, 3, 2]), 2.5);
  assert.is(median([10, 9, 100]), 10);
});

test("there is no median of nothing", () => {
  assert.throws(() => median([]), /median of nothing/);
  assert.is(spread([null, null]), null);
});

test("a spread leaves out the rounds that failed", () => {
  assert.equal(spread([5, null, 1, 3]), { median: 3, min: 1, max: 5 });
});

test("a ratio is the median of the rounds' ratios, not the ratio of medians", () => {
  assert.equal(ratio([1, 20, 3], [1, 10, 1]), { median: 2, min: 1, max: 3 });
});

test("a ratio needs both values of a round, and something to divide by", () => {
  assert.equal(ratio([1, null, 6, 4], [2, 5, 0, null]), { median: 0.5, min: 0.5, max: 0.5 });
  assert.is(ratio([1], [0]), null);
  assert.is(ratio([1, 2], []), null);
});

test("a difference may be negative", () => {
  assert.equal(difference([1, 5], [2, 3]), { median: 0.5, min: -1, max: 2 });
});

test("each round starts with the next peer and has all of them", () => {
  assert.equal(rotated(["a", "b", "c"], 0), ["a", "b", "c"]);
  assert.equal(rotated(["a", "b", "c"], 1), ["b", "c", "a"]);
  assert.equal(rotated(["a", "b", "c"], 5), ["c", "a", "b"]);
  assert.equal(rotated([], 3), []);
});

test("a percentile is one of the values", () => {
  const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.is(percentile(sorted, 0.5), 50);
  assert.is(percentile(sorted, 0.99), 99);
  assert.is(percentile([7], 0.99), 7);
  assert.is(percentile([], 0.5), 0);
});

test("an estimate follows how long the finished steps took", () => {
  const estimate = new Estimate();
  estimate.expect(4);
  estimate.expect(6);
  assert.is(estimate.secondsLeft, 10);
  estimate.done(2, 4);
  assert.is(estimate.secondsLeft, 16);
  estimate.done(4, 0); // Not needed: nothing is learned from it.
  assert.is(estimate.secondsLeft, 8);
  estimate.done(100, 4);
  assert.is(estimate.secondsLeft, 0);
});

test("seconds are shown as a person says them", () => {
  assert.is(formatSeconds(0.4), "0 s");
  assert.is(formatSeconds(59.4), "59 s");
  assert.is(formatSeconds(65), "1 min 05 s");
  assert.is(formatSeconds(3_725), "1 h 02 min");
});

test.run();
