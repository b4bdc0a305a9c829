/**
 * Which charts are drawn from which results: bars for each case, lines for each sweep.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { barChart, lineChart } from "./charts.ts";
import { type Case, sizeName } from "./cases.ts";
import { METRICS } from "./metrics.ts";
import { type CaseResult, findPeer, spreadOf } from "./results.ts";

/** Name of the file, without its ending, to its text. */
type Charts = Map<string, string>;

function axis({ primary }: Case): string {
  const { label, unit } = METRICS[primary];
  return `${label}${unit === "" ? "" : `, ${unit}`}`;
}

function barsOf(result: CaseResult): string | null {
  const { title, primary } = result.case;
  const bars = result.peers.flatMap((peer) => {
    const value = spreadOf(peer, primary);
    return value === null ? [] : [{ label: peer.peer, family: peer.family, value }];
  });
  if (bars.length === 0) return null;
  return barChart({ title, axis: axis(result.case), digits: METRICS[primary].digits, bars });
}

const SWEEP_AXES: Record<string, { title: string; xAxis: string }> = {
  "sweep-depth": { title: "echo, 50 x 64 B", xAxis: "messages in flight on each connection" },
  "sweep-connections": { title: "echo, 64 B", xAxis: "connections" },
  "iovec-bun": { title: "pieces in one send, Bun", xAxis: "pieces" },
  "iovec-deno": { title: "pieces in one send, Deno", xAxis: "pieces" },
  "sweep-size": { title: "echo, 8 connections", xAxis: "bytes of a message" },
};

function linesOf(group: string, results: readonly CaseResult[]): string | null {
  const first = results[0];
  const { primary } = first.case;
  const series = first.peers.map(({ peer }) => ({
    label: peer,
    values: results.map((result) => {
      const found = findPeer(result, peer);
      return found === null ? null : spreadOf(found, primary);
    }),
  })).filter(({ values }) => values.some((value) => value !== null));
  if (series.length === 0) return null;
  const xs = results.map(({ case: { x = 0 } }) => group === "sweep-size" ? sizeName(x) : String(x));
  const { title, xAxis } = SWEEP_AXES[group];
  const yAxis = axis(first.case);
  return lineChart({ title, xAxis, yAxis, xs, series });
}

/** A sweep needs two points at least. */
export function drawCharts(results: readonly CaseResult[]): Charts {
  const charts: Charts = new Map();
  const sweeps = new Map<string, CaseResult[]>();
  for (const result of results) {
    const { group, name, x } = result.case;
    if (result.skipped !== null) continue;
    if (x !== undefined) {
      sweeps.set(group, [...sweeps.get(group) ?? [], result]);
      continue;
    }
    const chart = barsOf(result);
    if (chart !== null) charts.set(name, chart);
  }
  for (const [group, points] of sweeps) {
    const chart = points.length < 2 ? null : linesOf(group, points);
    if (chart !== null) charts.set(group, chart);
  }
  return charts;
}

export function writeCharts(folder: string, charts: Charts): void {
  if (charts.size === 0) return;
  mkdirSync(folder, { recursive: true });
  for (const [name, chart] of charts) writeFileSync(join(folder, `${name}.svg`), chart);
}
