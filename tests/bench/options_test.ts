/**
 * What the benchmarks are told to run: arguments, cases, peers, processors.
 *
 * @module
 */
import { casesOfBars } from "../../bench/bars.ts";
import { CASES, QUICK_CASES, selectCases } from "../../bench/lib/cases.ts";
import { choosePins, expandList } from "../../bench/lib/machine.ts";
import { obstacle, windowOf } from "../../bench/lib/measure.ts";
import { parseOptions } from "../../bench/lib/options.ts";
import { PEERS, peersOf } from "../../bench/lib/peers.ts";
import { assert, suite } from "../harness.ts";

const test = suite("bench options");

const caseOf = (name: string) => selectCases([name])[0];
const namesOf = (name: string) => peersOf(caseOf(name)).map((peer) => peer.name);

test("without arguments, everything is measured in several rounds", () => {
  const options = parseOptions([]);
  assert.is(options.cases, null);
  assert.is(options.mode, "full");
  assert.is(options.rounds, 5);
  assert.is(options.verify, false);
});

test("a case is named by an option, by a word, several times and in a list", () => {
  const { cases } = parseOptions(["--case", "echo", "CASE=sink, source", "--case=churn"]);
  assert.equal([...cases ?? []].sort(), ["churn", "echo", "sink", "source"]);
  assert.is(parseOptions(["CASE="]).cases, null);
});

test("modes choose windows, and options change them", () => {
  assert.is(parseOptions(["--quick"]).rounds, 2);
  assert.is(parseOptions(["--smoke"]).verify, true);
  const { rounds, seconds } = parseOptions(["--quick", "--rounds", "7", "--seconds", "0.5"]);
  assert.is(rounds, 7);
  assert.is(seconds, 0.5);
});

test("what cannot be understood is named", () => {
  assert.throws(() => parseOptions(["--rounds", "0"]), /"--rounds 0"/);
  assert.throws(() => parseOptions(["--rounds", "1.5"]), /whole number/);
  assert.throws(() => parseOptions(["--seconds", "x"]), /"--seconds x"/);
  assert.throws(() => parseOptions(["echo"]), /Cannot understand "echo"/);
  assert.throws(() => parseOptions(["--unknown"]));
});

test("cases are selected by name and by group, in the order of the list", () => {
  const names = selectCases(["source", "echo-1x64", "sweep-depth"]).map(({ name }) => name);
  assert.equal(names, ["echo-1x64", "source", ...[1, 4, 16, 32, 64].map((x) => `depth-${x}`)]);
  assert.throws(() => selectCases(["ehco"]), /Cannot find case "ehco"/);
});

test("every case has a name of its own", () => {
  assert.is(new Set(CASES.map(({ name }) => name)).size, CASES.length);
  assert.is(selectCases(QUICK_CASES).length, QUICK_CASES.length);
  assert.ok(selectCases(casesOfBars()).length > 10);
});

test("the peers of an echo are all of them, workers apart", () => {
  const expected = PEERS.filter((peer) => !peer.name.endsWith(" workers"));
  assert.equal(peersOf(caseOf("echo-50x64")), expected);
});

test("exact mode and no spin take part where they differ", () => {
  assert.ok(namesOf("idle-cpu").includes("uringnet/bun no spin"));
  assert.not.ok(namesOf("idle-cpu").includes("uringnet/bun exact"));
  assert.not.ok(namesOf("framed-1-d32").some((name) => name.includes(" ")));
  assert.ok(namesOf("workers-2").includes("uringnet/deno workers"));
});

test("peers can be picked by a part of their names", () => {
  const names = peersOf(caseOf("echo-1x64"), ["LISTEN", "epoll"]).map((peer) => peer.name);
  assert.equal(names, ["c_epoll", "Bun.listen", "Deno.listen"]);
});

test("servers are told the mode, and what only they need", () => {
  const args = (peer: string, name: string) =>
    PEERS.find((candidate) => candidate.name === peer)?.args(caseOf(name)).join(" ");
  assert.is(args("c_uring/multishot", "framed-1-d32"), "--mode framed --recv multishot");
  assert.is(args("Bun.listen", "churn"), "--mode echo");
  assert.is(args("uringnet/deno exact", "echo-50x4096"), "--exact 4096");
  assert.is(args("uringnet/bun workers", "workers-4"), "--workers 4");
});

test("server and client get processors of their own when there are two", () => {
  assert.equal(expandList("0-2,5"), [0, 1, 2, 5]);
  assert.equal(choosePins([3]), { server: null, client: null, workers: null });
  assert.equal(choosePins([0, 1]), { server: "0", client: "1", workers: null });
  assert.equal(choosePins([2, 3, 6]), { server: "2", client: "3", workers: "2,6" });
});

test("too few descriptors are an obstacle for many connections only", () => {
  assert.match(obstacle(caseOf("idle-10000"), { openFilesMax: 1_024 }) ?? "", /raise ulimit -n/);
  assert.is(obstacle(caseOf("idle-10000"), { openFilesMax: 20_000 }), null);
  assert.is(obstacle(caseOf("echo-50x64"), { openFilesMax: 1_024 }), null);
});

test("a case that needs a longer window gets it, except in a hurry", () => {
  const window = { seconds: 1, warmup: 0.1, verify: false };
  assert.is(windowOf(caseOf("idle-cpu"), window, false).seconds, 3);
  assert.is(windowOf(caseOf("idle-cpu"), window, true).seconds, 1);
  assert.is(windowOf(caseOf("echo-1x64"), window, false).seconds, 1);
});

test.run();
