/**
 * The cases: what load is put on a server, which figure counts first, which peers take part.
 *
 * @module
 */
import type { MetricName } from "./metrics.ts";

/** The modes of the client in C (bench/client.c). */
export interface ClientWork {
  kind: "client";
  mode: "echo" | "framed" | "broadcast" | "sink" | "source" | "churn" | "idle";
  connections: number;
  size: number;
  depth: number;
}

/** One connection with a message at fixed intervals. */
export interface PacedWork {
  kind: "paced";
  messagesPerSecond: number;
  size: number;
}

/** One message, as soon as the program listens. */
export interface StartWork {
  kind: "start";
}

/**
 * A program that measures itself, bench/piece_sweep.ts: sends of several pieces.
 *
 *   pieces     how many pieces there are
 *   threshold  how long they are, all gathered by copy or all as iovecs
 *   batch      how many iovecs leave in one operation
 */
export interface SweepWork {
  kind: "sweep";
  over: "pieces" | "threshold" | "batch";
}

/** A program that measures itself, bench/closing.ts: the event loop while a network closes. */
export interface ClosingWork {
  kind: "closing";
  connections: number;
  /** The bytes that the far end sends over each of them, and that stay unread. */
  unreadBytes: number;
}

/**
 * The library without one of its parts, bench/lib/safety.ts: what a part costs an echo, over plain
 * memory or over the kernel.
 */
export interface SafetyWork {
  kind: "safety";
  over: "memory" | "kernel";
}

/**
 * Sets of peers: those that every case has; without programs on node:net and the like, for sweeps;
 * with and without spinning and with a ring for each direction; with exact mode, metrics and a ring
 * for each direction; on each backend (with "spin" and "modes" as well); answering frames together
 * as well; sending from pool memory as well; servers with workers; networks that close; servers
 * that have just started, of bundled files and of the sources; none.
 */
export type PeerSet =
  | "plain"
  | "main"
  | "spin"
  | "modes"
  | "backends"
  | "framed"
  | "source"
  | "workers"
  | "closing"
  | "start"
  | "none";

export interface Case {
  name: string;
  group: string;
  title: string;
  work: ClientWork | PacedWork | StartWork | SweepWork | ClosingWork | SafetyWork;
  /** The first figure: the one that ratios and charts are about. */
  primary: MetricName;
  /** The other figures, in order. */
  others: readonly MetricName[];
  /** Which peers take part. */
  peers: PeerSet;
  /** Workers of the server, in the group of that name. */
  workers?: number;
  /** The value on the x axis when the group is a sweep. */
  x?: number;
  /** Windows shorter than this say nothing. */
  secondsMin?: number;
  /** The first second of each server is measured, without a warm-up. */
  cold?: boolean;
  /** The time of a measurement beside its window, where that is long. */
  overheadSeconds?: number;
}

const LATENCIES = ["p50", "p99", "p999"] as const;
const MESSAGES = ["messagesPerSecond", ...LATENCIES] as const;

/** 65536 -> "64 KiB" */
export function sizeName(bytes: number): string {
  if (bytes >= 1 << 20 && bytes % (1 << 20) === 0) return `${bytes >> 20} MiB`;
  if (bytes >= 1 << 10 && bytes % (1 << 10) === 0) return `${bytes >> 10} KiB`;
  return `${bytes} B`;
}

function client(
  mode: ClientWork["mode"],
  connections: number,
  size: number,
  depth = 1,
): ClientWork {
  return { kind: "client", mode, connections, size, depth };
}

/** Spinning shows with few connections; modes and backends are compared where a bar is. */
function echoPeers(connections: number, size: number): PeerSet {
  if (connections <= 4) return "spin";
  if (connections === 8) return "backends";
  return connections === 50 && size <= 4_096 ? "modes" : "plain";
}

function echo(connections: number, size: number): Case {
  return {
    name: `echo-${connections}x${size}`,
    group: "echo",
    title: `echo, ${connections} x ${sizeName(size)}`,
    work: client("echo", connections, size),
    primary: "cpuUs",
    others: MESSAGES,
    peers: echoPeers(connections, size),
  };
}

function framed(connections: number, depth: number): Case {
  return {
    name: `framed-${connections}-d${depth}`,
    group: "framed",
    title: `framed requests, ${connections} x 64 B, depth ${depth}, one send for each answer`,
    work: client("framed", connections, 64, depth),
    primary: "cpuUs",
    others: MESSAGES,
    peers: "framed",
  };
}

function oneWay(mode: "sink" | "source"): Case {
  return {
    name: mode,
    group: "stream",
    title: `one-way stream, 256 KiB, the server ${mode === "sink" ? "receives" : "sends"}`,
    work: client(mode, 1, 256 << 10),
    primary: "cpuMsPerGib",
    others: ["mibPerSecond"],
    peers: mode === "source" ? "source" : "plain",
    secondsMin: 1,
  };
}

function workers(count: number): Case {
  return {
    name: `workers-${count}`,
    group: "workers",
    title: `echo, 50 x 64 B, ${count} worker${count === 1 ? "" : "s"} on one port`,
    work: client("echo", 50, 64),
    primary: "cpuUs",
    others: MESSAGES,
    peers: "workers",
    workers: count,
    x: count,
  };
}

function closing(name: string, unreadBytes: number): Case {
  const unread = unreadBytes === 0 ? "idle" : `with ${sizeName(unreadBytes)} unread each`;
  return {
    name: `closing-${name}`,
    group: "closing",
    title: `network.close() of 1,000 + 1,000 connections, ${unread}: longest gap of a 1 ms timer`,
    work: { kind: "closing", connections: 2_000, unreadBytes },
    primary: "gapMs",
    others: ["wallGapMs", "closeMs"],
    peers: "closing",
    overheadSeconds: unreadBytes === 0 ? 2 : 12,
  };
}

