/**
 * Counters in plain typed arrays. The hot path adds numbers; names and labels are made only when a
 * registry is scraped (`src/metrics`).
 *
 * @module
 */
import { Histogram } from "./histogram.ts";

/** Indexes into {@link Meter.counts}. */
export const COUNT = Object.freeze({
  inboundConnections: 0,
  outboundConnections: 1,
  inboundBytes: 2,
  outboundBytes: 3,
  enters: 4,
  submissions: 5,
  completions: 6,
  wakeups: 7,
  overflows: 8,
  retriesSend: 9,
  retriesRecv: 10,
  retriesAccept: 11,
  retriesConnect: 12,
  shortSends: 13,
  timeoutsSend: 14,
  timeoutsRecv: 15,
  timeoutsAccept: 16,
  timeoutsConnect: 17,
  cancellationsSend: 18,
  cancellationsRecv: 19,
  cancellationsAccept: 20,
  cancellationsConnect: 21,
  connections: 22,
  spinHits: 23,
  spinMisses: 24,
  spinSeconds: 25,
  length: 26,
});

const SECONDS = [
  0.00001,
  0.000025,
  0.00005,
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
];

/** The counts of one network. */
export class Meter {
  readonly counts: Float64Array = new Float64Array(COUNT.length);
  readonly batchSize: Histogram = new Histogram([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
  readonly sendIovecs: Histogram = new Histogram([1, 2, 4, 8, 16, 32]);
  readonly sendSeconds: Histogram = new Histogram(SECONDS);
  readonly recvSeconds: Histogram = new Histogram(SECONDS);
}
