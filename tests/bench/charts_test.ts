/**
 * Charts: well-formed, complete, in bounds.
 *
 * @module
 */
import { selectCases } from "../../bench/lib/cases.ts";
import { barChart, lineChart } from "../../bench/lib/charts.ts";
import { drawCharts } from "../../bench/lib/draw.ts";
import { element, escapeXml, roundUp } from "../../bench/lib/svg.ts";
import { assert, suite } from "../harness.ts";
import { caseResult } from "./fixture.ts";

const test = suite("bench charts");

const NAME = "[a-zA-Z][\\w:-]*";
const TAG = new RegExp(`<(/?)(${NAME})((?:\\s+${NAME}="[^"<>&]*(?:&\\w+;[^"<>&]*)*")*)(/?)>`, "y");

/** The names of all elements; throws where the text is not well-formed. */
function elementsOf(xml: string): string[] {
  const open: string[] = [];
  const all: string[] = [];
  let at = 0;
  while (at < xml.length) {
    if (xml[at] !== "<") {
      const content = /[^<]*/y;
      content.lastIndex = at;
      const text = content.exec(xml)![0];
      if (/&(?!\w+;)|>/.test(text)) throw new Error(`bare character in "${text}"`);
      at = content.lastIndex;
      continue;
    }
    TAG.lastIndex = at;
    const found = TAG.exec(xml);
    if (found === null) throw new Error(`no tag at "${xml.slice(at, at + 40)}"`);
    const [whole, closing, name, , empty] = found;
    if (closing === "/") {
      if (open.pop() !== name) throw new Error(`"${whole}" closes another element`);
    } else {
      all.push(name);
      if (empty === "") open.push(name);
    }
    at = TAG.lastIndex;
  }
  if (open.length > 0) throw new Error(`"${open.at(-1)}" is not closed`);
  return all;
}

function count(names: readonly string[], name: string): number {
  return names.filter((candidate) => candidate === name).length;
}

const value = (median: number) => ({ median, min: median * 0.9, max: median * 1.2 });

test("the check finds what is not well-formed", () => {
  assert.equal(elementsOf('<a b="&lt;"><c/>x &amp; y</a>'), ["a", "c"]);
  for (const wrong of ["<a>", "<a></b>", "<a b=c/>", "<a>&</a>", '<a b="<"/>']) {
    assert.throws(() => elementsOf(wrong), undefined, wrong);
  }
});

test("text and attributes are escaped", () => {
  assert.is(escapeXml('a<b & "c">'), "a&lt;b &amp; &quot;c&quot;&gt;");
  assert.is(element("a", { b: '"<', c: 1.23456 }), '<a b="&quot;&lt;" c="1.23"/>');
});

test("a bar chart has a bar for each peer besides its background", () => {
  const bars = [
    { label: "a < b & c", family: "floor" as const, value: value(5) },
    { label: "d", family: "uringnet" as const, value: value(0) },
  ];
  const names = elementsOf(barChart({ title: 'x "y"', axis: "us", digits: 2, bars }));
  assert.is(names[0], "svg");
  assert.is(count(names, "rect"), 1 + bars.length);
});

test("nothing of a bar chart leaves its drawing", () => {
  const bars = [{ label: "a", family: "runtime" as const, value: value(99.9) }];
  const chart = barChart({ title: "t", axis: "us", digits: 2, bars });
  const width = Number(/ width="(\d+)"/.exec(chart)![1]);
  for (const [, x] of chart.matchAll(/ x[12]?="([\d.]+)"/g)) assert.ok(Number(x) < width - 40);
});

test("a line chart has a line for each series and a point for each value", () => {
  const series = [
    { label: "a", family: "floor" as const, values: [value(1), null, value(3)] },
    { label: "b", family: "floor" as const, values: [value(100), value(200), value(300)] },
  ];
  const chart = lineChart({ title: "t", xAxis: "x", yAxis: "y", xs: ["1", "2", "4"], series });
  const names = elementsOf(chart);
  assert.is(count(names, "polyline"), 2);
  assert.is(count(names, "circle"), 5);
  assert.not.ok(/NaN|Infinity/.test(chart));
  const strokes = [...chart.matchAll(/<polyline[^>]* stroke="(#\w+)"/g)].map(([, colour]) =>
    colour
  );
  assert.is(new Set(strokes).size, 2);
});

