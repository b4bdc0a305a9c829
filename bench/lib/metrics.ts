/**
 * What is measured: names, units and how many digits mean something.
 *
 * @module
 */

export type MetricName = keyof typeof METRICS;

/** One measurement: the metrics that its case has. */
export type Sample = Partial<Record<MetricName, number>>;

export const METRICS = Object.freeze({
  cpuUs: { label: "CPU/message", unit: "us", digits: 2 },
  cpuUsPerPiece: { label: "CPU/piece", unit: "us", digits: 3 },
  cpuMsPerGib: { label: "CPU/GiB", unit: "ms", digits: 0 },
  cpuMsPerSecond: { label: "CPU/s", unit: "ms", digits: 2 },
  bytesPerConnection: { label: "memory/connection", unit: "bytes", digits: 0 },
  messagesPerSecond: { label: "messages/s", unit: "", digits: 0 },
  mibPerSecond: { label: "MiB/s", unit: "", digits: 1 },
  p50: { label: "p50", unit: "us", digits: 1 },
  p99: { label: "p99", unit: "us", digits: 1 },
  p999: { label: "p999", unit: "us", digits: 1 },
});

/** 1234.56 with 1 digit -> "1,234.6" */
export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
