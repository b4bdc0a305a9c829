/**
 * The bars: how close to the floor the library wants to be, and how far below the runtimes' own
 * sockets, as figures that a run either meets or does not. `bench/run.ts --bars` measures them,
 * bench/lib/verdicts.ts judges, bench/lib/report.ts writes them down. Some rows have no limit: they
 * show a cost or a gain beside the bars, at little time.
 *
 * @module
 */
import { type Case, CASES } from "./lib/cases.ts";
import type { MetricName } from "./lib/metrics.ts";
import { isFloor, type Peer, PEERS, peersOf, TWIN } from "./lib/peers.ts";

export type BarRuntime = "bun" | "deno";

/** The limit of a figure, in each runtime. */
interface Limit {
  metric: MetricName;
  sense: "at most" | "at least";
  /** Null shows the figure and judges nothing. */
  limits: Readonly<Record<BarRuntime, number>> | null;
}

export interface Bar extends Limit {
  claim: string;
  cases: readonly string[];
  /** Which of the library's peers is judged, as it is named after the runtime: "", " exact". */
  subject: string;
  /**
   * The references of a bar: the best of the C servers on io_uring, the runtime's own sockets, the
   * library's peer that differs in one thing, or none.
   */
  against: "C" | "own" | { peer: string } | null;
  /** Ratios, differences in the metric's unit, or, without a reference, the figure itself. */
  compare: "ratio" | "difference" | "figure";
  /** Another figure of the same comparison: whichever of the two is reached meets the bar. */
  or?: Limit;
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

/** CPU against the best C server. */
function ofC(claim: string, cases: readonly string[], metric: MetricName, limit: number): Bar {
  return row(claim, cases, metric, { against: "C", limits: both(limit) });
}

/** A figure that has a limit of its own. */
function figure(claim: string, name: string, metric: MetricName, limits: Bar["limits"]): Bar {
  return row(claim, [name], metric, { against: null, compare: "figure", limits });
}

const ECHOES = ["echo-50x64", "echo-50x4096"];
const MANY = ["connections-500", "connections-2000", "connections-5000"];
const NO_SPIN = " no spin";

const WARM_BARS: readonly Bar[] = [
  ofC("echo, CPU of C", ECHOES, "cpuUs", 1.03),
  ofC("echo of 64 KiB, CPU of C", ["echo-8x65536"], "cpuUs", 1.05),
  ofC("many connections, CPU of C", MANY, "cpuUs", 1.15),
  ofC("stream into the program, CPU of C", ["sink"], "cpuMsPerGib", 1.15),
  row("broadcast to 200, CPU of own", ["broadcast-200x64"], "cpuUs", {
    limits: { bun: 0.9, deno: 0.75 },
  }),
  row("connect, echo, close, CPU of own", ["churn"], "cpuUs", {
    limits: { bun: 0.85, deno: 0.75 },
  }),
];

/** One connection, and one that is rarely used: the price of a sleep. */
const SLEEP_BARS: readonly Bar[] = [
  row("one connection, no spinning, CPU of own", ["echo-1x64"], "cpuUs", {
    subject: NO_SPIN,
    limits: both(1.2),
  }),
  row("one connection, no spinning, rate of own", ["echo-1x64"], "messagesPerSecond", {
    subject: NO_SPIN,
    sense: "at least",
    limits: both(0.95),
  }),
  row("one connection, spinning, CPU or rate of own", ["echo-1x64"], "cpuUs", {
    limits: both(1.1),
    or: { metric: "messagesPerSecond", sense: "at least", limits: both(1.5) },
  }),
  row("100 messages per second, CPU of own", ["paced-100"], "cpuMsPerSecond", {
    limits: both(1.2),
  }),
];

/** The time by which a start may be longer than that of a program on the runtime's own sockets. */
const START_MS = 20;

/** The longest time for which a closing network may keep the event loop. */
const GAP_MS = 10;

const START_BARS: readonly Bar[] = [
  row("start to first echo, more than own", ["start"], "startMs", {
    compare: "difference",
    limits: both(START_MS),
  }),
  ofC("first second, CPU of C", ["first-second"], "cpuUs", 1.15),
];

const TWO_RINGS_CASES = ["echo-1x64", "echo-50x64"];
const PORTABLE_CASES = ["echo-1x64", "echo-50x64", "echo-8x65536"];

/** Every cell in which messages come back. */
const P99_CASES = [
  "first-second",
  "echo-1x64",
  ...ECHOES,
  "echo-8x65536",
  ...MANY,
  "broadcast-200x64",
  "churn",
  "paced-100",
];

/** Figures beside the bars, without a limit. */
const SHOWN: readonly Bar[] = [
  row("CPU of own", ["echo-4x64", ...ECHOES, "echo-8x65536", ...MANY], "cpuUs", {}),
  row("CPU of own", ["sink"], "cpuMsPerGib", {}),
  row("CPU of C", ["broadcast-200x64", "churn"], "cpuUs", { against: "C" }),
  row("first second, CPU of own", ["first-second"], "cpuUs", {}),
  row("start to first echo, CPU more than own", ["start"], "startCpuMs", {
    compare: "difference",
  }),
  row("idle connection, bytes of own", ["idle-10000"], "bytesPerConnection", {}),
  row("four connections, rate of own", ["echo-4x64"], "messagesPerSecond", {}),
  row("framed requests, depth 32, rate of own", ["framed-1-d32"], "messagesPerSecond", {}),
  row("spinning, rate of no spinning", ["echo-1x64"], "messagesPerSecond", {
    against: { peer: NO_SPIN },
  }),
  row("exact lengths, CPU of recvSome()", ["echo-50x64"], "cpuUs", {
    subject: " exact",
    against: { peer: "" },
  }),
  row("metrics on, CPU of metrics off", ["echo-50x64"], "cpuUs", {
    subject: " metrics",
    against: { peer: "" },
  }),
];

export const BARS: readonly Bar[] = [
  ...START_BARS,
  ...WARM_BARS,
  ...SLEEP_BARS,
  figure("longest turn that close() withholds", "closing-unread", "gapMs", both(GAP_MS)),
  figure("idle connection", "idle-10000", "bytesPerConnection", { bun: 1_200, deno: 1_500 }),
  row("topology split, CPU of shared", TWO_RINGS_CASES, "cpuUs", {
    subject: " split",
    against: { peer: "" },
    limits: both(1.1),
  }),
  row("portable, CPU of node:net", PORTABLE_CASES, "cpuUs", {
    subject: " portable",
    limits: both(1.15),
  }),
  row("p99 of own", P99_CASES, "p99", { limits: both(1) }),
  row("no spinning, p99 of own", ["echo-1x64"], "p99", { subject: NO_SPIN, limits: both(1) }),
  ...SHOWN,
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

/** The name of what a peer is compared with; null for the best of the C servers, and for none. */
export function otherName(bar: Bar, runtime: BarRuntime): string | null {
  const { against } = bar;
  if (against === "C" || against === null) return null;
  if (against !== "own") return `uringnet/${runtime}${against.peer}`;
  return PEERS.find(({ name }) => name === subjectName(bar, runtime))?.own ?? null;
}

const FLOOR_METRICS: readonly MetricName[] = ["cpuUs", "cpuMsPerGib"];

/** The peers of a case that the bars about it need, and no others: bars are many. */
export function peersOfBars(work: Case, parts: readonly string[] | null = null): Peer[] {
  const bars = BARS.filter(({ cases }) => cases.includes(work.name));
  const needed = new Set(
    bars.flatMap((bar) =>
      BAR_RUNTIMES.flatMap((runtime) => [subjectName(bar, runtime), otherName(bar, runtime)])
    ),
  );
  // Beside a runtime's own sockets C shows how much is possible, where that takes little time.
  const floor = bars.some(({ against, metric }) =>
    against === "C" || (against === "own" && FLOOR_METRICS.includes(metric))
  );
  return peersOf(work, parts).filter(({ name }) =>
    needed.has(name) || (floor && (isFloor(name) || name.endsWith(TWIN)))
  );
}
