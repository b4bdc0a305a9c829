/**
 * Which charts are drawn from which results: bars for each case, lines for each sweep.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { barChart, lineChart } from "./charts.ts";
import { type Case, sizeName, type SweepWork } from "./cases.ts";
import { METRICS } from "./metrics.ts";
import { type CaseResult, findPeer, spreadOf } from "./results.ts";

/** Name of the file, without its ending, to its text. */
type Charts = Map<string, string>;

function axis({ primary }: Case): string {
  const { axis, unit } = METRICS[primary];
  return `${axis}${unit === "" ? "" : `, ${unit}`}`;
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

interface SweepAxis {
  title: string;
  xAxis: string;
}

const SWEEP_AXES: Record<string, SweepAxis> = {
  "sweep-depth": {
    title: "Echo of 64 B over 50 connections",
    xAxis: "messages in flight on each connection",
  },
  "sweep-connections": { title: "Echo of 64 B", xAxis: "connections" },
  "sweep-size": { title: "Echo over 8 connections", xAxis: "size of a message" },
  workers: { title: "Echo of 64 B over 50 connections", xAxis: "workers of the server" },
};

const PIECE_AXES: Record<SweepWork["over"], SweepAxis> = {
  pieces: { title: "Pieces in one send", xAxis: "pieces" },
  threshold: { title: "16 pieces in one send: copied or not", xAxis: "size of a piece" },
  batch: { title: "64 pieces in one send", xAxis: "iovecs in one operation" },
};

const RUNTIME_NAMES: Record<string, string> = { bun: "Bun", deno: "Deno" };

function axesOf({ work, group }: Case): SweepAxis {
  if (work.kind !== "sweep") return SWEEP_AXES[group];
  const { title, xAxis } = PIECE_AXES[work.over];
  return { title: `${title}, ${RUNTIME_NAMES[group.split("-").at(-1) as string]}`, xAxis };
}

/** Whether the values of x are bytes. */
function inBytes({ work, group }: Case): boolean {
  return group === "sweep-size" || (work.kind === "sweep" && work.over === "threshold");
}

function linesOf(results: readonly CaseResult[]): string | null {
  const first = results[0];
  const { primary } = first.case;
  const series = first.peers.map(({ peer, family }) => ({
    label: peer,
    family,
    values: results.map((result) => {
      const found = findPeer(result, peer);
      return found === null ? null : spreadOf(found, primary);
    }),
  })).filter(({ values }) => values.some((value) => value !== null));
  if (series.length === 0) return null;
  const bytes = inBytes(first.case);
  const xs = results.map(({ case: { x = 0 } }) => bytes ? sizeName(x) : x.toLocaleString("en-US"));
  const { title, xAxis } = axesOf(first.case);
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
    const chart = points.length < 2 ? null : linesOf(points);
    if (chart !== null) charts.set(group, chart);
  }
  return charts;
}

export function writeCharts(folder: string, charts: Charts): void {
  if (charts.size === 0) return;
  mkdirSync(folder, { recursive: true });
  for (const [name, chart] of charts) writeFileSync(join(folder, `${name}.svg`), chart);
}
