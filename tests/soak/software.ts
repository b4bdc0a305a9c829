/**
 * Growth under unmodified software: HTTP, Redis and PostgreSQL over `uringnet/net`, with real
 * servers, while peers are killed on both sides.
 *
 *   software.ts [--minutes N] [--seed N] [--sockets native]
 *
 * It plays in rounds of ten seconds. In each, clients come and go: some end in order, some are
 * destroyed or reset in the middle of an answer, and servers end some of theirs (CLIENT KILL,
 * pg_terminate_backend, a destroyed request). At the end of a round everything is closed. Then the
 * descriptors must be as many as after the first round, and the resident memory is looked at.
 *
 * Every fifth rest is a long one, and growth is judged by these alone. V8 keeps pages that a
 * collection has emptied for some seconds, a hundred MiB of them after a busy round, and its young
 * generation becomes small only when nothing is allocated. After a short rest these pages are half
 * of the resident memory.
 *
 * `--sockets native` is the control: the same over the runtime's own `node:net`.
 *
 * Prints a line for each round and a verdict. Exit code: 0 when every answer was right, no
 * descriptor was left and memory did not grow (judged from a run of ten minutes on).
 *
 * @module
 */
import { createServer, get } from "node:http";
import { createRequire } from "node:module";
import { once } from "node:events";
import process from "node:process";
import { parseArgs } from "node:util";
import * as native from "node:net";
import ours, { netNetwork } from "../../src/adapters/net.ts";
import { type Server, startServer } from "../clients/servers.ts";
import { descriptors, pause } from "../contract/fixture.ts";
import { Random } from "../harness.ts";
import { type Sample, trendOf } from "./trend.ts";

const ROUND_MS = 10_000;
const CLIENTS_OF_EACH_KIND = 8;
/** One in so many clients is killed, by either side. */
const KILLED_PART = 0.3;
/** Caches fill and code is compiled in this part of a run. */
const WARM_UP_PART = 0.25;
const GROWTH_MAX_MIB_PER_HOUR = 6;
const JUDGED_FROM_MINUTES = 10;
const REST_MS = 1_500;
/**
 * Longer than V8 keeps pages without objects. A long rest has two such times: one until the young
 * generation is made small, one until the pages that this leaves are given back.
 */
const PAGES_KEPT_MS = 10_000;
const ROUNDS_OF_A_SAMPLE = 5;
/** A client that has not moved for so long hangs. */
const STUCK_MS = 30_000;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    minutes: { type: "string", default: "20" },
    seed: { type: "string" },
    sockets: { type: "string", default: "ours" },
  },
});
const minutes = Number(values.minutes);
const seed = values.seed === undefined
  ? crypto.getRandomValues(new Uint32Array(1))[0]
  : Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  throw new RangeError("Wanted: --minutes above 0, --seed an integer");
}
if (values.sockets !== "ours" && values.sockets !== "native") {
  throw new RangeError(`Wanted: --sockets ours or native, given: ${values.sockets}`);
}
const overRing = values.sockets === "ours";
const net = overRing ? ours : native as unknown as typeof ours;
const random = new Random(seed);
const require = createRequire(new URL("../clients/package.json", import.meta.url));
// deno-lint-ignore no-explicit-any
const { Client } = require("pg") as any;
// deno-lint-ignore no-explicit-any
const { Redis } = require("ioredis") as any;

const tally = { http: 0, redis: 0, pg: 0, killed: 0 };
const wrong: string[] = [];
let playing = true;
let movedMs = performance.now();

function expect(right: boolean, claim: string): void {
  movedMs = performance.now();
  if (!right && wrong.push(claim) > 20) throw new Error(wrong.join("\n"));
}

type Socket = ReturnType<typeof net.connect>;

/** Ends a socket as a peer that dies does: with FIN or RST, in the middle of an answer. */
function kill(socket: Socket | undefined): void {
  tally.killed++;
  if (socket === undefined) return;
  if (random.chance(0.5)) socket.destroy();
  else socket.resetAndDestroy();
}

