/**
 * The bars: how close to the floor the library wants to be, and how far below the runtimes' own
 * sockets, as figures that a run either meets or does not. `bench/run.ts --bars` measures them,
 * bench/lib/verdicts.ts judges. Some rows have no limit: they show what spinning or copying costs,
 * beside the bars.
 *
 * @module
 */
import { type Case, CASES } from "./lib/cases.ts";
import type { MetricName } from "./lib/metrics.ts";
import { type Peer, PEERS, peersOf } from "./lib/peers.ts";
import { FLOOR } from "./lib/results.ts";

export type BarRuntime = "bun" | "deno";

export interface Bar {
  claim: string;
  cases: readonly string[];
  metric: MetricName;
  /** Which of the library's peers is judged, as it is named after the runtime: "", " exact". */
  subject: string;
  /**
   * The references of a bar: the best of the C servers on io_uring, the runtime's own sockets, or
   * the library's peer that differs in one thing.
   */
  against: "C" | "own" | { peer: string };
  /** Ratios, or differences in the metric's unit. */
  compare: "ratio" | "difference";
  sense: "at most" | "at least";
  /** Null shows the figure and judges nothing. */
  limits: Readonly<Record<BarRuntime, number>> | null;
}

export const BAR_RUNTIMES = ["bun", "deno"] as const;

/** A row about the library's plain peer; what is given replaces the rest. */
function row(
  claim: string,
  cases: readonly string[],
  metric: MetricName,
  rest: Partial<Bar>,
): Bar {
  return {
    claim,
    cases,
    metric,
    subject: "",
    against: "own",
    compare: "ratio",
    sense: "at most",
    limits: null,
    ...rest,
  };
}

/** The same limit in both runtimes. */
function both(limit: number): Bar["limits"] {
  return { bun: limit, deno: limit };
}

/** CPU against the floor and against the runtime's own sockets. */
function cost(
  claim: string,
  cases: readonly string[],
  metric: MetricName,
  [floor, bun, deno]: readonly [number, number, number],
): Bar[] {
  return [
    row(claim, cases, metric, { against: "C", limits: both(floor) }),
    row(claim, cases, metric, { limits: { bun, deno } }),
  ];
}

/** Messages per second against the runtime's own sockets. */
function rate(claim: string, name: string, bun: number, deno: number): Bar {
  return row(claim, [name], "messagesPerSecond", { sense: "at least", limits: { bun, deno } });
}

/** Figures beside the bars: against C and the runtime's own sockets, without a limit. */
function shown(claim: string, name: string, metric: MetricName, subject = ""): Bar[] {
  return [
    row(claim, [name], metric, { subject, against: "C" }),
    row(claim, [name], metric, { subject }),
  ];
}

const NO_SPIN = { against: { peer: " no spin" } } as const;
const SPIN_CASES = ["echo-1x64", "echo-4x64"];

/** The gain and the cost of spinning, one at a time. */
const SPIN_ROWS: readonly Bar[] = [
  row("spin on: messages per second", SPIN_CASES, "messagesPerSecond", NO_SPIN),
  row("spin on: median latency", SPIN_CASES, "p50", NO_SPIN),
  row("spin on: CPU of an echo", SPIN_CASES, "cpuUs", NO_SPIN),
  row("spin on: CPU when idle", ["idle-cpu"], "cpuMsPerSecond", {
    ...NO_SPIN,
    compare: "difference",
  }),
  row("spin on: CPU at 100 messages/s", ["paced-100"], "cpuMsPerSecond", {
    ...NO_SPIN,
    compare: "difference",
  }),
  row("CPU when idle", ["idle-cpu"], "cpuMsPerSecond", { compare: "difference" }),
  row("CPU at 100 messages/s", ["paced-100"], "cpuMsPerSecond", {}),
];

/** The time by which a start may be longer than that of a program on the runtime's own sockets. */
const START_MS = 20;

/** The first second: compilers work beside the program. */
const START_ROWS: readonly Bar[] = [
  row("start to first echo", ["start"], "startMs", {
    compare: "difference",
    limits: both(START_MS),
  }),
  row("start to first echo, CPU", ["start"], "startCpuMs", { compare: "difference" }),
  row("start to first echo, sources", ["start"], "startMs", {
    subject: " files",
    compare: "difference",
  }),
  row("first second: CPU of an echo", ["first-second"], "cpuUs", {
    against: "C",
    limits: both(1.15),
  }),
  row("first second: CPU of an echo", ["first-second"], "cpuUs", {}),
  row("first second: p99", ["first-second"], "p99", { limits: both(1) }),
];

