/**
 * Charts of results: bars with whiskers from the least to the greatest round, lines for sweeps.
 *
 * Not a chart library: Vega is some thirty packages, Observable Plot needs a DOM, and d3-scale
 * would replace about forty of these lines.
 *
 * @module
 */
import { formatNumber } from "./metrics.ts";
import type { Spread } from "./statistics.ts";
import { element, line, roundUp, svg, text } from "./svg.ts";

export type Family = "floor" | "uringnet" | "runtime";

export interface BarChart {
  title: string;
  /** The quantity of the bars, with its unit. */
  axis: string;
  digits: number;
  bars: readonly { label: string; family: Family; value: Spread }[];
}

export interface LineChart {
  title: string;
  xAxis: string;
  yAxis: string;
  /** One label for each position. */
  xs: readonly string[];
  series: readonly { label: string; family: Family; values: readonly (Spread | null)[] }[];
}

export const COLOURS: Record<Family, string> = {
  floor: "#8c959f",
  uringnet: "#0969da",
  runtime: "#d4a72c",
};
/** Lines of one family, in order: the floor is grey, the runtimes' own sockets are warm. */
const LINE_COLOURS: Record<Family, readonly string[]> = {
  floor: ["#8c959f", "#57606a", "#24292f"],
  uringnet: [
    "#0969da",
    "#8250df",
    "#1b7c83",
    "#1a7f37",
    "#cf222e",
    "#bf8700",
    "#bf3989",
    "#953800",
  ],
  runtime: ["#bf8700", "#cf222e", "#953800", "#bf3989"],
};
const GRID = { stroke: "#d0d7de", "stroke-width": 1 };
export const WHISKER = { stroke: "#24292f", "stroke-width": 1.2 };

const BAR = { left: 170, right: 90, top: 64, row: 26, thick: 16, bottom: 16, width: 760 };

/** Horizontal bars from zero; the shorter the better. */
export function barChart({ title, axis, digits, bars }: BarChart): string {
  const room = BAR.width - BAR.left - BAR.right;
  const greatest = Math.max(...bars.map(({ value }) => value.max));
  const end = greatest > 0 ? roundUp(greatest) : 1;
  const x = (value: number) => BAR.left + value / end * room;
  const height = BAR.top + bars.length * BAR.row + BAR.bottom;
  const parts = [
    text(16, 26, title, { "font-size": 15, "font-weight": 600 }),
    text(16, 46, `${axis}; bars are medians, whiskers the least and the greatest round`, {
      fill: "#57606a",
    }),
  ];
  for (let tick = 0; tick <= 4; tick++) {
    const at = x(end * tick / 4);
    parts.push(line([at, BAR.top - 4], [at, height - BAR.bottom], GRID));
  }
  for (const [index, { label, family, value }] of bars.entries()) {
    const middle = BAR.top + index * BAR.row + BAR.row / 2;
    const top = middle - BAR.thick / 2;
    const width = Math.max(x(value.median) - BAR.left, 0);
    const least = x(Math.max(value.min, 0));
    const most = x(value.max);
    parts.push(
      text(BAR.left - 8, middle + 4, label, { "text-anchor": "end" }),
      element("rect", { x: BAR.left, y: top, width, height: BAR.thick, fill: COLOURS[family] }),
      line([least, middle], [most, middle], WHISKER),
      line([least, middle - 4], [least, middle + 4], WHISKER),
      line([most, middle - 4], [most, middle + 4], WHISKER),
      text(most + 8, middle + 4, formatNumber(value.median, digits)),
    );
  }
  return svg({ width: BAR.width, height, title, parts });
}

const PLOT = { left: 70, right: 190, top: 56, bottom: 52, width: 860, height: 420 };
/** Values that differ by more than this factor are drawn on a logarithmic scale. */
const LOGARITHMIC_FROM = 5;

interface Scale {
  at(value: number): number;
  ticks: number[];
}

