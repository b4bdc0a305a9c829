/**
 * A line through samples, by least squares: does memory grow?
 *
 * Resident memory goes up and down by several MiB with what the collector has not given back yet.
 * What stays is seen in the lowest sample of each window.
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

/** The lowest sample of each window of so many seconds. */
export function lowestOf(samples: readonly Sample[], windowSeconds: number): Sample[] {
  const lowest = new Map<number, Sample>();
  for (const sample of samples) {
    const window = Math.floor(sample.seconds / windowSeconds);
    const known = lowest.get(window);
    if (known === undefined || sample.rssBytes < known.rssBytes) lowest.set(window, sample);
  }
  return [...lowest.values()];
}

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
