/**
 * A line through samples, by least squares: does memory grow?
 *
 * @module
 */

export interface Sample {
  /** Since the start. */
  seconds: number;
  rssBytes: number;
}

export interface Trend {
  mibPerHour: number;
  /** Standard error of the slope, if samples were independent. */
  errorMibPerHour: number;
  samples: number;
}

const MIB = 1 << 20;

/** Null for fewer than three samples. */
export function trendOf(samples: readonly Sample[]): Trend | null {
  const count = samples.length;
  if (count < 3) return null;
  const xs = samples.map(({ seconds }) => seconds / 3_600);
  const ys = samples.map(({ rssBytes }) => rssBytes / MIB);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / count;
  const [xMean, yMean] = [mean(xs), mean(ys)];
  let xx = 0;
  let xy = 0;
  for (let i = 0; i < count; i++) {
    xx += (xs[i] - xMean) ** 2;
    xy += (xs[i] - xMean) * (ys[i] - yMean);
  }
  const slope = xy / xx;
  const residual = ys.reduce((sum, y, i) => sum + (y - yMean - slope * (xs[i] - xMean)) ** 2, 0);
  return {
    mibPerHour: slope,
    errorMibPerHour: Math.sqrt(residual / (count - 2) / xx),
    samples: count,
  };
}