type Axis = "depth" | "connections" | "size";

function sweep(axis: Axis, x: number): Case {
  const works: Record<Axis, ClientWork> = {
    depth: client("echo", 50, 64, x),
    connections: client("echo", x, 64),
    size: client("echo", 8, x),
  };
  const titles: Record<Axis, string> = {
    depth: `echo, 50 x 64 B, depth ${x}`,
    connections: `echo, ${x} x 64 B`,
    size: `echo, 8 x ${sizeName(x)}`,
  };
  return {
    name: `${axis}-${x}`,
    group: `sweep-${axis}`,
    title: titles[axis],
    work: works[axis],
    primary: "cpuUs",
    others: MESSAGES,
    peers: "main",
    x,
  };
}

const SINGLE_CASES: readonly Case[] = [
  {
    name: "broadcast-200x64",
    group: "broadcast",
    title: "broadcast, 64 B to 200; a delivery is a message",
    work: client("broadcast", 200, 64),
    primary: "cpuUs",
    others: MESSAGES,
    peers: "plain",
  },
  oneWay("sink"),
  oneWay("source"),
  {
    name: "churn",
    group: "churn",
    title: "connect, echo 64 B, close; 16 at a time",
    work: client("churn", 16, 64),
    primary: "cpuUs",
    others: MESSAGES,
    peers: "plain",
  },
  {
    name: "idle-10000",
    group: "idle",
    title: "10,000 silent connections: memory of the server for each",
    work: client("idle", 10_000, 64),
    primary: "bytesPerConnection",
    others: ["cpuMsPerSecond"],
    peers: "plain",
    overheadSeconds: 4,
  },
  {
    name: "idle-cpu",
    group: "idle-cpu",
    title: "100 silent connections: CPU of the server",
    work: client("idle", 100, 64),
    primary: "cpuMsPerSecond",
    others: [],
    peers: "spin",
    secondsMin: 3,
  },
  {
    name: "paced-100",
    group: "idle-cpu",
    title: "100 messages of 64 B per second on one connection: CPU of the server",
    work: { kind: "paced", messagesPerSecond: 100, size: 64 },
    primary: "cpuMsPerSecond",
    others: ["cpuUs", "p50", "p99"],
    peers: "spin",
    secondsMin: 3,
    overheadSeconds: 2,
  },
];

function pieceSweep(over: SweepWork["over"], title: string): Case {
  return {
    name: over,
    group: over,
    title,
    work: { kind: "sweep", over },
    primary: "cpuUsPerPiece",
    others: [],
    peers: "none",
  };
}

const START_CASES: readonly Case[] = [
  {
    name: "start",
    group: "start",
    title: "from the start of the process to the first echo",
    work: { kind: "start" },
    primary: "startMs",
    others: ["startCpuMs"],
    peers: "start",
  },
  {
    name: "first-second",
    group: "start",
    title: "echo, 50 x 64 B, the first second after the start",
    work: client("echo", 50, 64),
    primary: "cpuUs",
    others: MESSAGES,
    peers: "start",
    cold: true,
  },
];

const PIECE_SWEEPS: readonly Case[] = [
  pieceSweep("pieces", "1 to 64 pieces in one send, and the same bytes as one buffer"),
  pieceSweep("threshold", "16 pieces in one send: gathered by copy and as iovecs"),
  pieceSweep("batch", "64 pieces in one send: 1 to 64 iovecs in one operation"),
];

function safety(over: SafetyWork["over"]): Case {
  const place = over === "memory" ? "JavaScript over plain memory" : "the whole server";
  return {
    name: `safety-${over}`,
    group: "safety",
    title: `echo, 50 x 64 B, without a part of the library, ${place}`,
    work: { kind: "safety", over },
    primary: over === "memory" ? "threadNs" : "cpuUs",
    others: [],
    peers: "none",
  };
}

export const CASES: readonly Case[] = [
  ...[64, 4_096, 65_536].flatMap((size) => [1, 4, 50, 500].map((count) => echo(count, size))),
  echo(8, 65_536),
  ...[1, 50].flatMap((connections) => [1, 32].map((depth) => framed(connections, depth))),
  ...SINGLE_CASES,
  closing("idle", 0),
  closing("unread", 8 << 20),
  ...START_CASES,
  ...[1, 2, 4].map(workers),
  ...[1, 4, 16, 32, 64].map((depth) => sweep("depth", depth)),
  ...[1, 4, 16, 50, 200, 500, 2_000, 5_000].map((count) => sweep("connections", count)),
  ...Array.from({ length: 8 }, (_, i) => sweep("size", 64 << (2 * i))),
  ...PIECE_SWEEPS,
  safety("memory"),
  safety("kernel"),
];

export const QUICK_CASES: readonly string[] = [
  "echo-50x64",
  "echo-50x4096",
  "echo-1x64",
  "framed-1-d32",
];

/** The cases, and groups of cases, from which the charts of the documentation are drawn. */
export const CHART_CASES: readonly string[] = [
  "sweep-connections",
  "sweep-size",
  "sweep-depth",
  "workers",
  "pieces",
  "threshold",
  "batch",
];

/** Cases by name or by group, in the order of `CASES`. Throws for a name that is neither. */
export function selectCases(names: readonly string[], all: readonly Case[] = CASES): Case[] {
  for (const name of names) {
    if (all.some((known) => known.name === name || known.group === name)) continue;
    const groups = [...new Set(all.map(({ group }) => group))];
    throw new RangeError(
      `Cannot find case "${name}": wanted a name that --list shows or one of ${groups.join(" ")}`,
    );
  }
  return all.filter(({ name, group }) => names.includes(name) || names.includes(group));
}