const CELLS = CASES.filter(({ group, work }) =>
  ["echo", "framed", "broadcast"].includes(group) && work.kind === "client"
);

const FRAMED = "framed-1-d32";
const ECHOES = ["echo-50x64", "echo-50x4096"];

/** The allowed cost of a ring for each direction, beside one ring for both. */
const TWO_RINGS = 1.3;
const TWO_RINGS_CASES = ["echo-1x64", ...ECHOES];

const PORTABLE_CASES = ["echo-1x64", "echo-50x64", "echo-8x65536"];

/** Rounds differ by more than this; what is slower by more is slower. */
const NOT_SLOWER = 1.02;

export const BARS: readonly Bar[] = [
  ...cost("CPU of an echo", ECHOES, "cpuUs", [1.08, 0.92, 0.78]),
  ...cost("CPU of a large echo", ["echo-8x65536"], "cpuUs", [1.1, 0.85, 0.9]),
  rate("round trips of one connection, spin on", "echo-1x64", 2.2, 2.5),
  rate("messages of four connections, spin on", "echo-4x64", 1.3, 1.8),
  rate("framed, depth 32, one send each", FRAMED, 5, 8),
  ...shown("framed, CPU of an answer", FRAMED, "cpuUs"),
  ...cost("CPU of a delivery, one to 200", ["broadcast-200x64"], "cpuUs", [1.1, 0.85, 0.6]),
  ...cost("CPU of a stream in", ["sink"], "cpuMsPerGib", [1.15, 1, 0.95]),
  ...cost("CPU of a stream out, user memory", ["source"], "cpuMsPerGib", [1.15, 1, 0.95]),
  ...shown("CPU of a stream out, pool memory", "source", "cpuMsPerGib", " pooled"),
  row("memory of a silent connection", ["idle-10000"], "bytesPerConnection", {
    limits: { bun: 1.5, deno: 0.15 },
  }),
  row("exact mode", ECHOES, "cpuUs", {
    subject: " exact",
    against: { peer: "" },
    compare: "difference",
    limits: both(0.3),
  }),
  row("metrics on", ECHOES, "cpuUs", {
    subject: " metrics",
    against: { peer: "" },
    limits: both(NOT_SLOWER),
  }),
  row("two rings: CPU of an echo", TWO_RINGS_CASES, "cpuUs", {
    subject: " split",
    against: { peer: "" },
    limits: both(TWO_RINGS),
  }),
  row("two rings: messages per second", TWO_RINGS_CASES, "messagesPerSecond", {
    subject: " split",
    against: { peer: "" },
    sense: "at least",
    limits: both(1 / TWO_RINGS),
  }),
  row("portable: CPU of an echo", PORTABLE_CASES, "cpuUs", {
    subject: " portable",
    limits: both(1.15),
  }),
  ...SPIN_ROWS,
  ...START_ROWS,
  row("p99", CELLS.map(({ name }) => name), "p99", { limits: both(1) }),
];

/** The cases that the bars are about, in the order of `CASES`. */
export function casesOfBars(): string[] {
  const needed = new Set(BARS.flatMap(({ cases }) => cases));
  return CASES.map(({ name }) => name).filter((name) => needed.has(name));
}

/** The name of the peer that a bar judges. */
export function subjectName({ subject }: Bar, runtime: BarRuntime): string {
  return `uringnet/${runtime}${subject}`;
}

/** The name of what a peer is measured against; null for the best of the C servers. */
export function otherName(bar: Bar, runtime: BarRuntime): string | null {
  const { against } = bar;
  if (against === "C") return null;
  if (against !== "own") return `uringnet/${runtime}${against.peer}`;
  return PEERS.find(({ name }) => name === subjectName(bar, runtime))?.own ?? null;
}

/** The peers of a case that the bars about it need, and no others: bars are many. */
export function peersOfBars(work: Case, parts: readonly string[] | null = null): Peer[] {
  const bars = BARS.filter(({ cases }) => cases.includes(work.name));
  const needed = new Set(
    bars.flatMap((bar) =>
      BAR_RUNTIMES.flatMap((runtime) => [subjectName(bar, runtime), otherName(bar, runtime)])
    ),
  );
  const floor = bars.some(({ against, metric }) =>
    against === "C" || (against === "own" && metric !== "p99")
  );
  return peersOf(work, parts).filter(({ name }) =>
    needed.has(name) || (floor && name.startsWith(FLOOR))
  );
}