test("values far apart are on a logarithmic scale that ends next to them", () => {
  const draw = (...medians: number[]) =>
    [
      ...lineChart({
        title: "",
        xAxis: "",
        yAxis: "",
        xs: medians.map((_, i) => `x${i}`),
        series: [{
          label: "",
          family: "floor",
          values: medians.map((median) => ({ median, min: median, max: median })),
        }],
      }).matchAll(/>([\d.,]+)</g),
    ].map(([, label]) => label);
  assert.equal(draw(6, 39, 110), ["5", "10", "20", "50", "100", "200"]);
  assert.equal(draw(0.1, 1), ["0.1", "0.2", "0.5", "1"]);
  assert.equal(draw(6, 9), ["0", "2.5", "5", "7.5", "10"]);
});

test("a sweep of pieces is drawn for each runtime, with sizes on its axis", () => {
  const base = selectCases(["threshold"])[0];
  const results = [64, 2_048].map((x) => ({
    ...caseResult("echo-1x64", "cpuUsPerPiece", { "Bun.listen": [x] }),
    case: { ...base, name: `threshold-deno-${x}`, group: "threshold-deno", x },
  }));
  const charts = drawCharts(results);
  assert.equal([...charts.keys()], ["threshold-deno"]);
  const chart = charts.get("threshold-deno")!;
  for (const text of ["copied or not, Deno<", ">2 KiB<", ">size of a piece<", "a piece, us<"]) {
    assert.ok(chart.includes(text), text);
  }
});

test("every colour of a drawing has one for a dark page", () => {
  const bars = (["floor", "uringnet", "runtime"] as const).map((family) => (
    { label: family, family, value: value(5) }
  ));
  const families = ["floor", "uringnet", "runtime"] as const;
  const series = Array.from({ length: 24 }, (_, i) => (
    { label: `${i}`, family: families[i % 3], values: [value(i)] }
  ));
  const charts = [
    barChart({ title: "t", axis: "us", digits: 2, bars }),
    lineChart({ title: "t", xAxis: "x", yAxis: "y", xs: ["1"], series }),
  ];
  for (const chart of charts) {
    elementsOf(chart);
    const [, style] = /<style>(.*)<\/style>/.exec(chart)!;
    assert.ok(style.startsWith("@media (prefers-color-scheme:dark){"));
    for (const [colour, name, light] of chart.matchAll(/(fill|stroke)="(#\w+)"/g)) {
      assert.ok(style.includes(`[${colour}]{${name}:#`), colour);
      assert.not.ok(style.includes(`[${colour}]{${name}:${light}}`), colour);
    }
  }
});

test("an axis ends at a round number", () => {
  assert.is(roundUp(7.3), 10);
  assert.is(roundUp(2.4), 2.5);
  assert.is(roundUp(200), 200);
  assert.is(roundUp(0.031), 0.05);
});

test("cases become bars, sweeps of several points become lines", () => {
  const depth = [1, 4].map((x) => caseResult(`depth-${x}`, "cpuUs", { "Bun.listen": [x, x] }));
  const workers = [1, 2].map((x) => caseResult(`workers-${x}`, "cpuUs", { "Bun.listen": [x] }));
  const charts = drawCharts([
    caseResult("echo-1x64", "cpuUs", { "Bun.listen": [1, 2, 3] }),
    caseResult("churn", "cpuUs", { "Bun.listen": [null] }),
    caseResult("size-64", "cpuUs", { "Bun.listen": [1] }),
    ...depth,
    ...workers,
  ]);
  assert.equal([...charts.keys()], ["echo-1x64", "sweep-depth", "workers"]);
  for (const chart of charts.values()) elementsOf(chart);
});

test.run();
