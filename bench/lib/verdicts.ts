/**
 * Judges results by the bars: one row for each bar, case and runtime, with the figures of both
 * peers, what they are compared to, the noise of the same run, and why a row that has no verdict
 * has none.
 *
 *   results -> noise of the twins -> verdicts -> a table on the terminal, lib/report.ts for a page
 *
 * @module
 */
import { type Bar, BAR_RUNTIMES, type BarRuntime, BARS, otherName, subjectName } from "../bars.ts";
import { formatNumber, METRICS } from "./metrics.ts";
import { formatNoise, type Noise, noiseBeside, noisesOf } from "./noise.ts";
import { FLOOR } from "./peers.ts";
import {
  bestFloor,
  type CaseResult,
  findPeer,
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
  /**
   * Names of the two peers; that of a floor which was not measured is that of all floors, and a
   * figure that is compared with nothing has none.
   */
  subject: string;
  other: string;
  /** The cost of each of them. Null when it was not measured. */
  ours: Spread | null;
  theirs: Spread | null;
  /** The ratio, the difference or the figure itself. Null when there is nothing to judge, */
  figure: Spread | null;
  /** and then why. */
  reason: string | null;
  /**
   * The figure of the best C server in our place, where we are compared with a runtime's own
   * sockets: a limit that it does not meet is beyond what io_uring gives.
   */
  floor: Spread | null;
  limit: number | null;
  /** By the median, or by `or`. Null when there is nothing to judge, or no limit. */
  met: boolean | null;
  /** The other figure by which the bar can be met. */
  or: Verdict | null;
  /** The ratio of a C server to itself in the same run; null where it says nothing. */
  noise: Noise | null;
}

function compared(bar: Bar, subject: PeerResult, other: PeerResult): Spread | null {
  if (bar.compare === "figure") return spreadOf(subject, bar.metric);
  if (bar.compare === "ratio") return ratioTo(subject, other, bar.metric);
  return difference(roundsOf(subject, bar.metric), roundsOf(other, bar.metric));
}

function why(name: string, found: PeerResult | null): string {
  if (found === null) return `${name} took no part`;
  return `${name}: ${found.missing ?? found.failures.at(0) ?? "no figure"}`;
}

/** A row without any figure. */
function blankVerdict(bar: Bar, runtime: BarRuntime, name: string): Verdict {
  return {
    bar,
    runtime,
    case: name,
    subject: subjectName(bar, runtime),
    other: bar.against === null ? "" : otherName(bar, runtime) ?? `${FLOOR}*`,
    ours: null,
    theirs: null,
    figure: null,
    reason: null,
    floor: null,
    limit: bar.limits?.[runtime] ?? null,
    met: null,
    or: null,
    noise: null,
  };
}

/** The peer that a bar compares with; a figure stands by itself. */
function referenceOf(bar: Bar, other: string, subject: PeerResult | null, result: CaseResult) {
  if (bar.against === null) return subject;
  return bar.against === "C" ? bestFloor(result) : findPeer(result, other);
}

/** The verdict by the first figure of a bar, in one case and runtime. */
function verdictByFigure(
  bar: Bar,
  runtime: BarRuntime,
  name: string,
  result: CaseResult | undefined,
): Verdict {
  const verdict = blankVerdict(bar, runtime, name);
  const { subject, limit } = verdict;
  if (result === undefined || result.skipped !== null) {
    return { ...verdict, reason: result?.skipped ?? "the case was not run" };
  }
  const mine = findPeer(result, subject);
  const other = referenceOf(bar, verdict.other, mine, result);
  verdict.ours = mine === null ? null : spreadOf(mine, bar.metric);
  if (mine === null || verdict.ours === null) return { ...verdict, reason: why(subject, mine) };
  if (bar.against !== null) {
    verdict.other = other?.peer ?? verdict.other;
    verdict.theirs = other === null ? null : spreadOf(other, bar.metric);
    if (verdict.theirs === null) return { ...verdict, reason: why(verdict.other, other) };
  }
  const figure = compared(bar, mine, other as PeerResult);
  if (figure === null) return { ...verdict, reason: "no round has both" };
  verdict.figure = figure;
  const floor = bar.against === "own" ? bestFloor(result) : null;
  if (floor !== null) verdict.floor = compared(bar, floor, other as PeerResult);
  if (limit === null) return verdict;
  verdict.met = bar.sense === "at most" ? figure.median <= limit : figure.median >= limit;
  return verdict;
}

