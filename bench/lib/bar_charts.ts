/**
 * The three charts of a run of the bars, as README.md shows them.
 *
 *   bars-cpu         CPU of each cell, of the C server's
 *   bars-connection  one connection: round trips, latency and CPU
 *   bars-start       the start, the first second, and the memory of an idle connection
 *
 * @module
 */
import type { Family } from "./charts.ts";
import { type MetricName, METRICS } from "./metrics.ts";
import { type Panel, type PanelBar, panelChart } from "./panels.ts";
import { bestFloor, type CaseResult, findPeer, ratioTo, spreadOf } from "./results.ts";
import type { Spread } from "./statistics.ts";

interface Line {
  peer: string;
  label: string;
  family: Family;
}

const C_LINE: Line = { peer: "C", label: "C, io_uring", family: "floor" };

const LINES: readonly Line[] = [
  { peer: "uringnet/bun", label: "uringnet, Bun", family: "uringnet" },
  { peer: "Bun.listen", label: "Bun.listen", family: "runtime" },
  { peer: "uringnet/deno", label: "uringnet, Deno", family: "uringnet" },
  { peer: "Deno.listen", label: "Deno.listen", family: "runtime" },
];

const CONNECTION_LINES: readonly Line[] = [
  C_LINE,
  LINES[0],
  { peer: "uringnet/bun no spin", label: "the same, no spinning", family: "uringnet" },
  LINES[1],
  LINES[2],
  { peer: "uringnet/deno no spin", label: "the same, no spinning", family: "uringnet" },
  LINES[3],
];

/** The case of a panel, the figure, and its title. */
type Cell = readonly [name: string, metric: MetricName, title: string];

const CPU_CELLS: readonly Cell[] = [
  ["echo-50x64", "cpuUs", "Echo, 50 x 64 B"],
  ["echo-50x4096", "cpuUs", "Echo, 50 x 4 KiB"],
  ["echo-8x65536", "cpuUs", "Echo, 8 x 64 KiB"],
  ["connections-500", "cpuUs", "Echo, 500 x 64 B"],
  ["connections-5000", "cpuUs", "Echo, 5,000 x 64 B"],
  ["broadcast-200x64", "cpuUs", "Broadcast of 64 B to 200"],
  ["churn", "cpuUs", "Connect, echo, close"],
  ["sink", "cpuMsPerGib", "Stream into the program"],
];

const CONNECTION_CELLS: readonly Cell[] = [
  ["echo-1x64", "messagesPerSecond", "Round trips per second: more is better"],
  ["echo-1x64", "p50", "Median latency of a round trip, us: less is better"],
  ["echo-1x64", "cpuUs", "CPU of a round trip, us: less is better"],
];

const START_CELLS: readonly Cell[] = [
  ["start", "startMs", "From the start of the process to the first echo, ms"],
  ["first-second", "cpuUs", "CPU of an echo in the first second, 50 x 64 B, us"],
  ["first-second", "p99", "99th percentile in the first second, us"],
  ["idle-10000", "bytesPerConnection", "Memory of an idle connection, bytes"],
];

const RATIO_DIGITS = 2;

/** The panel of a cell; null when nothing of it was measured. */
function panelOf(
  results: readonly CaseResult[],
  [name, metric, title]: Cell,
  lines: readonly Line[],
  value: (result: CaseResult, peer: string) => Spread | null,
): Panel | null {
  const result = results.find((candidate) => candidate.case.name === name);
  if (result === undefined) return null;
  const bars = lines.flatMap(({ peer, label, family }): PanelBar[] => {
    const found = value(result, peer);
    return found === null ? [] : [{ label, family, value: found }];
  });
  return bars.length === 0 ? null : { title, digits: METRICS[metric].digits, bars };
}

/** The panels of figures as they are. */
function figurePanels(
  results: readonly CaseResult[],
  cells: readonly Cell[],
  lines: readonly Line[],
): Panel[] {
  return cells.map((cell) =>
    panelOf(results, cell, lines, (result, name) => {
      const peer = name === C_LINE.peer ? bestFloor(result) : findPeer(result, name);
      return peer === null ? null : spreadOf(peer, cell[1]);
    })
  ).filter((panel) => panel !== null);
}

/** The panels of ratios to the best C server. */
function ratioPanels(results: readonly CaseResult[]): Panel[] {
  return CPU_CELLS.map((cell) =>
    panelOf(results, cell, LINES, (result, name) => {
      const peer = findPeer(result, name);
      return peer === null ? null : ratioTo(peer, bestFloor(result), cell[1]);
    })
  ).filter((panel) => panel !== null).map((panel) => ({ ...panel, digits: RATIO_DIGITS }));
}

/** Name of the file, without its ending, to its text; a chart without a figure is left out. */
export function drawBarCharts(results: readonly CaseResult[]): Map<string, string> {
  const whiskers = "bars are medians, whiskers the least and the greatest round";
  const charts = [
    {
      name: "bars-cpu",
      title: "CPU time of the server, compared with a C server on io_uring",
      note: `1 is the C server, less is better; ${whiskers}`,
      panels: ratioPanels(results),
      reference: { value: 1, label: "C" },
    },
    {
      name: "bars-connection",
      title: "One connection, 64 bytes there and back",
      note: whiskers,
      panels: figurePanels(results, CONNECTION_CELLS, CONNECTION_LINES),
    },
    {
      name: "bars-start",
      title: "The start, the first second, and connections at rest",
      note: `less is better; ${whiskers}`,
      panels: figurePanels(results, START_CELLS, [C_LINE, ...LINES]),
    },
  ];
  return new Map(
    charts.filter(({ panels }) => panels.length > 0)
      .map(({ name, ...chart }) => [name, panelChart(chart)]),
  );
}
