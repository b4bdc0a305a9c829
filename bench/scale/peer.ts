/**
 * One end of thousands of real connections, in Bun or in Deno: an echo server, or the client that
 * dials it. The driver, bench/scale.ts, gives commands on stdin. Each gets one line of JSON.
 *
 *   accept: `listening PORT`, then echoes on every connection
 *   dial:   `listening 0`, then `dial PORT COUNT ADDRESSES`: connections to 127.0.0.1, 127.0.0.2,
 *           ..., each of which waits for a message, as an idle connection does
 *           `echo ACTIVE WARMUP`: so many connections send 64 bytes, await them, send again
 *           `quiet`: no further message
 *   both:   `state`: memory after a collection, connections, counts of the ring
 *           `cpu`: CPU time and messages so far
 *           `close`: closes the network; how long that took, and the longest gap of a 1 ms timer
 *
 * Usage: bun peer.ts accept|dial
 *        deno run --allow-all --v8-flags=--expose-gc peer.ts accept|dial
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { type Connection, Network } from "../../mod.ts";

/** The answer to `state`. */
export interface PeerState {
  heapBytes: number;
  residentBytes: number;
  connections: number;
  overflows: number;
  enters: number;
}

/** The answer to `cpu`. */
export interface CpuReport {
  cpuUs: number;
  messages: number;
}

/** The answer to `dial`. */
export interface DialReport {
  ms: number;
  cpuUs: number;
}

/** The answer to `close`. */
export interface CloseReport {
  closeMs: number;
  gapMs: number;
  cpuUs: number;
}

const MESSAGE_BYTES = 64;
/** Until the last answers have come. */
const QUIET_SECONDS = 0.3;
/** Dials at a time: below every backlog. */
const DIALING_MAX = 256;

// deno-lint-ignore no-explicit-any
const globals = globalThis as any;

function collect(): void {
  if (globals.Bun !== undefined) globals.Bun.gc(true);
  else globals.gc();
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const network = await Network.start({ ring: { spin: false } });
const message = new Uint8Array(MESSAGE_BYTES).fill(7);
const connections: Connection[] = [];
/** Whether an answer is followed by the next message. */
let echoing = false;
let messages = 0;

async function serve(connection: Connection): Promise<void> {
  const { stream, sink } = connection;
  try {
    for (let data; (data = await stream.recvSome()) !== null;) {
      await sink.send(data);
      messages++;
    }
  } finally {
    await connection.close();
  }
}

async function hold({ stream, sink }: Connection): Promise<void> {
  for (;;) {
    const data = await stream.recvSome();
    if (data === null) return;
    data.release();
    messages++;
    if (echoing) await sink.send(message);
  }
}

function ignore(): void {}

async function dial(port: number, count: number, addresses: number): Promise<DialReport> {
  const start = performance.now();
  const before = cpuUs();
  let begun = 0;
  const worker = async () => {
    while (begun < count) {
      const host = `127.0.0.${1 + begun++ % addresses}`;
      const connection = await network.dial(`${host}:${port}`);
      connections.push(connection);
      hold(connection).catch(ignore);
    }
  };
  await Promise.all(Array.from({ length: DIALING_MAX }, worker));
  return { ms: performance.now() - start, cpuUs: cpuUs() - before };
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, seconds * 1_000));
}

async function echo(active: number, warmup: number): Promise<void> {
  echoing = true;
  // Connections that are spread over all of them.
  const stride = connections.length / active;
  for (let i = 0; i < active; i++) {
    connections[Math.floor(i * stride)].sink.send(message).catch(ignore);
  }
  await pause(warmup);
}

function state(): PeerState {
  collect();
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  const { connections, ringOverflows, ringEnters } = network.stats();
  return {
    heapBytes: heapUsed,
    residentBytes: rss,
    connections,
    overflows: ringOverflows,
    enters: ringEnters,
  };
}

async function close(): Promise<CloseReport> {
  let gapMs = 0;
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    gapMs = Math.max(gapMs, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  await pause(0.1);
  gapMs = 0;
  const [start, before] = [performance.now(), cpuUs()];
  await network.close();
  look();
  clearInterval(timer);
  return { closeMs: performance.now() - start, gapMs, cpuUs: cpuUs() - before };
}

async function obey(line: string): Promise<unknown> {
  const [command, ...words] = line.split(" ");
  const [first, second, third] = words.map(Number);
  switch (command) {
    case "state":
      return state();
    case "cpu":
      return { cpuUs: cpuUs(), messages };
    case "dial":
      return await dial(first, second, third);
    case "echo":
      await echo(first, second);
      return {};
    case "quiet":
      echoing = false;
      await pause(QUIET_SECONDS);
      return {};
    case "close":
      return await close();
    default:
      throw new Error(`Cannot obey "${line}"`);
  }
}

async function main(): Promise<void> {
  let port = 0;
  if (process.argv[2] === "accept") {
    const listener = await network.bind("0.0.0.0:0", { backlog: 4_096 });
    port = (listener.localAddress as { port: number }).port;
    (async () => {
      for await (const connection of listener) serve(connection).catch(ignore);
    })();
  }
  console.log(`listening ${port}`);
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await obey(line)));
  }
  process.exit(0);
}

await main();