/** Error codes of a connection that the other side has killed. */
const GONE = ["ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "57P01", "ECONNREFUSED"];

function isGone(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return GONE.includes(code ?? "") ||
    /terminat|closed|hang up|aborted|ended|Socket|writeable/i.test(message ?? "");
}

/** A server of node:http whose connections come from the sockets under test. */
async function startHttp() {
  const server = createServer((asked, answer) => {
    if (asked.url === "/killed") {
      answer.write("x".repeat(10_000));
      kill(asked.socket as unknown as Socket);
      return;
    }
    answer.end("x".repeat(Number(asked.url!.slice(1))));
  });
  // An http.Server that never listened closes each connection after one answer in Deno.
  if ("Deno" in globalThis) (server as unknown as { _handle: object })._handle = {};
  const outer = net.createServer((socket) => server.emit("connection", socket));
  outer.listen(0, "127.0.0.1");
  await once(outer, "listening");
  const { port } = outer.address() as { port: number };
  const close = async () => {
    outer.close();
    server.closeAllConnections();
    await once(outer, "close");
  };
  return { port, close };
}

function request(port: number, path: string, hurried: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const createConnection = () =>
      net.connect(port, "127.0.0.1") as unknown as import("node:net").Socket;
    const asked = get({ port, path, createConnection, agent: undefined }, (answer) => {
      let count = 0;
      answer.on("data", (chunk: Uint8Array) => {
        count += chunk.length;
        if (hurried) kill(answer.socket as unknown as Socket);
      });
      answer.on("end", () => resolve(count));
      answer.on("error", reject);
      answer.on("aborted", () => reject(new Error("aborted")));
    });
    asked.on("error", reject);
  });
}

async function playHttp(port: number): Promise<void> {
  while (playing) {
    const length = random.int(0, 200_000);
    const killed = random.chance(KILLED_PART);
    const byServer = random.chance(0.5);
    try {
      const path = killed && byServer ? "/killed" : `/${length}`;
      const count = await request(port, path, killed && !byServer);
      expect(killed || count === length, `http: wanted ${length} bytes, got ${count}`);
    } catch (error) {
      expect(killed && isGone(error), `http: ${error}`);
    }
    tally.http++;
  }
}

class Connector {
  readonly #port: number;
  stream: Socket | undefined;

  constructor({ port }: { port: number }) {
    this.#port = port;
  }

  connect(): Promise<Socket> {
    return Promise.resolve(this.stream = net.connect(this.#port, "127.0.0.1"));
  }

  check(): boolean {
    return true;
  }

  disconnect(): void {
    this.stream?.end();
  }
}

async function playRedis({ port }: Server, name: string): Promise<void> {
  while (playing) {
    const client = new Redis({ Connector, port, retryStrategy: null, maxRetriesPerRequest: 0 });
    client.on("error", () => {});
    const ended = new Promise((resolve) => client.once("end", resolve));
    const killed = random.chance(KILLED_PART);
    try {
      for (let i = 0; i < 20; i++) {
        const value = "v".repeat(random.int(0, 20_000));
        const got = await client.pipeline().set(name, value).get(name).exec();
        expect(got[1][0] !== null || got[1][1] === value, `redis: ${name} has another value`);
        if (got[1][0] !== null) throw got[1][0];
        tally.redis += 2;
      }
      if (killed && random.chance(0.5)) {
        tally.killed++;
        const id = await client.client("ID");
        await client.client("KILL", "ID", id, "SKIPME", "no");
      } else if (killed) {
        client.get(name).catch(() => {});
        kill(client.stream);
      } else await client.quit();
    } catch (error) {
      expect(isGone(error), `redis: ${error}`);
    }
    client.disconnect();
    await ended;
  }
}

async function playPg({ port }: Server): Promise<void> {
  const options = { host: "127.0.0.1", port, user: "test", database: "postgres" };
  while (playing) {
    let socket: Socket | undefined;
    const stream = () => socket = new net.Socket() as unknown as Socket;
    const client = new Client({ ...options, stream });
    client.on("error", () => {});
    const ended = new Promise((resolve) => client.once("end", resolve));
    const killed = random.chance(KILLED_PART);
    try {
      await client.connect();
      for (let i = 0; i < 10; i++) {
        const count = random.int(1, 1_000);
        const { rows } = await client.query("select generate_series(1, $1::int) as n", [count]);
        expect(rows.length === count, `pg: wanted ${count} rows, got ${rows.length}`);
        tally.pg++;
      }
      if (killed && random.chance(0.5)) {
        tally.killed++;
        await client.query("select pg_terminate_backend(pg_backend_pid())");
      } else if (killed) {
        client.query("select pg_sleep(1)").catch(() => {});
        kill(socket);
      } else await client.end();
    } catch (error) {
      expect(killed && isGone(error), `pg: ${error}`);
    }
    await ended;
  }
}

const runtime = globalThis as unknown as {
  gc?: () => void;
  Bun?: { gc(force: boolean): void };
};

/** Everything is closed: the collector gets its chances. */
async function rest(): Promise<void> {
  await pause(REST_MS);
  await collect();
}

async function restLong(): Promise<void> {
  await rest();
  await pause(PAGES_KEPT_MS);
  await collect();
  await pause(PAGES_KEPT_MS);
}

async function collect(): Promise<void> {
  for (let i = 0; i < 10; i++) {
    runtime.gc?.();
    runtime.Bun?.gc(true);
    await pause(50);
  }
  // A rest is no hang.
  movedMs = performance.now();
}

/** The code of PostgreSQL for a server that accepts connections and is not ready yet. */
const STARTING_UP = "57P03";
const STARTING_UP_POLL_MS = 100;

/** A server that never becomes ready ends the run as a client that hangs does. */
async function untilReady({ port }: Server): Promise<void> {
  for (;;) {
    const client = new Client({ host: "127.0.0.1", port, user: "test", database: "postgres" });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== STARTING_UP) throw error;
      await pause(STARTING_UP_POLL_MS);
    }
  }
}

