/**
 * Counts values in buckets with fixed upper bounds, for the price of a few comparisons.
 *
 * @module
 */

/** A histogram with fixed upper bounds: one comparison chain and two additions for each value. */
export class Histogram {
  readonly bounds: Float64Array;
  /** One more than the bounds: the last one counts what is above them all. */
  readonly buckets: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = Float64Array.from(bounds);
    this.buckets = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.bounds;
    let i = 0;
    while (i < bounds.length && value > bounds[i]) i++;
    this.buckets[i]++;
    this.sum += value;
  }
}
