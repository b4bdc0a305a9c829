/**
 * The bars of a run: noise, verdicts that have two ways or no reference, the page, the charts.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { type Bar, BARS } from "../../bench/bars.ts";
import { drawBarCharts } from "../../bench/lib/bar_charts.ts";
import type { Machine } from "../../bench/lib/machine.ts";
import { formatNoise, noiseBeside, noisesOf } from "../../bench/lib/noise.ts";
import { barsReport, echoTable, markdownTable, replaceBlock } from "../../bench/lib/report.ts";
import { bestFloor, type CaseResult, type RunRecord } from "../../bench/lib/results.ts";
import { describeVerdicts, judge } from "../../bench/lib/verdicts.ts";
import { assert, suite } from "../harness.ts";
import { BAR, caseResult } from "./fixture.ts";

const test = suite("bench report");

const ECHO = {
  "c_uring/oneshot": [5, 5, 5],
  "c_uring/oneshot twin": [5.5, 4.9, 5],
  "c_uring/multishot": [6, 6, 6],
  "c_uring/multishot twin": [1, 1, 1],
  "uringnet/bun": [5.1, 5.2, 5.3],
  "uringnet/deno": [5.1, 5.1, 5.2],
  "Bun.listen": [10, 10, 10],
  "Deno.listen": [10, 10, 10],
};

/** The results of a run of `cases`, as a record. */
function recordOf(results: CaseResult[]): RunRecord {
  const machine: Machine = {
    cpu: "A processor",
    cores: 2,
    memoryGib: 4,
    kernel: "6.18.0",
    versions: { bun: "1.4.5", deno: "2.9.6" },
    loadAverage: 0.25,
    pins: { server: "0", client: "1", workers: null },
    openFilesMax: 1_024,
  };
  return {
    date: "2031-02-03T04:05:06.789Z",
    commandLine: "bench/run.ts --bars",
    machine,
    rounds: 3,
    tookSeconds: 65,
    results,
  };
}

test("a twin is no floor, however low its figure is", () => {
  assert.is(bestFloor(caseResult("echo-50x64", "cpuUs", ECHO))?.peer, "c_uring/oneshot");
});

test("noise is the best C server against its twin, round by round", () => {
  const [noise, ...more] = noisesOf([caseResult("echo-50x64", "cpuUs", ECHO)]);
  assert.equal(more, []);
  assert.equal([noise.case, noise.metric, noise.peer], [
    "echo-50x64",
    "cpuUs",
    "c_uring/oneshot",
  ]);
  assert.equal(noise.ratio, { median: 1, min: 4.9 / 5, max: 1.1 });
  const alone = caseResult("echo-50x64", "cpuUs", { "c_uring/oneshot": [5] });
  assert.equal(noisesOf([alone]), []);
});

test("a ratio has the noise of its case, or else the widest of the run, marked", () => {
  const wide = { "c_uring/oneshot": [5, 5], "c_uring/oneshot twin": [4, 6] };
  const noises = noisesOf([
    caseResult("echo-50x64", "cpuUs", ECHO),
    caseResult("echo-8x65536", "cpuUs", wide),
  ]);
  const beside = (name: string, metric: Bar["metric"]) => {
    const noise = noiseBeside(noises, name, metric);
    return noise === null ? null : formatNoise(noise, name);
  };
  assert.is(beside("echo-50x64", "cpuUs"), "0.98..1.10");
  assert.is(beside("sink", "cpuMsPerGib"), "~ 0.80..1.20");
  assert.is(beside("echo-50x64", "p99"), null);
  assert.is(beside("start", "startMs"), null);
});

/** Two metrics of each peer in one round: CPU and messages per second. */
function twoMetrics(figures: Readonly<Record<string, readonly [number, number]>>): CaseResult {
  const result = caseResult(
    "echo-50x64",
    "cpuUs",
    Object.fromEntries(Object.entries(figures).map(([peer, [cpuUs]]) => [peer, [cpuUs]])),
  );
  for (const { peer, samples } of result.peers) {
    samples[0] = { ...samples[0], messagesPerSecond: figures[peer][1] };
  }
  return result;
}

test("a bar with two ways is met by either, and shows both", () => {
  const limits = { bun: 1.5, deno: 1.5 };
  const bar: Bar = {
    ...BAR,
    limits: { bun: 1.1, deno: 1.1 },
    or: { metric: "messagesPerSecond", sense: "at least", limits },
  };
  const verdict = (cpuUs: number, rate: number) =>
    judge([twoMetrics({ "uringnet/bun": [cpuUs, rate], "Bun.listen": [10, 100] })], [bar])[0];
  assert.is(verdict(10, 100).met, true);
  assert.is(verdict(20, 160).met, true);
  assert.is(verdict(20, 140).met, false);
  assert.is(verdict(20, 140).or?.met, false);
  const text = describeVerdicts([verdict(20, 160)]);
  assert.match(text, /2\.00 or 1\.600 .*at most 1\.1 or at least 1\.5/);
  const missing = judge([caseResult("echo-50x64", "cpuUs", { "Bun.listen": [1] })], [bar])[0];
  assert.is(missing.met, null);
});

test("a figure without a reference is judged as it is", () => {
  const bar: Bar = { ...BAR, against: null, compare: "figure", limits: { bun: 5.2, deno: 5 } };
  const [bun, deno] = judge([caseResult("echo-50x64", "cpuUs", ECHO)], [bar]);
  assert.equal([bun.met, bun.figure?.median, bun.theirs, bun.other], [true, 5.2, null, ""]);
  assert.is(deno.met, false);
  assert.is(bun.noise, null);
});

