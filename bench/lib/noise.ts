/**
 * The noise of a run: the C server against itself. The cases in which small ratios are judged have
 * a second instance of the same program as a peer of its own, in the same rounds. Whatever the two
 * differ by is no property of a program.
 *
 *   c_uring/oneshot twin / c_uring/oneshot, round by round -> median, least, greatest
 *
 * A ratio of the library cannot be told from one that differs from it by less than that.
 *
 * @module
 */
import { formatRange, type MetricName } from "./metrics.ts";
import { TWIN } from "./peers.ts";
import { bestFloor, type CaseResult, findPeer, ratioTo } from "./results.ts";
import type { Spread } from "./statistics.ts";

export interface Noise {
  case: string;
  metric: MetricName;
  /** The C server that was measured twice. */
  peer: string;
  ratio: Spread;
}

/** The metrics of an echo, in which twins are compared. */
export const NOISE_METRICS = ["cpuUs", "messagesPerSecond", "p99"] as const;

/** The twins' metric that is closest to another one. */
const CLOSEST: Partial<Record<MetricName, typeof NOISE_METRICS[number]>> = {
  cpuUs: "cpuUs",
  cpuMsPerGib: "cpuUs",
  cpuMsPerSecond: "cpuUs",
  messagesPerSecond: "messagesPerSecond",
  mibPerSecond: "messagesPerSecond",
  p50: "p99",
  p99: "p99",
  p999: "p99",
};

/** The noise of each case that has the best C server twice, in each of the metrics. */
export function noisesOf(results: readonly CaseResult[]): Noise[] {
  return results.flatMap((result) => {
    const floor = bestFloor(result);
    const twin = floor === null ? null : findPeer(result, `${floor.peer}${TWIN}`);
    if (floor === null || twin === null) return [];
    return NOISE_METRICS.flatMap((metric) => {
      const ratio = ratioTo(twin, floor, metric);
      return ratio === null ? [] : [{ case: result.case.name, metric, peer: floor.peer, ratio }];
    });
  });
}

function width({ ratio }: Noise): number {
  return ratio.max - ratio.min;
}

/**
 * The noise to show beside a ratio: that of the same case, or the widest of the run. Null where no
 * metric of the twins is like that of the ratio.
 */
export function noiseBeside(
  noises: readonly Noise[],
  name: string,
  metric: MetricName,
): Noise | null {
  const alike = noises.filter((noise) => noise.metric === CLOSEST[metric]);
  const same = alike.find((noise) => noise.case === name);
  return same ?? alike.toSorted((a, b) => width(b) - width(a)).at(0) ?? null;
}

/** "0.98..1.03", with a mark where it was measured in another case than `name`. */
export function formatNoise({ case: measuredIn, ratio }: Noise, name: string): string {
  const mark = measuredIn === name ? "" : "~ ";
  return `${mark}${formatRange(ratio, 2)}`;
}