/** The verdict on one bar in one case and runtime. */
function verdictOn(
  bar: Bar,
  runtime: BarRuntime,
  name: string,
  result: CaseResult | undefined,
): Verdict {
  const { or: second, ...first } = bar;
  const verdict = { ...verdictByFigure(first, runtime, name, result), bar };
  if (second === undefined) return verdict;
  const or = verdictByFigure({ ...first, ...second }, runtime, name, result);
  return { ...verdict, or, met: verdict.met === null ? or.met : verdict.met || or.met === true };
}

/** One verdict for each bar, case and runtime. */
export function judge(results: readonly CaseResult[], bars: readonly Bar[] = BARS): Verdict[] {
  const noises = noisesOf(results);
  return bars.flatMap((bar) =>
    bar.cases.flatMap((name) => {
      const result = results.find((candidate) => candidate.case.name === name);
      const noise = bar.compare === "ratio" ? noiseBeside(noises, name, bar.metric) : null;
      return BAR_RUNTIMES.map((runtime) => ({
        ...verdictOn(bar, runtime, name, result),
        noise,
      }));
    })
  );
}

/** In one word what came out. */
export function word({ figure, met }: Verdict): "not measured" | "shown" | "met" | "NOT MET" {
  if (figure === null) return "not measured";
  if (met === null) return "shown";
  return met ? "met" : "NOT MET";
}

/** Enough digits to tell a bar from what is just above it; fewer where the numbers are large. */
export function formatCompared(value: number, { compare, metric }: Bar): string {
  if (compare === "figure") return formatNumber(value, METRICS[metric].digits);
  if (compare === "difference") return formatNumber(value, 2);
  return formatNumber(value, Math.abs(value) < 1.995 ? 3 : 2);
}

/** A part of a verdict as text; where a bar can be met in two ways, that part of both. */
export function withOr(verdict: Verdict, show: (verdict: Verdict) => string): string {
  const first = show(verdict);
  return verdict.or === null || first === "" ? first : `${first} or ${show(verdict.or)}`;
}

/** The unit of what is compared, with a space before it; ratios have none. */
export function comparedUnit({ compare, metric }: Bar): string {
  return compare === "ratio" ? "" : ` ${METRICS[metric].unit}`;
}

/** "4.51 us", or what stands for nothing. */
export function formatValue(spread: Spread | null, { metric }: Bar): string {
  if (spread === null) return "-";
  const { digits, unit } = METRICS[metric];
  return `${formatNumber(spread.median, digits)} ${unit || "/s"}`;
}

function comparedText({ figure, bar }: Verdict): string {
  return figure === null ? "-" : `${formatCompared(figure.median, bar)}${comparedUnit(bar)}`;
}

/** The least and the greatest round of a comparison. */
export function rangeText({ figure, bar }: Verdict): string {
  if (figure === null) return "-";
  return `${formatCompared(figure.min, bar)}..${formatCompared(figure.max, bar)}`;
}

function cells(verdict: Verdict): string[] {
  const { bar, floor, noise } = verdict;
  return [
    word(verdict),
    bar.claim,
    verdict.case,
    verdict.subject,
    verdict.other,
    withOr(verdict, ({ ours, bar }) => formatValue(ours, bar)),
    bar.against === null ? "" : withOr(verdict, ({ theirs, bar }) => formatValue(theirs, bar)),
    withOr(verdict, comparedText),
    withOr(verdict, rangeText),
    noise === null ? "" : formatNoise(noise, verdict.case),
    floor === null ? "" : `${formatCompared(floor.median, bar)}${comparedUnit(bar)}`,
    withOr(
      verdict,
      ({ limit, bar }) => limit === null ? "" : `${bar.sense} ${limit}${comparedUnit(bar)}`,
    ),
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
  "compared",
  "min..max",
  "noise",
  "C has",
  "bar",
];

/** The columns before the figures. */
const TEXT_COLUMNS = 5;

/** The table of verdicts, with a count and the reasons of those that are missing below. */
export function describeVerdicts(verdicts: readonly Verdict[]): string {
  const missing = verdicts.flatMap(({ bar, case: name, subject, reason }) =>
    reason === null ? [] : [`  not measured: ${bar.claim}, ${name}, ${subject}: ${reason}`]
  );
  return [
    textTable(HEADER, verdicts.map(cells), TEXT_COLUMNS),
    "",
    countVerdicts(verdicts),
    ...missing,
  ].join("\n");
}

/** "56 met, 20 not met, 9 shown, 0 not measured" */
export function countVerdicts(verdicts: readonly Verdict[]): string {
  const count = (wanted: string) => verdicts.filter((verdict) => word(verdict) === wanted).length;
  return `${count("met")} met, ${count("NOT MET")} not met, ${count("shown")} shown, ` +
    `${count("not measured")} not measured`;
}
