/**
 * Results as text: one table for each case.
 *
 * @module
 */
import { formatNumber, formatRange, type MetricName, METRICS } from "./metrics.ts";
import {
  bestFloor,
  type CaseResult,
  findPeer,
  type PeerResult,
  ratioTo,
  spreadOf,
} from "./results.ts";

/** Columns as wide as their widest cell; the first `left` ones flush left, the others right. */
export function textTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  left = 1,
): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length))
  );
  const line = (cells: readonly string[]) =>
    widths.map((width, column) => {
      const cell = cells[column] ?? "";
      return column < left ? cell.padEnd(width) : cell.padStart(width);
    }).join("  ").trimEnd();
  return [header, ...rows].map(line).join("\n");
}

function heading(metric: MetricName): string {
  const { label, unit } = METRICS[metric];
  return unit === "" ? label : `${label} ${unit}`;
}

function median(peer: PeerResult, metric: MetricName): string {
  const found = spreadOf(peer, metric);
  return found === null ? "-" : formatNumber(found.median, METRICS[metric].digits);
}

function range(peer: PeerResult, metric: MetricName): string {
  const found = spreadOf(peer, metric);
  return found === null ? "-" : formatRange(found, METRICS[metric].digits);
}

function times(peer: PeerResult, other: PeerResult | null, metric: MetricName): string {
  const found = ratioTo(peer, other, metric);
  return found === null ? "-" : formatNumber(found.median, 2);
}

/** The notes for a reader about incomplete rows. */
function remarks(result: CaseResult): string[] {
  return result.peers.flatMap(({ peer, missing, failures }) => [
    ...(missing === null ? [] : [`  missing: ${peer}: ${missing}`]),
    ...failures.map((failure) => `  failed: ${peer}, ${failure}`),
  ]);
}

/** Every peer that could not run, once, with the reason. */
export function missingPeers(results: readonly CaseResult[]): string[] {
  const lines = results.flatMap(({ peers }) =>
    peers.flatMap(({ peer, missing }) => missing === null ? [] : [`  ${peer}: ${missing}`])
  );
  const skipped = results.filter((result) => result.skipped !== null)
    .map((result) => `  all of ${result.case.name}: ${result.skipped}`);
  return [...new Set([...lines, ...skipped])];
}

export function caseTable(result: CaseResult): string {
  const { title, name, primary, others } = result.case;
  const heads = `${name}: ${title}`;
  if (result.skipped !== null) return `${heads}\n  not measured: ${result.skipped}`;
  const floor = bestFloor(result);
  const hasRate = others.includes("messagesPerSecond");
  const header = [
    "peer",
    heading(primary),
    "min..max",
    "/ C",
    "/ own",
    ...others.map(heading),
    ...(hasRate ? ["rate / own"] : []),
  ];
  const rows = result.peers.filter(({ missing }) => missing === null).map((peer) => {
    const own = findPeer(result, peer.own);
    return [
      peer.peer,
      median(peer, primary),
      range(peer, primary),
      times(peer, floor, primary),
      times(peer, own, primary),
      ...others.map((metric) => median(peer, metric)),
      ...(hasRate ? [times(peer, own, "messagesPerSecond")] : []),
    ];
  });
  const notes = floor === null ? [] : [`  "/ C" is against ${floor.peer}`];
  return [heads, textTable(header, rows), ...notes, ...remarks(result)].join("\n");
}

/** A sweep at a glance: the first figure of each peer over the values of x. */
export function sweepTable(results: readonly CaseResult[]): string {
  const measured = results.filter(({ skipped }) => skipped === null);
  if (measured.length === 0) return results.map(caseTable).join("\n");
  const { group, primary } = measured[0].case;
  const header = [heading(primary), ...measured.map(({ case: { x } }) => String(x))];
  const rows = measured[0].peers.map(({ peer }) => [
    peer,
    ...measured.map((result) => {
      const found = findPeer(result, peer);
      return found === null ? "-" : median(found, primary);
    }),
  ]);
  return [group, textTable(header, rows)].join("\n");
}
