/**
 * Judges results by the bars: one row for each bar, case and runtime, with the figures of both
 * peers, what they are compared to, and why a row that has no verdict has none.
 *
 * @module
 */
import { type Bar, BAR_RUNTIMES, type BarRuntime, BARS, otherName, subjectName } from "../bars.ts";
import { formatNumber, METRICS } from "./metrics.ts";
import {
  bestFloor,
  type CaseResult,
  findPeer,
  FLOOR,
  type PeerResult,
  ratioTo,
  roundsOf,
  spreadOf,
} from "./results.ts";
import { difference, type Spread } from "./statistics.ts";
import { textTable } from "./table.ts";

export interface Verdict {
  bar: Bar;
  runtime: BarRuntime;
  case: string;
  /** Names of the two peers; that of a floor which was not measured is that of all floors. */
  subject: string;
  other: string;
  /** The cost of each of them. Null when it was not measured. */
  ours: Spread | null;
  theirs: Spread | null;
  /** The ratio or difference. Null when there is nothing to judge, */
  figure: Spread | null;
  /** and then why. */
  reason: string | null;
  /**
   * The figure of the best C server in our place, where we are compared with a runtime's own
   * sockets: a limit that it does not meet is beyond what io_uring gives.
   */
  floor: Spread | null;
  limit: number | null;
  /** By the median. Null when there is nothing to judge, or no limit. */
  met: boolean | null;
}

function compared(bar: Bar, subject: PeerResult, other: PeerResult): Spread | null {
  if (bar.compare === "ratio") return ratioTo(subject, other, bar.metric);
  return difference(roundsOf(subject, bar.metric), roundsOf(other, bar.metric));
}

function why(name: string, found: PeerResult | null): string {
  if (found === null) return `${name} took no part`;
  return `${name}: ${found.missing ?? found.failures.at(0) ?? "no figure"}`;
}

/** The verdict on one bar in one case and runtime. */
function verdictOn(
  bar: Bar,
  runtime: BarRuntime,
  name: string,
  result: CaseResult | undefined,
): Verdict {
  const subject = subjectName(bar, runtime);
  const limit = bar.limits?.[runtime] ?? null;
  const verdict: Verdict = {
    bar,
    runtime,
    case: name,
    subject,
    other: otherName(bar, runtime) ?? `${FLOOR}*`,
    ours: null,
    theirs: null,
    figure: null,
    reason: null,
    floor: null,
    limit,
    met: null,
  };
  if (result === undefined || result.skipped !== null) {
    return { ...verdict, reason: result?.skipped ?? "the case was not run" };
  }
  const mine = findPeer(result, subject);
  const other = bar.against === "C" ? bestFloor(result) : findPeer(result, verdict.other);
  verdict.other = other?.peer ?? verdict.other;
  verdict.ours = mine === null ? null : spreadOf(mine, bar.metric);
  verdict.theirs = other === null ? null : spreadOf(other, bar.metric);
  if (mine === null || verdict.ours === null) return { ...verdict, reason: why(subject, mine) };
  if (other === null || verdict.theirs === null) {
    return { ...verdict, reason: why(verdict.other, other) };
  }
  const figure = compared(bar, mine, other);
  if (figure === null) return { ...verdict, reason: "no round has both" };
  verdict.figure = figure;
  const floor = bar.against === "own" ? bestFloor(result) : null;
  if (floor !== null) verdict.floor = compared(bar, floor, other);
  if (limit === null) return verdict;
  verdict.met = bar.sense === "at most" ? figure.median <= limit : figure.median >= limit;
  return verdict;
}

/** One verdict for each bar, case and runtime. */
export function judge(results: readonly CaseResult[], bars: readonly Bar[] = BARS): Verdict[] {
  return bars.flatMap((bar) =>
    bar.cases.flatMap((name) => {
      const result = results.find((candidate) => candidate.case.name === name);
      return BAR_RUNTIMES.map((runtime) => verdictOn(bar, runtime, name, result));
    })
  );
}

/** In one word what came out. */
function word({ figure, met }: Verdict): string {
  if (figure === null) return "not measured";
  if (met === null) return "shown";
  return met ? "met" : "NOT MET";
}

function cells(verdict: Verdict): string[] {
  const { bar, figure, floor, ours, theirs, limit } = verdict;
  const { digits, unit } = METRICS[bar.metric];
  const value = (spread: Spread | null) =>
    spread === null ? "-" : `${formatNumber(spread.median, digits)} ${unit || "/s"}`;
  const show = (number: number) => formatNumber(number, 2);
  const suffix = bar.compare === "difference" ? ` ${unit}` : "";
  return [
    word(verdict),
    bar.claim,
    verdict.case,
    verdict.subject,
    verdict.other,
    value(ours),
    value(theirs),
    figure === null ? "-" : `${show(figure.median)}${suffix}`,
    figure === null ? "-" : `${show(figure.min)}..${show(figure.max)}`,
    floor === null ? "" : `${show(floor.median)}${suffix}`,
    limit === null ? "" : `${bar.sense} ${limit}${suffix}`,
  ];
}

const HEADER = [
  "verdict",
  "claim",
  "case",
  "peer",
  "against",
  "its figure",
  "the other's",
  "ratio",
  "min..max",
  "C has",
  "bar",
];

/** The columns before the figures. */
const TEXT_COLUMNS = 5;

/** The table of verdicts, with a count and the reasons of those that are missing below. */
export function describeVerdicts(verdicts: readonly Verdict[]): string {
  const count = (wanted: string) => verdicts.filter((verdict) => word(verdict) === wanted).length;
  const missing = verdicts.flatMap(({ bar, case: name, subject, reason }) =>
    reason === null ? [] : [`  not measured: ${bar.claim}, ${name}, ${subject}: ${reason}`]
  );
  return [
    textTable(HEADER, verdicts.map(cells), TEXT_COLUMNS),
    "",
    `${count("met")} met, ${count("NOT MET")} not met, ${count("shown")} shown, ` +
    `${count("not measured")} not measured`,
    ...missing,
  ].join("\n");
}
