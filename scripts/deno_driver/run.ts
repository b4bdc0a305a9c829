/**
 * Runs a driver that takes a `Deno.Conn` over `uringnet/adapters/deno`, from outside of this
 * project: the Redis client of https://github.com/iuioiua/redis (`jsr:@iuioiua/redis`), which has
 * no package on npm.
 *
 *   bun scripts/deno_driver/run.ts FOLDER         FOLDER holds the `mod.ts` of a checkout
 *   deno run -A scripts/deno_driver/run.ts FOLDER
 *
 * Starts a redis-server of its own, plays one session over TCP and one over a unix socket, and in
 * Deno the same over `Deno.connect`. Prints the replies, and ends with 1 when two sessions differ.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { connect } from "../../src/adapters/deno.ts";

type Command = readonly (string | number | Uint8Array)[];

/** The part of the driver that is used. */
interface Client {
  sendCommand(command: Command): Promise<unknown>;
  pipelineCommands(commands: readonly Command[]): Promise<unknown[]>;
  writeCommand(command: Command): Promise<void>;
  readReplies(): AsyncIterator<unknown>;
}

interface Options {
  port?: number;
  transport?: "unix";
  path?: string;
}

type Connect = (options: Options) => Promise<Disposable>;

const START_ATTEMPTS = 100;
const START_PAUSE_MS = 50;
const BIG_BYTES = 3_000_000;
const PORT_FIRST = 17_000;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: run.ts FOLDER");
const { RedisClient } = await import(pathToFileURL(join(resolve(folder), "mod.ts")).href) as {
  RedisClient: new (conn: unknown) => Client;
};

/** Connects as soon as the server listens. */
async function connectSoon(open: Connect, options: Options): Promise<Disposable> {
  for (let attempt = 1;; attempt++) {
    try {
      return await open(options);
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error;
      await new Promise((resume) => setTimeout(resume, START_PAUSE_MS));
    }
  }
}

/** The replies of one session, as text. */
async function play(open: Connect, options: Options): Promise<string> {
  using conn = await connectSoon(open, options);
  using second = await open(options);
  const [redis, publisher] = [new RedisClient(conn), new RedisClient(second)];
  const replies: unknown[] = [];
  const commands = [["FLUSHALL"], ["SET", "key", "a \u20ac value"], ["GET", "key"]];
  for (const command of commands) replies.push(await redis.sendCommand(command));
  const big = new Uint8Array(BIG_BYTES).map((_, i) => 97 + i % 26);
  replies.push(await redis.sendCommand(["SET", "big", big]));
  const got = await redis.sendCommand(["GET", "big"]) as string;
  replies.push(got.length, got === new TextDecoder().decode(big));
  const counts = Array.from({ length: 1_000 }, () => redis.sendCommand(["INCR", "n"]));
  replies.push((await Promise.all(counts)).at(-1));
  const pipeline = Array.from({ length: 500 }, () => ["INCR", "n"]);
  replies.push((await redis.pipelineCommands(pipeline)).at(-1));
  replies.push(await redis.sendCommand(["nonsense"]).catch((error: Error) => error.name));
  await redis.writeCommand(["SUBSCRIBE", "news"]);
  const news = redis.readReplies();
  replies.push((await news.next()).value);
  await publisher.sendCommand(["PUBLISH", "news", "extra"]);
  replies.push((await news.next()).value);
  return JSON.stringify(replies);
}

async function main(server: { port: number; path: string }): Promise<boolean> {
  const ours = connect as unknown as Connect;
  // A session empties its server. The one on the socket of this run's own folder comes first: it
  // shows that the server has started, which it does not where the port belongs to another one.
  const sessions = [
    await play(ours, { transport: "unix", path: server.path }),
    await play(ours, { port: server.port }),
  ];
  const native = (globalThis as { Deno?: { connect: Connect } }).Deno;
  if (native !== undefined) sessions.push(await play(native.connect, { port: server.port }));
  for (const session of new Set(sessions)) console.log(session);
  return new Set(sessions).size === 1;
}

const own = mkdtempSync(join(tmpdir(), "uringnet-driver-"));
const port = PORT_FIRST + process.pid % 1_000;
const options = ["--port", String(port), "--unixsocket", join(own, "socket"), "--save", ""];
const server: ChildProcess = spawn("redis-server", [...options, "--dir", own], { stdio: "ignore" });
try {
  const same = await main({ port, path: join(own, "socket") });
  console.log(same ? "all sessions have the same replies" : "the sessions differ");
  process.exitCode = same ? 0 : 1;
} finally {
  server.kill();
  rmSync(own, { recursive: true, force: true });
}