async function playRound(redis: Server, postgres: Server): Promise<void> {
  playing = true;
  const http = await startHttp();
  setTimeout(() => playing = false, ROUND_MS);
  const clients = Array.from({ length: CLIENTS_OF_EACH_KIND }, (_, i) => [
    playHttp(http.port),
    playRedis(redis, `key${i}`),
    playPg(postgres),
  ]).flat();
  await Promise.all(clients);
  await http.close();
}

function mib(bytes: number): string {
  return (bytes / (1 << 20)).toFixed(1);
}

async function main(): Promise<number> {
  await using redis = await startServer("redis");
  await using postgres = await startServer("postgres");
  const watchdog = setInterval(() => {
    if (performance.now() - movedMs < STUCK_MS) return;
    const stats = overRing ? netNetwork().stats() : "native sockets";
    console.error(`stuck: ${JSON.stringify(tally)} ${JSON.stringify(stats)}`);
    process.exit(1);
  }, 5_000);
  await untilReady(postgres);
  const startMs = performance.now();
  const samples: Sample[] = [];
  let open = -1;
  console.log(`software: ${minutes} minutes, seed ${seed}, ${values.sockets} sockets`);
  for (let round = 1; performance.now() - startMs < minutes * 60_000; round++) {
    await playRound(redis, postgres);
    const isSample = round % ROUNDS_OF_A_SAMPLE === 0;
    if (isSample) await restLong();
    else await rest();
    movedMs = performance.now();
    const seconds = (performance.now() - startMs) / 1_000;
    const { rss: rssBytes, heapUsed, external } = process.memoryUsage();
    if (isSample) samples.push({ seconds, rssBytes });
    const now = descriptors().size;
    if (open === -1) open = now;
    if (now > open) wrong.push(`${now} descriptors at rest, ${open} after the first round`);
    const shown = Object.entries(tally).map(([name, count]) => `${name} ${count}`).join(", ");
    const [rss, heap, outside] = [rssBytes, heapUsed, external].map(mib);
    console.log(
      `${seconds.toFixed(0)} s: ${shown}; ${isSample ? "after a long rest" : "at rest"} ` +
        `${rss} MiB, heap ${heap}, external ${outside}, ${now} descriptors` +
        (overRing ? `, ${netNetwork().stats().connections} connections` : ""),
    );
  }
  clearInterval(watchdog);
  const warm = minutes * 60 * WARM_UP_PART;
  const trend = trendOf(samples.filter(({ seconds }) => seconds >= warm));
  if (trend !== null) {
    const { mibPerHour, errorMibPerHour } = trend;
    console.log(`growth ${mibPerHour.toFixed(1)} MiB per hour, +- ${errorMibPerHour.toFixed(1)}`);
    const grows = mibPerHour - 2 * errorMibPerHour > GROWTH_MAX_MIB_PER_HOUR;
    if (grows && minutes >= JUDGED_FROM_MINUTES) wrong.push("memory grows");
  }
  for (const claim of wrong) console.error(claim);
  console.log(wrong.length === 0 ? "nothing wrong" : `${wrong.length} wrong`);
  return wrong.length === 0 ? 0 : 1;
}

process.exit(await main());
