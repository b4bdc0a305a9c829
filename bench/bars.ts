/**
 * The bars: how close to the floor the library wants to be, and how far below the runtimes' own
 * sockets, as figures that a run either meets or does not. `bench/run.ts --bars` measures and
 * judges.
 *
 * @module
 */
import { CASES } from "./lib/cases.ts";
import { formatNumber, type MetricName } from "./lib/metrics.ts";
import { bestFloor, type CaseResult, findPeer, ratioTo, roundsOf } from "./lib/results.ts";
import { difference, type Spread } from "./lib/statistics.ts";
import { textTable } from "./lib/table.ts";

export type BarRuntime = "bun" | "deno";

export interface Bar {
  claim: string;
  cases: readonly string[];
  metric: MetricName;
  /**
   * What the figure is measured against: the better of the C servers on io_uring, the runtime's own
   * sockets, or, for exact mode, the same server with recvSome.
   */
  against: "C" | "own" | "recvSome";
  sense: "at most" | "at least";
  /** Ratios; microseconds against recvSome. */
  limits: Readonly<Record<BarRuntime, number>>;
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
  const common = { claim, cases, metric, sense: "at most" as const };
  return [
    { ...common, against: "C", limits: both(floor) },
    { ...common, against: "own", limits: { bun, deno } },
  ];
}

/** Messages per second against the runtime's own sockets. */
function rate(claim: string, name: string, bun: number, deno: number): Bar {
  return {
    claim,
    cases: [name],
    metric: "messagesPerSecond",
    against: "own",
    sense: "at least",
    limits: { bun, deno },
  };
}

const CELLS = CASES.filter(({ group, work }) =>
  ["echo", "framed", "broadcast"].includes(group) && work.kind === "client"
);

export const BARS: readonly Bar[] = [
  ...cost("CPU of an echo", ["echo-50x64", "echo-50x4096"], "cpuUs", [1.08, 0.92, 0.78]),
  ...cost("CPU of a large echo", ["echo-8x65536"], "cpuUs", [1.1, 0.85, 0.9]),
  rate("round trips of one connection, spin on", "echo-1x64", 2.2, 2.5),
  rate("round trips of four connections, spin on", "echo-4x64", 1.3, 1.8),
  rate("framed requests, depth 32", "framed-1-d32", 5, 8),
  ...cost("CPU of a delivery, one to 200", ["broadcast-200x64"], "cpuUs", [1.1, 0.85, 0.6]),
  ...cost("CPU of one-way streams", ["sink", "source"], "cpuMsPerGib", [1.15, 1, 0.95]),
  {
    claim: "memory of a silent connection",
    cases: ["idle-10000"],
    metric: "bytesPerConnection",
    against: "own",
    sense: "at most",
    limits: { bun: 1.5, deno: 0.15 },
  },
  {
    claim: "exact mode",
    cases: ["echo-50x64", "echo-50x4096"],
    metric: "cpuUs",
    against: "recvSome",
    sense: "at most",
    limits: both(0.3),
  },
  {
    claim: "p99",
    cases: CELLS.map(({ name }) => name),
    metric: "p99",
    against: "own",
    sense: "at most",
    limits: both(1),
  },
];

/** The cases that the bars are about, in the order of `CASES`. */
export function casesOfBars(): string[] {
  const needed = new Set(BARS.flatMap(({ cases }) => cases));
  return CASES.map(({ name }) => name).filter((name) => needed.has(name));
}

export interface Verdict {
  bar: Bar;
  runtime: BarRuntime;
  case: string;
  limit: number;
  /** Null when there is nothing to judge. */
  figure: Spread | null;
  /** By the median. Null when there is nothing to judge. */
  met: boolean | null;
}

function figureOf(bar: Bar, runtime: BarRuntime, result: CaseResult): Spread | null {
  const plain = findPeer(result, `uringnet/${runtime}`);
  if (bar.against === "recvSome") {
    const exact = findPeer(result, `uringnet/${runtime} exact`);
    if (plain === null || exact === null) return null;
    return difference(roundsOf(exact, bar.metric), roundsOf(plain, bar.metric));
  }
  if (plain === null) return null;
  const other = bar.against === "C" ? bestFloor(result) : findPeer(result, plain.own);
  return ratioTo(plain, other, bar.metric);
}

/** One verdict for each bar, runtime and case. */
export function judge(results: readonly CaseResult[], bars: readonly Bar[] = BARS): Verdict[] {
  return bars.flatMap((bar) =>
    bar.cases.flatMap((name) =>
      (["bun", "deno"] as const).map((runtime): Verdict => {
        const result = results.find((candidate) => candidate.case.name === name);
        const limit = bar.limits[runtime];
        const figure = result === undefined ? null : figureOf(bar, runtime, result);
        const median = figure?.median ?? null;
        const met = median === null
          ? null
          : bar.sense === "at most"
          ? median <= limit
          : median >= limit;
        return { bar, runtime, case: name, limit, figure, met };
      })
    )
  );
}

function row({ bar, runtime, case: name, limit, figure, met }: Verdict): string[] {
  const unit = bar.against === "recvSome" ? " us" : "";
  const show = (value: number) => formatNumber(value, 2);
  return [
    met === null ? "not measured" : met ? "met" : "NOT MET",
    bar.claim,
    name,
    runtime,
    bar.against,
    figure === null ? "-" : `${show(figure.median)}${unit}`,
    figure === null ? "-" : `${show(figure.min)}..${show(figure.max)}`,
    `${bar.sense} ${limit}${unit}`,
  ];
}

/** The columns before the figures. */
const TEXT_COLUMNS = 5;

/** The table of verdicts, with a count below. */
export function describeVerdicts(verdicts: readonly Verdict[]): string {
  const header = ["verdict", "claim", "case", "in", "against", "figure", "min..max", "bar"];
  const count = (wanted: boolean | null) => verdicts.filter(({ met }) => met === wanted).length;
  return [
    textTable(header, verdicts.map(row), TEXT_COLUMNS),
    "",
    `${count(true)} met, ${count(false)} not met, ${count(null)} not measured`,
  ].join("\n");
}
