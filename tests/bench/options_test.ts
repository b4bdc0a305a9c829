/**
 * The options of the benchmarks: arguments, cases, peers, processors.
 *
 * @module
 */
import { casesOfBars, peersOfBars } from "../../bench/bars.ts";
import { type Case, CASES, CHART_CASES, QUICK_CASES, selectCases } from "../../bench/lib/cases.ts";
import { choosePins, expandList } from "../../bench/lib/machine.ts";
import { obstacle, windowOf } from "../../bench/lib/measure.ts";
import { parseOptions } from "../../bench/lib/options.ts";
import { PEERS, peersOf } from "../../bench/lib/peers.ts";
import { assert, suite } from "../harness.ts";

const test = suite("bench options");

const caseOf = (name: string) => selectCases([name])[0];
const isTwin = (name: string) => name.endsWith(" twin");
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
  assert.is(parseOptions(["--warmup", "3"]).warmup, 3);
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
  assert.ok(selectCases(CHART_CASES).length > CHART_CASES.length);
});

test("every case that has peers has the floor, the library and the runtimes' own sockets", () => {
  const isServed = ({ peers }: Case) => peers !== "none" && peers !== "closing";
  for (const work of CASES.filter(isServed)) {
    const names = peersOf(work).map(({ name }) => name);
    for (const name of ["c_uring/oneshot", "uringnet/bun", "uringnet/deno", "Bun.listen"]) {
      assert.ok(names.includes(name), `${name} in ${work.name}`);
    }
    assert.is(new Set(names).size, names.length);
  }
});

test("peers that differ in one thing take part where it is looked at", () => {
  const variants = (name: string) =>
    namesOf(name).filter((peer) => peer.startsWith("uringnet/bun ")).map((peer) => peer.slice(13));
  assert.equal(variants("echo-50x64"), ["exact", "metrics", "split", "portable"]);
  assert.equal(variants("echo-4x64"), ["split", "no spin", "portable"]);
  assert.equal(variants("echo-8x65536"), ["portable"]);
  assert.equal(variants("echo-500x64"), []);
  assert.equal(variants("idle-cpu"), ["split", "no spin", "portable"]);
  assert.equal(variants("framed-1-d32"), ["joined", "recv-send", "codec"]);
  assert.equal(variants("source"), ["pooled"]);
  assert.equal(variants("workers-2"), ["workers"]);
  assert.equal(variants("start"), ["files"]);
  assert.equal(variants("first-second"), ["files"]);
});

test("frames are answered one by one and together, by every peer", () => {
  // Two more compare framed() with calls of recv() and send().
  const names = namesOf("framed-50-d1").filter((name) => !/ (recv-send|codec)$/.test(name));
  const joined = names.filter((name) => name.endsWith(" joined"));
  assert.equal(
    joined.map((name) => name.slice(0, -" joined".length)),
    names.filter((name) => !joined.includes(name) && !/ (recv-send|codec)$/.test(name)),
  );
});

test("bars ask for the peers that they compare, in every case that they name", () => {
  const names = (name: string) => peersOfBars(caseOf(name)).map((peer) => peer.name);
  const runtimes = ["uringnet/bun", "uringnet/deno", "Bun.listen", "Deno.listen"];
  assert.equal(names("idle-10000"), runtimes);
  assert.equal(names("start"), runtimes);
  assert.equal(names("paced-100"), runtimes);
  assert.equal(names("churn"), ["c_uring/oneshot", "c_uring/multishot", ...runtimes]);
  assert.equal(names("closing-unread"), ["uringnet/bun", "uringnet/deno"]);
  assert.equal(names("echo-500x64"), []);
  assert.ok(names("echo-50x64").includes("uringnet/deno metrics"));
  for (const peer of ["uringnet/bun portable", "node:net/bun", "node:net/deno"]) {
    assert.ok(names("echo-8x65536").includes(peer), peer);
  }
  assert.equal(peersOfBars(caseOf("idle-10000"), ["deno."]).map((peer) => peer.name), [
    "Deno.listen",
  ]);
  for (const name of casesOfBars()) assert.ok(names(name).length >= 2, name);
});

test("the C server has a twin where small ratios are judged, and nowhere else", () => {
  const twins = (name: string) => namesOf(name).filter(isTwin);
  const both = ["c_uring/oneshot twin", "c_uring/multishot twin"];
  for (const name of ["echo-50x64", "echo-50x4096", "echo-8x65536"]) {
    assert.equal(twins(name), both);
    assert.equal(peersOfBars(caseOf(name)).map((peer) => peer.name).filter(isTwin), both);
  }
  for (const name of ["echo-1x64", "echo-500x64", "framed-1-d32", "churn", "workers-2"]) {
    assert.equal(twins(name), []);
  }
  const [one, same] = ["c_uring/oneshot", "c_uring/oneshot twin"].map((wanted) =>
    PEERS.find(({ name }) => name === wanted)!
  );
  const work = caseOf("echo-50x64");
  assert.equal([same.program, ...same.args(work)], [one.program, ...one.args(work)]);
});

test("the bars have rounds of their own, and are published only when they are measured", () => {
  const { rounds, seconds } = parseOptions(["--bars"]);
  assert.ok(rounds >= 8 && seconds < 1);
  assert.is(parseOptions(["--bars", "--rounds", "2"]).rounds, 2);
  assert.is(parseOptions(["--bars", "--quick"]).rounds, 2);
  assert.is(parseOptions(["--bars", "--publish"]).publish, true);
  assert.throws(() => parseOptions(["--publish"]), /--publish is about --bars/);
});

test("peers can be picked by a part of their names", () => {
  const names = peersOf(caseOf("echo-1x64"), ["LISTEN", "epoll"]).map((peer) => peer.name);
  assert.equal(names, ["c_epoll", "Bun.listen", "Deno.listen"]);
});

test("servers are told the mode, and what only they need", () => {
  const args = (peer: string, name: string) =>
    PEERS.find((candidate) => candidate.name === peer)?.args(caseOf(name)).join(" ");
  assert.is(args("c_uring/multishot", "framed-1-d32"), "--mode framed --recv multishot");
  assert.is(
    args("c_uring/multishot joined", "framed-1-d32"),
    "--mode joined --recv multishot",
  );
  assert.is(args("Bun.listen", "churn"), "--mode echo");
  assert.is(args("uringnet/bun no spin", "echo-1x64"), "--mode echo --spin off");
  assert.is(args("uringnet/deno split", "echo-50x64"), "--mode echo --topology split");
  assert.is(args("uringnet/deno exact", "echo-50x4096"), "--exact 4096");
  assert.is(args("uringnet/bun portable", "echo-1x64"), "--mode echo --backend portable");
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
