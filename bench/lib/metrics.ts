/**
 * The measured quantities: names in tables and on axes, units, and the number of significant
 * digits.
 *
 * @module
 */

interface Metric {
  label: string;
  /** Empty when the label has it. */
  unit: string;
  digits: number;
  /** The label where there is room, without the unit. */
  axis: string;
}

function metric(label: string, unit: string, digits: number, axis: string): Metric {
  return { label, unit, digits, axis };
}

export type MetricName = keyof typeof METRICS;

/** One measurement: the metrics that its case has. */
export type Sample = Partial<Record<MetricName, number>>;

export const METRICS = Object.freeze({
  cpuUs: metric("CPU/message", "us", 2, "CPU time of the server for a message"),
  threadNs: metric("thread/message", "ns", 0, "CPU time of the thread for a message"),
  cpuUsPerPiece: metric("CPU/piece", "us", 3, "CPU time of the sender for a piece"),
  cpuMsPerGib: metric("CPU/GiB", "ms", 0, "CPU time of the server for a GiB"),
  cpuMsPerSecond: metric("CPU/s", "ms", 2, "CPU time of the server in a second"),
  startMs: metric("first echo", "ms", 1, "time from the start to the first echo"),
  startCpuMs: metric("CPU until then", "ms", 1, "CPU time of the server until then"),
  bytesPerConnection: metric("memory/connection", "bytes", 0, "memory of a connection"),
  messagesPerSecond: metric("messages/s", "", 0, "messages per second"),
  mibPerSecond: metric("MiB/s", "", 1, "MiB per second"),
  gapMs: metric("gap", "ms", 1, "longest gap of a timer, without waiting for a processor"),
  wallGapMs: metric("gap on the wall", "ms", 1, "longest gap of a timer"),
  closeMs: metric("close()", "ms", 0, "time until close() resolves"),
  p50: metric("p50", "us", 1, "median latency"),
  p99: metric("p99", "us", 1, "99th percentile of the latency"),
  p999: metric("p999", "us", 1, "99.9th percentile of the latency"),
});

/** 1234.56 with 1 digit -> "1,234.6" */
export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** "4.44..4.65" */
export function formatRange({ min, max }: { min: number; max: number }, digits: number): string {
  return `${formatNumber(min, digits)}..${formatNumber(max, digits)}`;
}
