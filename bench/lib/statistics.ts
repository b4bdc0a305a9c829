/**
 * Medians over rounds, and ratios between peers of the same round. The machine drifts from round to
 * round; a ratio inside a round drifts less than its parts.
 *
 * @module
 */

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** A value for each round; null where a round gave none. */
export type Rounds = readonly (number | null)[];

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot take the median of nothing");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle];
  return (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Null when no round gave a value. */
export function spread(rounds: Rounds): Spread | null {
  const values = present(rounds);
  if (values.length === 0) return null;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

function present(rounds: Rounds): number[] {
  return rounds.filter((value) => value !== null);
}

/** Combines two peers round by round; rounds that lack either are left out. */
function paired(a: Rounds, b: Rounds, combine: (a: number, b: number) => number): Spread | null {
  return spread(a.map((value, round) => {
    const other = b[round] ?? null;
    return value === null || other === null ? null : combine(value, other);
  }));
}

/** The spread of `a / b` over the rounds that have both; a zero in `b` leaves its round out. */
export function ratio(a: Rounds, b: Rounds): Spread | null {
  return paired(a, b.map((value) => value === 0 ? null : value), (x, y) => x / y);
}

/** The spread of `a - b` over the rounds that have both. */
export function difference(a: Rounds, b: Rounds): Spread | null {
  return paired(a, b, (x, y) => x - y);
}

/** The order of round `round`: each starts with another peer, so that no peer is always first. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const at = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** The value below which `fraction` of a sorted list lies. */
export function percentile(sorted: readonly number[], fraction: number): number {
  if (sorted.length === 0) return 0;
  const rank = Math.ceil(fraction * sorted.length) - 1;
  return sorted[Math.min(Math.max(rank, 0), sorted.length - 1)];
}
