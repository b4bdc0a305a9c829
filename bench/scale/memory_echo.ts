/**
 * The library's JavaScript without a kernel: an echo server over `MemoryRing`, with as many
 * connections as memory holds.
 *
 *   connect -> memory of a connection -> warm up, echo -> scrape -> close
 *
 * Time is that of this thread's clock, so that compiler and collector threads and other programs do
 * not count; `processNs` counts those threads too. Prints one JSON object, a `MemoryReport`.
 *
 * Usage: bun memory_echo.ts [--connections N] [--active N] [--seconds S] [--warmup S] [--exact]
 *          [--timeout-ms MS] [--options] [--library FOLDER]
 *        deno run --allow-all --v8-flags=--expose-gc memory_echo.ts ...
 *
 * `--active` of the connections echo without a pause, one message of 64 bytes each. `--timeout-ms`
 * gives every call a budget, `--options` an object of options that says nothing. FOLDER has the
 * sources of the library, perhaps of a variant.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import * as timers from "node:timers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Connection } from "../../mod.ts";
import type { Host } from "../../src/base/host.ts";
import { MemoryNative, MemoryRing } from "./memory_ring.ts";

export interface MemoryReport {
  connections: number;
  active: number;
  /** Accepting: a connection, its handler, and its first receive. */
  acceptNs: number;
  /** The runtime's heap, and resident memory, for each connection. */
  heapBytes: number;
  residentBytes: number;
  echoes: number;
  /** An echo, of this thread and of all threads. */
  echoNs: number;
  processNs: number;
  /** The longest time that one full collection took. */
  collectMs: number;
  /** `NetworkCore.stats()` and all that a scrape reads. */
  scrapeUs: number;
  closeMs: number;
  /** Closing, for each connection, of this thread. */
  closeNs: number;
  /** The longest gap of a timer of 1 ms while the network closes. */
  closeGapMs: number;
}

const MESSAGE_BYTES = 64;
/** The most that `ring.maxInFlight` may be. */
const IN_FLIGHT_MAX = 1 << 20;
const SCRAPE_COUNT = 1_000;

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "50" },
    active: { type: "string", default: "50" },
    seconds: { type: "string", default: "1" },
    warmup: { type: "string", default: "1" },
    exact: { type: "boolean", default: false },
    options: { type: "boolean", default: false },
    "timeout-ms": { type: "string" },
    library: { type: "string", default: fileURLToPath(new URL("../..", import.meta.url)) },
  },
});
const connections = Number(values.connections);
const active = Math.min(Number(values.active), connections);
const timeoutMs = values["timeout-ms"] === undefined ? null : Number(values["timeout-ms"]);

function load<T>(path: string): Promise<T> {
  return import(`${values.library}/src/${path}`);
}

type Lifecycle = typeof import("../../src/net/lifecycle/network_core.ts");
type Opening = typeof import("../../src/net/lifecycle/open_network.ts");
type Config = typeof import("../../src/net/config/config.ts");

const { NetworkCore } = await load<Lifecycle>("net/lifecycle/network_core.ts");
const { openNetwork } = await load<Opening>("net/lifecycle/open_network.ts");
const { resolveConfig } = await load<Config>("net/config/config.ts");

// deno-lint-ignore no-explicit-any
const { setImmediate } = timers as any as { setImmediate(callback: () => void): void };

const host: Host = {
  now: () => performance.now(),
  setTimer(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  pause: (delayMs) => new Promise((resolve) => void setTimeout(resolve, delayMs)),
  setMacrotask: (callback) => void setImmediate(callback),
  resolve: () => Promise.reject(new Error("no names here")),
  warn: (line) => console.error(line),
  environment: () => undefined,
  processId: process.pid,
};

/** The time for which this thread had a processor, in nanoseconds. */
function threadNs(): number {
  return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]);
}

function processNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
}

// deno-lint-ignore no-explicit-any
const globals = globalThis as any;

/** Collects all garbage, and returns how long that took. */
function collect(): number {
  const before = performance.now();
  if (globals.Bun !== undefined) globals.Bun.gc(true);
  else globals.gc();
  return performance.now() - before;
}

function memory(): { heap: number; resident: number } {
  collect();
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed, resident: rss };
}

const options = values.options ? { timeoutMs } : undefined;

async function echo({ stream, sink }: Connection): Promise<void> {
  for (let data; (data = await stream.recvSome(undefined, options)) !== null;) {
    await sink.send(data, options);
  }
}

async function echoExactly({ stream, sink }: Connection): Promise<void> {
  for (;;) await sink.send(await stream.recv(MESSAGE_BYTES));
}

function until(isDone: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => isDone() ? resolve() : setImmediate(look);
    look();
  });
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, seconds * 1_000));
}

/** Runs `work` and returns the longest gap between two rounds of the event loop. */
async function longestGapMs(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  await work();
  clearInterval(timer);
  return Math.max(longest, performance.now() - last);
}

async function main(): Promise<MemoryReport> {
  const ring = new MemoryRing(connections, MESSAGE_BYTES);
  const native = new MemoryNative(ring);
  const config = resolveConfig({
    ring: { maxInFlight: IN_FLIGHT_MAX, spin: false },
    readTimeoutMs: timeoutMs,
    writeTimeoutMs: timeoutMs,
  });
  const context = openNetwork(native, host, config, { recvPort: ring, sendPort: null });
  const network = new NetworkCore(context, "io_uring", () => {});
  const listener = await network.bind("127.0.0.1:80");
  const serve = values.exact ? echoExactly : echo;
  const ended = (async () => {
    for await (const connection of listener) serve(connection).catch(() => connection.close());
  })();

  const before = memory();
  const acceptStart = threadNs();
  ring.backlog = connections;
  ring.wake();
  await until(() => context.recvRing.inFlight === connections + 1);
  const acceptNs = (threadNs() - acceptStart) / connections;
  const after = memory();

  ring.startEchoes(active);
  await pause(Number(values.warmup));
  const [sends, start, processStart] = [ring.sendCount, threadNs(), processNs()];
  await pause(Number(values.seconds));
  const echoes = ring.sendCount - sends;
  const [echoNs, allNs] = [(threadNs() - start) / echoes, (processNs() - processStart) / echoes];
  ring.active = 0;
  await until(() => context.recvRing.inFlight === connections + 1 && ring.arm() === 0);

  const collectMs = collect();
  const scrapeStart = performance.now();
  for (let i = 0; i < SCRAPE_COUNT; i++) network.stats();
  const scrapeUs = (performance.now() - scrapeStart) * 1_000 / SCRAPE_COUNT;
  const closeStart = performance.now();
  const closeCpu = threadNs();
  const closeGapMs = await longestGapMs(() => network.close());
  await ended;
  return {
    connections,
    active,
    acceptNs,
    heapBytes: (after.heap - before.heap) / connections,
    residentBytes: (after.resident - before.resident) / connections,
    echoes,
    echoNs,
    processNs: allNs,
    collectMs,
    scrapeUs,
    closeMs: performance.now() - closeStart,
    closeNs: (threadNs() - closeCpu) / connections,
    closeGapMs,
  };
}

console.log(JSON.stringify(await main()));
process.exit(0);
