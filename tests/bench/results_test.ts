/**
 * From samples to tables, files and verdicts.
 *
 * @module
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bar, BARS, describeVerdicts, judge } from "../../bench/bars.ts";
import { CASES } from "../../bench/lib/cases.ts";
import { sweepResults } from "../../bench/lib/iovec.ts";
import type { Machine } from "../../bench/lib/machine.ts";
import { type ClientReport, sampleOf } from "../../bench/lib/measure.ts";
import {
  bestFloor,
  findPeer,
  ratioTo,
  type RunRecord,
  writeRecord,
} from "../../bench/lib/results.ts";
import { caseTable, sweepTable, textTable } from "../../bench/lib/table.ts";
import { assert, suite } from "../harness.ts";
import { caseResult } from "./fixture.ts";

const test = suite("bench results");

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

test("a sweep is one table over its axis", () => {
  const points = [1, 2].map((pieces) => ({
    pieces,
    size: 64,
    method: "IoBufs" as const,
    cpuUsPerPiece: [pieces, pieces + 1, pieces + 2],
  }));
  const base = CASES.find(({ work }) => work.kind === "iovec")!;
  const table = sweepTable(sweepResults(base, "bun", 1, points));
  assert.match(table, /CPU\/piece us +1 +2\n64 B, IoBufs +2\.000 +3\.000/);
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
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("every bar is about cases that are measured, in the figure that they have", () => {
  for (const { cases, metric, claim } of BARS) {
    for (const name of cases) {
      const found = CASES.find((candidate) => candidate.name === name);
      assert.ok(found !== undefined, `${claim}: no case ${name}`);
      assert.ok([found.primary, ...found.others].includes(metric), `${claim}: ${name}`);
    }
  }
});

test("a bar is met by the median, in the sense that it has", () => {
  const results = [caseResult("echo-50x64", "cpuUs", ECHO)];
  const bar: Bar = {
    claim: "",
    cases: ["echo-50x64"],
    metric: "cpuUs",
    against: "own",
    sense: "at most",
    limits: { bun: 0.5, deno: 0.5 },
  };
  const met = (change: Partial<Bar>) => judge(results, [{ ...bar, ...change }])[0].met;
  assert.is(met({}), true);
  assert.is(met({ limits: { bun: 0.49, deno: 1 } }), false);
  assert.is(met({ sense: "at least", limits: { bun: 0.49, deno: 1 } }), true);
  assert.is(met({ against: "C", limits: { bun: 1.25, deno: 1 } }), true);
  assert.is(met({ against: "recvSome", limits: { bun: 0.15, deno: 1 } }), false);
  assert.is(met({ against: "recvSome", limits: { bun: 0.21, deno: 1 } }), true);
});

test("a bar without measurements is neither met nor not", () => {
  const verdicts = judge([caseResult("echo-50x64", "cpuUs", ECHO)]);
  const deno = verdicts.find(({ runtime, case: name }) => runtime === "deno" && name === "sink");
  assert.is(deno?.met, null);
  const text = describeVerdicts(verdicts);
  assert.match(text, /not measured +CPU of one-way streams +sink +deno/);
  assert.match(text, /\d+ met, \d+ not met, \d+ not measured$/);
});

test.run();