test("a ratio just above its bar is told from the bar", () => {
  const result = caseResult("echo-50x64", "cpuUs", {
    "c_uring/oneshot": [1],
    "uringnet/bun": [1.034],
  });
  const bar: Bar = { ...BAR, against: "C", limits: { bun: 1.03, deno: 1.03 } };
  assert.match(describeVerdicts(judge([result], [bar])), /NOT MET .* 1\.034 .*at most 1\.03/);
});

test("the page has the run, each bar in both runtimes, the figures behind and the noise", () => {
  const page = barsReport(recordOf([caseResult("echo-50x64", "cpuUs", ECHO)]), [
    { ...BAR, against: "C", limits: { bun: 1.03, deno: 1.03 } },
    { ...BAR, claim: "shown", limits: null },
  ]);
  for (
    const text of [
      "`bench/run.ts --bars`, 2031-02-03 04:05 UTC, 1 min 05 s: 1 cases",
      "A processor, 2 cores, 4 GiB, Linux 6.18.0.",
      "bun 1.4.5, deno 2.9.6.",
      "1 met, 1 not met, 2 shown, 0 not measured",
      "| claim | `echo-50x64` | at most 1.03 | **1.040 (1.020..1.060)** | 1.020 (1.020..1.040) |",
      "(1.020..1.040) | 0.98..1.10 |",
      "| claim | `echo-50x64` | 5.20 us (5.10..5.30) | 5.00 us (5.00..5.00) | 5.10 us",
      "| shown | `echo-50x64` | 0.520 (0.510..0.530) |",
      "| `echo-50x64` | c_uring/oneshot | 1.000 (0.98..1.10) | - | - |",
    ]
  ) assert.ok(page.includes(text), text);
  assert.not.ok(page.includes("Not measured:"));
});

test("the page of all bars has a row for every case of each, and says what is missing", () => {
  const page = barsReport(recordOf([caseResult("echo-50x64", "cpuUs", ECHO)]));
  const judged = page.split("\n\n")[2].split("\n").slice(2);
  const wanted = BARS.filter(({ limits }) => limits !== null).flatMap(({ cases }) => cases);
  assert.is(judged.length, wanted.length);
  assert.ok(page.includes("- `sink`, uringnet/deno: the case was not run"));
});

test("limits that differ between the runtimes are both shown, with their unit", () => {
  const page = barsReport(recordOf([caseResult("idle-10000", "bytesPerConnection", {})]));
  assert.ok(page.includes("| idle connection | `idle-10000` | at most 1,200 / 1,500 bytes |"));
  assert.ok(page.includes("| at most 0.90 / 0.75 |"));
  assert.ok(page.includes("| at most 1.10 or at least 1.50 |"));
});

test("the echoes have a row for each case that was run, and the best C server", () => {
  const result = twoMetrics({
    "c_uring/oneshot": [4.51, 217_400],
    "uringnet/bun": [4.86, 203_000],
    "Bun.listen": [5.12, 193_000],
  });
  const lines = echoTable(recordOf([result])).split("\n");
  assert.is(lines.length, 3);
  assert.is(lines[2], "| 50 x 64 | 4.9, 203 k | 5.1, 193 k | - | - | 4.5, 217 k |");
});

test("a table in Markdown has a line below its header", () => {
  assert.is(markdownTable(["a", "b"], [["1", "2"]]), "| a | b |\n|---|---|\n| 1 | 2 |");
});

test("a block of a page is replaced between its marks, and nothing else", () => {
  const page = "before\n<!-- x -->\nold\n<!-- /x -->\nafter";
  const once = replaceBlock(page, "x", "new\n");
  assert.is(once, "before\n<!-- x -->\n\nnew\n\n<!-- /x -->\nafter");
  assert.is(replaceBlock(once, "x", "new"), once);
  for (const wrong of ["", "<!-- x -->", "<!-- /x -->", `${page}${page}`]) {
    assert.throws(() => replaceBlock(wrong, "x", ""), /one pair of marks/, wrong);
  }
});

test("the documents have a place for a run, and show the charts that are drawn from it", () => {
  const charts = ["bars-cpu", "bars-connection", "bars-start"];
  for (const document of ["README.md", "docs/PERFORMANCE.md"]) {
    const page = readFileSync(new URL(`../../${document}`, import.meta.url), "utf8");
    assert.ok(replaceBlock(page, "bars", "a run").includes("\n\na run\n\n"), document);
    for (const chart of charts) assert.ok(page.includes(`charts/${chart}.svg)`), chart);
  }
});

test("three charts are drawn, of what was measured", () => {
  const charts = drawBarCharts([
    caseResult("echo-50x64", "cpuUs", ECHO),
    caseResult("echo-1x64", "messagesPerSecond", {
      "c_uring/oneshot": [29],
      "uringnet/bun": [34],
      "uringnet/bun no spin": [20],
    }),
    caseResult("start", "startMs", { "uringnet/bun": [40], "Bun.listen": [26] }),
  ]);
  assert.equal([...charts.keys()], ["bars-cpu", "bars-connection", "bars-start"]);
  const bars = (name: string) => charts.get(name)!.match(/<rect /g)!.length - 1;
  assert.equal([...charts.keys()].map(bars), [4, 2, 2]);
  assert.match(charts.get("bars-cpu")!, /stroke-dasharray.*>C</s);
  assert.match(charts.get("bars-cpu")!, />1\.04</);
  assert.not.ok([...charts.values()].some((chart) => /NaN|Infinity/.test(chart)));
  assert.is(drawBarCharts([]).size, 0);
});

test.run();
