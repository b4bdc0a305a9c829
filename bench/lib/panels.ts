/**
 * A chart of several panels, one below the other: horizontal bars from zero, each named, with its
 * number behind it and a whisker from the least to the greatest round. For figures of several
 * units, or of several cases, that are to be seen at a glance.
 *
 * @module
 */
import { COLOURS, type Family, WHISKER } from "./charts.ts";
import { formatNumber } from "./metrics.ts";
import type { Spread } from "./statistics.ts";
import { element, line, roundUp, svg, text } from "./svg.ts";

export interface PanelBar {
  label: string;
  family: Family;
  value: Spread;
}

export interface Panel {
  title: string;
  digits: number;
  bars: readonly PanelBar[];
}

export interface PanelChart {
  title: string;
  note: string;
  panels: readonly Panel[];
  /** A value that all panels are compared with, drawn as a line, on one scale for all. */
  reference?: { value: number; label: string };
}

const FRAME = { left: 170, right: 90, top: 66, bottom: 16, width: 760 };
const TITLE_HEIGHT = 22;
const ROW_HEIGHT = 16;
const BAR_HEIGHT = 11;
const PANEL_GAP = 12;
const GREY = { fill: "#57606a" };
const REFERENCE = { stroke: "#cf222e", "stroke-width": 1.5, "stroke-dasharray": "4 3" };

function heightOf({ bars }: Panel): number {
  return TITLE_HEIGHT + bars.length * ROW_HEIGHT + PANEL_GAP;
}

/** The end of the scale: the next round number above every whisker. */
function endOf(panels: readonly Panel[]): number {
  const greatest = Math.max(0, ...panels.flatMap(({ bars }) => bars.map(({ value }) => value.max)));
  return greatest > 0 ? roundUp(greatest) : 1;
}

/** One bar, whose middle is at `y`; `end` is the value at the right edge. */
function barParts(bar: PanelBar, y: number, digits: number, end: number): string[] {
  const { label, family, value } = bar;
  const room = FRAME.width - FRAME.left - FRAME.right;
  const x = (figure: number) => FRAME.left + Math.max(figure, 0) / end * room;
  const [least, most] = [x(value.min), x(value.max)];
  return [
    text(FRAME.left - 8, y + 4, label, { "text-anchor": "end" }),
    element("rect", {
      x: FRAME.left,
      y: y - BAR_HEIGHT / 2,
      width: x(value.median) - FRAME.left,
      height: BAR_HEIGHT,
      fill: COLOURS[family],
    }),
    line([least, y], [most, y], WHISKER),
    line([least, y - 3], [least, y + 3], WHISKER),
    line([most, y - 3], [most, y + 3], WHISKER),
    text(most + 8, y + 4, formatNumber(value.median, digits)),
  ];
}

/** The line of what all bars are compared with, over all panels, and its name above them. */
function referenceParts(
  { value, label }: { value: number; label: string },
  end: number,
  bottom: number,
): string[] {
  const x = FRAME.left + value / end * (FRAME.width - FRAME.left - FRAME.right);
  return [
    line([x, FRAME.top - 6], [x, bottom], REFERENCE),
    text(x + 6, FRAME.top - 2, label, GREY),
  ];
}

export function panelChart({ title, note, panels, reference }: PanelChart): string {
  const height = FRAME.top + panels.reduce((sum, panel) => sum + heightOf(panel), 0) + FRAME.bottom;
  const parts = [
    text(16, 26, title, { "font-size": 15, "font-weight": 600 }),
    text(16, 46, note, GREY),
  ];
  let top = FRAME.top;
  for (const panel of panels) {
    const end = endOf(reference === undefined ? [panel] : panels);
    parts.push(text(16, top + 14, panel.title, { "font-weight": 600 }));
    for (const [index, bar] of panel.bars.entries()) {
      const y = top + TITLE_HEIGHT + index * ROW_HEIGHT + ROW_HEIGHT / 2;
      parts.push(...barParts(bar, y, panel.digits, end));
    }
    top += heightOf(panel);
  }
  if (reference !== undefined) {
    parts.push(...referenceParts(reference, endOf(panels), top - PANEL_GAP));
  }
  return svg({ width: FRAME.width, height, title, parts });
}
