/**
 * A run of the bars as Markdown, so that a page has what the run has, and nothing is copied by
 * hand: what the machine was, each bar with its ratio and range, the figures behind the ratios, and
 * the noise of the run.
 *
 *   record -> verdicts -> bars.md beside the record; with --publish into docs/PERFORMANCE.md and
 *   README.md, each between a pair of marks
 *
 * @module
 */
import { type Bar, BAR_RUNTIMES, BARS } from "../bars.ts";
import { describeMachine } from "./machine.ts";
import { formatNumber, formatRange, METRICS } from "./metrics.ts";
import { formatNoise, NOISE_METRICS, noisesOf } from "./noise.ts";
import { formatSeconds } from "./progress.ts";
import {
  bestFloor,
  type CaseResult,
  findPeer,
  type PeerResult,
  type RunRecord,
  spreadOf,
} from "./results.ts";
import type { Spread } from "./statistics.ts";
import {
  comparedUnit,
  countVerdicts,
  formatCompared,
  formatValue,
  judge,
  rangeText,
  type Verdict,
  withOr,
  word,
} from "./verdicts.ts";

/** A table; its cells are Markdown already. */
export function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|${header.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

/** The verdicts on one bar in one case, one for each runtime. */
type Row = readonly Verdict[];

function rowsOf(verdicts: readonly Verdict[]): Row[] {
  const rows = new Map<string, Verdict[]>();
  for (const verdict of verdicts) {
    const { bar: { claim, subject }, case: name } = verdict;
    const key = `${claim}/${subject}/${name}`;
    rows.set(key, [...rows.get(key) ?? [], verdict]);
  }
  return [...rows.values()];
}

/** "at most 1.03", and both limits where the runtimes have different ones. */
function limitText([verdict]: Row): string {
  return withOr(verdict, ({ bar }) => {
    if (bar.limits === null) return "";
    const limits = new Set(BAR_RUNTIMES.map((runtime) => bar.limits?.[runtime] as number));
    const numbers = [...limits].map((limit) =>
      formatNumber(limit, Number.isInteger(limit) ? 0 : 2)
    );
    return `${bar.sense} ${numbers.join(" / ")}${comparedUnit(bar)}`;
  });
}

/** "1.021 (0.98..1.05)", in bold where a bar is not met. */
function ratioText(verdict: Verdict): string {
  if (verdict.figure === null) return "not measured";
  const text = withOr(verdict, (one) => {
    if (one.figure === null) return "not measured";
    return `${formatCompared(one.figure.median, one.bar)} (${rangeText(one)})`;
  });
  return word(verdict) === "NOT MET" ? `**${text}**` : text;
}

function noiseText([{ noise, case: name }]: Row): string {
  return noise === null ? "" : formatNoise(noise, name);
}

/** "4.51 us (4.44..4.65)" */
function valueText(spread: Spread | null, bar: Bar): string {
  if (spread === null) return "-";
  return `${formatValue(spread, bar)} (${formatRange(spread, METRICS[bar.metric].digits)})`;
}

function caseText([{ case: name }]: Row): string {
  return `\`${name}\``;
}

function judgedTable(rows: readonly Row[]): string {
  return markdownTable(
    ["cell", "case", "bar", "Bun", "Deno", "noise"],
    rows.map((row) => [
      row[0].bar.claim,
      caseText(row),
      limitText(row),
      ...row.map(ratioText),
      noiseText(row),
    ]),
  );
}

function shownTable(rows: readonly Row[]): string {
  return markdownTable(
    ["figure", "case", "Bun", "Deno", "noise"],
    rows.map((row) => [row[0].bar.claim, caseText(row), ...row.map(ratioText), noiseText(row)]),
  );
}

/** The figures that the ratios were made from. */
function figuresTable(rows: readonly Row[]): string {
  return markdownTable(
    ["cell", "case", "uringnet, Bun", "the other", "uringnet, Deno", "the other"],
    rows.map((row) => [
      row[0].bar.claim,
      caseText(row),
      ...row.flatMap((verdict) => [
        withOr(verdict, ({ ours, bar }) => valueText(ours, bar)),
        verdict.bar.against === null
          ? ""
          : withOr(verdict, ({ theirs, bar }) => valueText(theirs, bar)),
      ]),
    ]),
  );
}

/** The C server against itself. Empty where no case had a twin. */
function noiseTable(results: readonly CaseResult[]): string {
  const noises = noisesOf(results);
  const names = [...new Set(noises.map((noise) => noise.case))];
  const cell = (name: string, metric: string) => {
    const found = noises.find((noise) => noise.case === name && noise.metric === metric);
    if (found === undefined) return "-";
    return `${formatNumber(found.ratio.median, 3)} (${formatRange(found.ratio, 2)})`;
  };
  return markdownTable(
    ["case", "C server", ...NOISE_METRICS.map((metric) => METRICS[metric].label)],
    names.map((name) => [
      `\`${name}\``,
      noises.find((noise) => noise.case === name)?.peer ?? "",
      ...NOISE_METRICS.map((metric) => cell(name, metric)),
    ]),
  );
}

function runText({ date, commandLine, machine, rounds, tookSeconds, results }: RunRecord): string {
  const seconds = Math.min(...results.map((result) => result.seconds));
  return [
    `\`${commandLine}\`, ${date.slice(0, 16).replace("T", " ")} UTC, ${
      formatSeconds(tookSeconds)
    }: ${results.length} cases, ${rounds} interleaved rounds of ${seconds} s or more.`,
    ...describeMachine(machine).split("\n").map((line) => `${line}.`),
  ].join("\n");
}

/** The whole report. */
export function barsReport(record: RunRecord, bars: readonly Bar[] = BARS): string {
  const verdicts = judge(record.results, bars);
  const rows = rowsOf(verdicts);
  const judged = rows.filter(([{ bar }]) => bar.limits !== null);
  const shown = rows.filter(([{ bar }]) => bar.limits === null);
  const missing = verdicts.flatMap(({ reason, subject, case: name }) =>
    reason === null ? [] : [`- \`${name}\`, ${subject}: ${reason}`]
  );
  return [
    runText(record),
    `Rows of a cell and a runtime: ${
      countVerdicts(verdicts)
    }. Ratios are medians of the ratios of ` +
    "each round, with the least and the greatest in brackets. In bold: the bar is not met. " +
    "*Noise* is the range of the C server against itself in the same case or, after `~`, in the " +
    "noisiest one.",
    judgedTable(judged),
    "The figures that are compared:",
    figuresTable(judged),
    "Beside the bars, without a limit:",
    shownTable(shown),
    "The C server against a second instance of itself:",
    noiseTable(record.results),
    ...missing.length === 0 ? [] : ["Not measured:", missing.join("\n")],
  ].join("\n\n");
}

/** The echoes of README.md, and how they are named there. */
const ECHO_CASES = [
  ["echo-1x64", "1 x 64"],
  ["echo-4x64", "4 x 64"],
  ["echo-50x64", "50 x 64"],
  ["echo-50x4096", "50 x 4,096"],
  ["echo-8x65536", "8 x 65,536"],
  ["connections-5000", "5,000 x 64"],
] as const;

const ECHO_PEERS = ["uringnet/bun", "Bun.listen", "uringnet/deno", "Deno.listen"] as const;

/** "4.86, 203 k": the CPU of an echo and how many there are in a second. */
function echoText(peer: PeerResult | null): string {
  const cpu = peer === null ? null : spreadOf(peer, "cpuUs");
  const rate = peer === null ? null : spreadOf(peer, "messagesPerSecond");
  if (cpu === null || rate === null) return "-";
  return `${formatNumber(cpu.median, 1)}, ${formatNumber(rate.median / 1_000, 0)} k`;
}

/** The table of README.md; a case that was not run has no row. */
export function echoTable({ results }: RunRecord): string {
  const rows = ECHO_CASES.flatMap(([name, label]) => {
    const result = results.find((candidate) => candidate.case.name === name);
    if (result === undefined) return [];
    const peers = ECHO_PEERS.map((peer) => findPeer(result, peer));
    return [[label, ...[...peers, bestFloor(result)].map(echoText)]];
  });
  return markdownTable([
    "connections x bytes",
    "uringnet, Bun",
    "`Bun.listen`",
    "uringnet, Deno",
    "`Deno.listen`",
    "C, io_uring",
  ], rows);
}

/** Replaces what is between `<!-- name -->` and `<!-- /name -->`, which a page has once each. */
export function replaceBlock(page: string, name: string, content: string): string {
  const [before, rest, ...more] = page.split(`<!-- ${name} -->`);
  const [old, after, ...others] = (rest ?? "").split(`<!-- /${name} -->`);
  if (old === undefined || after === undefined || more.length > 0 || others.length > 0) {
    throw new Error(`Cannot replace block "${name}": wanted one pair of marks in the page`);
  }
  return `${before}<!-- ${name} -->\n\n${content.trim()}\n\n<!-- /${name} -->${after}`;
}