/** 1, 2 and 5 times powers of ten, from the last below `least` to the first above `greatest`. */
function logarithmicTicks(least: number, greatest: number): number[] {
  const first = Math.floor(Math.log10(least));
  const last = Math.ceil(Math.log10(greatest));
  const all = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
    .flatMap((power) => [power, 2 * power, 5 * power]);
  const from = all.findLastIndex((tick) => tick <= least);
  return all.slice(from, all.findIndex((tick) => tick >= greatest) + 1);
}

/** Linear from zero, or logarithmic when the values are far apart. */
function verticalScale(least: number, greatest: number): Scale {
  const bottom = PLOT.height - PLOT.bottom;
  const room = bottom - PLOT.top;
  if (least > 0 && greatest / least > LOGARITHMIC_FROM) {
    const ticks = logarithmicTicks(least, greatest);
    const first = Math.log10(ticks[0]);
    const last = Math.log10(ticks[ticks.length - 1]);
    return { at: (value) => bottom - (Math.log10(value) - first) / (last - first) * room, ticks };
  }
  const end = greatest > 0 ? roundUp(greatest) : 1;
  return {
    at: (value) => bottom - value / end * room,
    ticks: [0, 1, 2, 3, 4].map((tick) => end * tick / 4),
  };
}

function tickLabel(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 3 });
}

/** Points of one peer, joined where neighbours are there. */
function seriesParts(
  values: readonly (Spread | null)[],
  colour: string,
  x: (index: number) => number,
  y: (value: number) => number,
): string[] {
  const parts: string[] = [];
  const points = values.flatMap((value, index) =>
    value === null ? [] : [`${x(index).toFixed(1)},${y(value.median).toFixed(1)}`]
  );
  parts.push(element("polyline", {
    points: points.join(" "),
    fill: "none",
    stroke: colour,
    "stroke-width": 2,
  }));
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const at = x(index);
    parts.push(
      line([at, y(value.min)], [at, y(value.max)], { stroke: colour, "stroke-width": 1 }),
      element("circle", { cx: at, cy: y(value.median), r: 3, fill: colour }),
    );
  }
  return parts;
}

/** The colour of each series: the next one of its family. */
function lineColours(series: LineChart["series"]): string[] {
  const used: Record<Family, number> = { floor: 0, uringnet: 0, runtime: 0 };
  return series.map(({ family }) => {
    const colours = LINE_COLOURS[family];
    return colours[used[family]++ % colours.length];
  });
}

/** Lines over positions that are equally far apart, as the steps of a sweep are by factors. */
export function lineChart({ title, xAxis, yAxis, xs, series }: LineChart): string {
  const all = series.flatMap(({ values }) => values.filter((value) => value !== null));
  const least = Math.min(...all.map(({ min }) => min));
  const scale = verticalScale(least, Math.max(...all.map(({ max }) => max)));
  const bottom = PLOT.height - PLOT.bottom;
  const room = PLOT.width - PLOT.left - PLOT.right;
  const x = (index: number) => PLOT.left + (index + 0.5) / xs.length * room;
  const parts = [
    text(16, 26, title, { "font-size": 15, "font-weight": 600 }),
    text(16, 44, yAxis, { fill: "#57606a" }),
    text(PLOT.left + room / 2, PLOT.height - 12, xAxis, {
      fill: "#57606a",
      "text-anchor": "middle",
    }),
  ];
  for (const tick of scale.ticks) {
    const y = scale.at(tick);
    parts.push(
      line([PLOT.left, y], [PLOT.left + room, y], GRID),
      text(PLOT.left - 8, y + 4, tickLabel(tick), { "text-anchor": "end" }),
    );
  }
  for (const [index, label] of xs.entries()) {
    parts.push(text(x(index), bottom + 18, label, { "text-anchor": "middle" }));
  }
  const colours = lineColours(series);
  for (const [index, { label, values }] of series.entries()) {
    const colour = colours[index];
    const y = PLOT.top + 8 + index * 20;
    const at = PLOT.width - PLOT.right + 16;
    parts.push(
      ...seriesParts(values, colour, x, scale.at),
      line([at, y - 4], [at + 18, y - 4], { stroke: colour, "stroke-width": 3 }),
      text(at + 24, y, label),
    );
  }
  return svg({ width: PLOT.width, height: PLOT.height, title, parts });
}
