/**
 * Names, help texts and sources of the metrics (names without the prefix).
 *
 * @module
 */
import type { Histogram } from "../base/histogram.ts";
import { COUNT, type Meter } from "../base/meter.ts";
import type { BufferPool } from "../buf/buffer_pool.ts";

/** The numbers of one network at the time of a scrape. */
export interface MetricSource {
  readonly meter: Meter;
  readonly pool: BufferPool;
  /** Operations pending in each direction. */
  pending(): { sends: number; receives: number };
  /** Brings the meter's ring counts up to date. */
  refresh(): void;
}

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** A counter or a gauge is read as samples, a histogram as a whole. */
export type Definition =
  | {
    kind: "counter" | "gauge";
    name: string;
    help: string;
    read(source: MetricSource): Sample[];
  }
  | { kind: "histogram"; name: string; help: string; read(source: MetricSource): Histogram };

function count(name: string, index: number, help: string): Definition {
  const read = ({ meter }: MetricSource) => [{ labels: {}, value: meter.counts[index] }];
  return { kind: "counter", name, help, read };
}

function gauge(name: string, help: string, value: (source: MetricSource) => number): Definition {
  return { kind: "gauge", name, help, read: (source) => [{ labels: {}, value: value(source) }] };
}

function byOperation(name: string, help: string, first: number, sends: string[]): Definition {
  const read = ({ meter }: MetricSource) =>
    sends.map((operation, i) => ({ labels: { operation }, value: meter.counts[first + i] }));
  return { kind: "counter", name, help, read };
}

type ClassField = "allocated" | "available" | "allocations" | "exhausted";

function byClass(
  kind: "counter" | "gauge",
  name: string,
  help: string,
  field: ClassField,
): Definition {
  const read = ({ pool }: MetricSource) =>
    pool.stats().classes.map((entry) => ({
      labels: { size_class: String(entry.sizeBytes) },
      value: entry[field],
    }));
  return { kind, name, help, read };
}

const OPERATIONS = ["send", "recv", "accept", "connect"];

export const DEFINITIONS: readonly Definition[] = [
  gauge(
    "iouring_sender_pending_operations",
    "Sends with the kernel or waiting for it",
    (source) => source.pending().sends,
  ),
  gauge(
    "iouring_receiver_pending_operations",
    "Receives, accepts and connects with the kernel or waiting for it",
    (source) => source.pending().receives,
  ),
  count("inbound_connections_total", COUNT.inboundConnections, "Connections accepted"),
  count("outbound_connections_total", COUNT.outboundConnections, "Connections dialed"),
  gauge("connections", "Connections open", ({ meter }) => meter.counts[COUNT.connections]),
  count("inbound_bytes_total", COUNT.inboundBytes, "Bytes received"),
  count("outbound_bytes_total", COUNT.outboundBytes, "Bytes that the kernel took for sending"),
  byClass("gauge", "buffer_pool_allocated", "Buffers in use", "allocated"),
  byClass("gauge", "buffer_pool_available", "Buffers that can be taken", "available"),
  byClass("counter", "buffer_pool_allocations_total", "Buffers taken", "allocations"),
  byClass("counter", "buffer_pool_exhausted_total", "Times a class was empty", "exhausted"),
  {
    kind: "counter",
    name: "buffer_pool_oversized_total",
    help: "Requests above the largest class",
    read: ({ pool }) => [{ labels: {}, value: pool.stats().oversized }],
  },
  {
    kind: "counter",
    name: "buffer_pool_leaked_total",
    help: "Buffers reclaimed by the garbage collector",
    read: ({ pool }) => [{ labels: {}, value: pool.stats().leaked }],
  },
  count("ring_enters_total", COUNT.enters, "System calls into the ring"),
  count("ring_submissions_total", COUNT.submissions, "Entries submitted"),
  count("ring_completions_total", COUNT.completions, "Completions received"),
  count("ring_wakeups_total", COUNT.wakeups, "Wakeups through the event loop"),
  {
    kind: "counter",
    name: "ring_spins_total",
    help: "Spins for completions before a sleep",
    read: ({ meter }) => [
      { labels: { result: "hit" }, value: meter.counts[COUNT.spinHits] },
      { labels: { result: "miss" }, value: meter.counts[COUNT.spinMisses] },
    ],
  },
  count("ring_spin_seconds_total", COUNT.spinSeconds, "Time of these spins"),
  count("ring_overflows_total", COUNT.overflows, "Turns that found the completion queue overflown"),
  byOperation("retries_total", "Operations submitted again", COUNT.retriesSend, OPERATIONS),
  count("short_sends_total", COUNT.shortSends, "Sends of which the kernel took a part"),
  byOperation("timeouts_total", "Calls whose budget ran out", COUNT.timeoutsSend, OPERATIONS),
  byOperation(
    "cancellations_total",
    "Operations that were cancelled",
    COUNT.cancellationsSend,
    OPERATIONS,
  ),
  {
    kind: "histogram",
    name: "ring_batch_size",
    help: "Completions in one turn",
    read: ({ meter }) => meter.batchSize,
  },
  {
    kind: "histogram",
    name: "send_iovecs",
    help: "Ranges of memory in one send operation",
    read: ({ meter }) => meter.sendIovecs,
  },
  {
    kind: "histogram",
    name: "send_seconds",
    help: "From the call of send to its success",
    read: ({ meter }) => meter.sendSeconds,
  },
  {
    kind: "histogram",
    name: "recv_seconds",
    help: "From the call of a receive that had to wait to its success",
    read: ({ meter }) => meter.recvSeconds,
  },
];
