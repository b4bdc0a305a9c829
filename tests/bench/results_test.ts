/**
 * From samples to tables, files and verdicts.
 *
 * @module
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bar, BARS } from "../../bench/bars.ts";
import { CASES, selectCases } from "../../bench/lib/cases.ts";
import type { Machine } from "../../bench/lib/machine.ts";
import { type ClientReport, sampleOf } from "../../bench/lib/measure.ts";
import { peersOf } from "../../bench/lib/peers.ts";
import {
  bestFloor,
  findPeer,
  ratioTo,
  readRecord,
  type RunRecord,
  writeRecord,
} from "../../bench/lib/results.ts";
import { programsOf, SweepResults } from "../../bench/lib/sweeps.ts";
import { caseTable, missingPeers, sweepTable, textTable } from "../../bench/lib/table.ts";
import { replaceOnce } from "../../bench/lib/variants.ts";
import { describeVerdicts, judge } from "../../bench/lib/verdicts.ts";
import { assert, suite } from "../harness.ts";
import { BAR, caseResult } from "./fixture.ts";

const test = suite("bench results");

const caseOf = (name: string) => selectCases([name])[0];

const ECHO = {
  "c_uring/oneshot": [5, 6, 7],
  "c_uring/multishot": [4, 9, 5],
  "uringnet/bun": [5, 12, 5.5],
  "uringnet/bun exact": [5.2, 12.1, 6],
  "Bun.listen": [10, 12, 11],
};

test("columns are as wide as their widest cell", () => {
  const table = textTable(["peer", "us"], [["a", "1.00"], ["longer", "10.00"]]);
  assert.is(table, "peer       us\na        1.00\nlonger  10.00");
});

test("the floor is the C server on io_uring with the lower median", () => {
  assert.is(bestFloor(caseResult("echo-50x64", "cpuUs", ECHO))?.peer, "c_uring/multishot");
  assert.is(bestFloor(caseResult("echo-50x64", "cpuUs", { "Bun.listen": [1] })), null);
});

test("a peer is compared with its runtime's own sockets, and never with itself", () => {
  const result = caseResult("echo-50x64", "cpuUs", ECHO);
  const bun = findPeer(result, "uringnet/bun")!;
  const own = findPeer(result, bun.own)!;
  assert.equal(ratioTo(bun, own, "cpuUs"), { median: 0.5, min: 0.5, max: 1 });
  assert.is(ratioTo(own, own, "cpuUs"), null);
});

test("a table shows medians, ranges and both ratios, and what is missing", () => {
  const result = caseResult("echo-50x64", "cpuUs", ECHO);
  result.peers[0].missing = "no compiler";
  result.peers[2].failures.push("round 2: 3 wrong bytes");
  const table = caseTable(result);
  assert.match(table, /uringnet\/bun +5\.50 +5\.00\.\.12\.00 +1\.25 +0\.50 /);
  assert.match(table, /missing: c_uring\/oneshot: no compiler/);
  assert.match(table, /failed: uringnet\/bun, round 2: 3 wrong bytes/);
  assert.match(table, /"\/ C" is against c_uring\/multishot/);
});

test("a case that was skipped says why", () => {
  const result = { ...caseResult("idle-10000", "cpuUs", {}), skipped: "too few files" };
  assert.match(caseTable(result), /not measured: too few files/);
});

const SWEEP = CASES.find(({ name }) => name === "pieces")!;
const point = (x: number, line: string) => ({
  pieces: x,
  size: 64,
  method: "IoBufs" as const,
  x,
  line,
});

test("a sweep is one table over its axis, in ascending order, one row for each line", () => {
  const sweep = new SweepResults(SWEEP, "bun", 1);
  for (const figure of [3, 1, 2]) {
    sweep.add(point(4, "a"), { cpuUsPerPiece: figure });
    sweep.add(point(1, "a"), { cpuUsPerPiece: figure + 1 });
  }
  sweep.fail(point(4, "b"), 0, "it did not start");
  assert.match(sweepTable(sweep.all), /CPU\/piece us +1 +4\na +3\.000 +2\.000/);
  assert.equal(sweep.all.map((result) => result.case.name), ["pieces-bun-1", "pieces-bun-4"]);
  assert.equal(findPeer(sweep.all[1], "b")?.failures, ["round 1: it did not start"]);
});

test("sweeps differ in one constant, and have a figure of every line at every x", () => {
  for (const over of ["pieces", "threshold", "batch"] as const) {
    const points = programsOf(over).flatMap((program) => program.points);
    const xs = new Set(points.map(({ x }) => x));
    const lines = new Set(points.map(({ line }) => line));
    const places = new Set(points.map(({ x, line }) => `${x} ${line}`));
    assert.is(places.size, points.length);
    assert.is(places.size, xs.size * lines.size, over);
  }
  const batches = programsOf("batch").map(({ constants }) => constants?.iovecBatchSize);
  assert.equal(batches, [1, 2, 4, 8, 16, 32, 64]);
});

test("a constant is changed in one place, or the change is refused", () => {
  assert.is(replaceOnce("a: 1, b: 2", /(?<=b: )\d/, "3"), "a: 1, b: 3");
  assert.throws(() => replaceOnce("a: 1, a: 2", /(?<=a: )\d/, "3"), /2 places/);
  assert.throws(() => replaceOnce("", /a/, "b"), /0 places/);
  const limits = readFileSync(new URL("../../src/base/limits.ts", import.meta.url), "utf8");
  for (const name of ["gatherCopyBytes", "iovecBatchSize"]) {
    assert.match(replaceOnce(limits, new RegExp(`(?<=\\n {2}${name}: )[\\d_]+`), "7"), /: 7,/);
  }
});

test("a peer that could not run is named once, and so is a case that was skipped", () => {
  const first = caseResult("echo-50x64", "cpuUs", ECHO);
  const second = caseResult("echo-4x64", "cpuUs", { "Bun.listen": [1] });
  first.peers[4].missing = second.peers[0].missing = "bun is not installed";
  const third = { ...caseResult("idle-10000", "cpuUs", {}), skipped: "too few files" };
  assert.equal(missingPeers([first, second, third]), [
    "  Bun.listen: bun is not installed",
    "  all of idle-10000: too few files",
  ]);
});

test("a report gives the figures of its case", () => {
  const report: ClientReport = {
    seconds: 2,
    messages: 10,
    messages_per_second: 5,
    mib_per_second: 1,
    latency_us: { p50: 1, p99: 2, p999: 3, max: 4 },
    wrong_bytes: 0,
    errors: 0,
    server_cpu_us: 4_000,
    server_cpu_us_per_message: 400,
    server_cpu_ms_per_gib: 7,
    server_rss_before_kib: 100,
    server_rss_kib: 300,
  };
  const work = { kind: "client", connections: 10, size: 64, depth: 1 } as const;
  assert.equal(sampleOf(report, { ...work, mode: "idle" }), {
    bytesPerConnection: 20_480,
    cpuMsPerSecond: 2,
  });
  assert.equal(sampleOf(report, { ...work, mode: "sink" }), { cpuMsPerGib: 7, mibPerSecond: 1 });
  assert.is(sampleOf(report, { ...work, mode: "echo" }).cpuUs, 400);
});

test("a record is written with its ratios, and as the latest when asked", () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  try {
    const record: RunRecord = {
      date: "2031-02-03T04:05:06.789Z",
      commandLine: "bench/run.ts",
      machine: {} as Machine,
      rounds: 3,
      tookSeconds: 1,
      results: [caseResult("echo-50x64", "cpuUs", ECHO)],
    };
    const path = writeRecord(folder, "echo-50x64", record, false);
    assert.is(path, join(folder, "echo-50x64-2031-02-03T04-05-06.json"));
    assert.not.ok(existsSync(join(folder, "latest.json")));
    writeRecord(folder, "echo-50x64", record, true);
    const { results } = JSON.parse(readFileSync(join(folder, "latest.json"), "utf8"));
    assert.is(results[0].floor, "c_uring/multishot");
    assert.is(results[0].peers[2].figures.cpuUs.toOwn, 0.5);
    assert.equal(results[0].peers[2].samples[1], { cpuUs: 12 });
    const merged = readRecord([path, join(folder, "latest.json")]);
    const { rounds, tookSeconds, commandLine, results: [again] } = merged;
    assert.equal([rounds, tookSeconds, commandLine], [3, 2, "bench/run.ts"]);
    assert.equal(findPeer(again, "uringnet/bun")?.samples.length, 3);
    assert.is(again.case.name, "echo-50x64");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("every bar is about cases that are measured, in the figure that they have", () => {
  for (const { cases, metric, claim, or } of BARS) {
    for (const name of cases) {
      const found = CASES.find((candidate) => candidate.name === name);
      assert.ok(found !== undefined, `${claim}: no case ${name}`);
      const shown = [found.primary, ...found.others];
      assert.ok(shown.includes(metric), `${claim}: ${name}`);
      assert.ok(or === undefined || shown.includes(or.metric), `${claim}: ${name}`);
    }
  }
});

test("every peer that a bar compares takes part in its cases", () => {
  const results = BARS.flatMap(({ cases }) => cases).map((name) =>
    caseResult(name, "cpuUs", Object.fromEntries(peersOf(caseOf(name)).map((p) => [p.name, []])))
  );
  for (const { reason, bar } of judge(results)) assert.match(reason ?? "", /no figure/, bar.claim);
});

test("a bar is met by the median, in the sense that it has", () => {
  const results = [caseResult("echo-50x64", "cpuUs", ECHO)];
  const met = (change: Partial<Bar>) => judge(results, [{ ...BAR, ...change }])[0].met;
  const exact = { subject: " exact", against: { peer: "" }, compare: "difference" } as const;
  assert.is(met({}), true);
  assert.is(met({ limits: { bun: 0.49, deno: 1 } }), false);
  assert.is(met({ sense: "at least", limits: { bun: 0.49, deno: 1 } }), true);
  assert.is(met({ against: "C", limits: { bun: 1.25, deno: 1 } }), true);
  assert.is(met({ ...exact, limits: { bun: 0.15, deno: 1 } }), false);
  assert.is(met({ ...exact, limits: { bun: 0.21, deno: 1 } }), true);
  assert.is(met({ limits: null }), null);
});

test("a verdict has both figures and the peers that they are of", () => {
  const [bun, deno] = judge([caseResult("echo-50x64", "cpuUs", ECHO)], [
    { ...BAR, against: "C" },
  ]);
  assert.is(bun.other, "c_uring/multishot");
  assert.equal([bun.ours?.median, bun.theirs?.median, bun.figure?.median], [5.5, 5, 1.25]);
  assert.is(deno.reason, "uringnet/deno took no part");
});

test("a verdict against a runtime's own sockets says what the best C server has there", () => {
  const results = [caseResult("echo-50x64", "cpuUs", ECHO)];
  const floor = (change: Partial<Bar>) => judge(results, [{ ...BAR, ...change }])[0].floor?.median;
  assert.is(floor({}), 5 / 11);
  assert.is(floor({ against: "C" }), undefined);
});

test("a bar without measurements is neither met nor not, and says why", () => {
  const echo = caseResult("echo-50x64", "cpuUs", ECHO);
  echo.peers[4] = { ...echo.peers[4], missing: "bun is not installed", samples: [] };
  const verdicts = judge([echo]);
  const deno = verdicts.find(({ runtime, case: name }) => runtime === "deno" && name === "sink");
  assert.is(deno?.met, null);
  const text = describeVerdicts(verdicts);
  assert.match(text, /not measured +stream into the program, CPU of C +sink +uringnet\/deno/);
  assert.match(text, /\d+ met, \d+ not met, \d+ shown, \d+ not measured\n/);
  assert.match(text, /echo-50x64, uringnet\/bun: Bun\.listen: bun is not installed/);
  assert.match(text, /sink, uringnet\/deno: the case was not run/);
});

test.run();
