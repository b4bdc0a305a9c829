/**
 * Counts of values in buckets with fixed upper bounds, at the cost of a few comparisons.
 *
 * @module
 */

/** A histogram with fixed upper bounds: one comparison chain and two additions for each value. */
export class Histogram {
  readonly bounds: Float64Array;
  /** One bucket for each bound, and a last one for values above all bounds. */
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
