/**
 * The cost of one piece of a send: sends of a number of pieces of a size, given as an `IoBufs` of
 * as many buffers, or copied into one buffer by the program.
 *
 *   IoBufs      the sink gathers pieces below a threshold by copy and sends larger ones as iovecs,
 *               a limited number in one operation
 *   one buffer  one allocation, one copy for each piece, one plain send
 *
 * CPU time is this whole process's; making the pieces is part of it, waiting is not: the network
 * does not spin. Start a server that reads and forgets first: `bench/build/epoll_echo 0 --mode
 * sink`. Prints one JSON array: microseconds of CPU for each piece, in the order of the points.
 *
 * Usage: bun piece_sweep.ts PORT --points JSON [--library PATH] [--seconds S]
 *        deno run --allow-ffi --allow-read piece_sweep.ts PORT ...
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Connection, IoBuf } from "../mod.ts";

export interface PiecePoint {
  pieces: number;
  size: number;
  method: "IoBufs" | "one buffer";
}

/** Sends made before the time is looked at again. */
const SENDS_PER_LOOK = 32;
const WARMUP_SENDS = 300;

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    points: { type: "string", default: "[]" },
    library: { type: "string", default: fileURLToPath(new URL("../mod.ts", import.meta.url)) },
    seconds: { type: "string", default: "0.2" },
  },
});
const { IoBufs, Network } = await import(values.library) as typeof import("../mod.ts");
const points = JSON.parse(values.points) as PiecePoint[];
const seconds = Number(values.seconds);

async function sendPieces({ sink }: Connection, source: IoBuf, pieces: number): Promise<void> {
  const bufs = new IoBufs();
  for (let i = 0; i < pieces; i++) bufs.append(source.clone());
  await sink.send(bufs);
}

async function sendCopy({ sink }: Connection, source: IoBuf, pieces: number): Promise<void> {
  const { bytes } = source;
  const buffer = network.pool.alloc(bytes.length * pieces);
  for (let i = 0; i < pieces; i++) buffer.bytes.set(bytes, i * bytes.length);
  await sink.send(buffer);
}

const SENDERS = { "IoBufs": sendPieces, "one buffer": sendCopy };

async function warmUp(connection: Connection, { pieces, size, method }: PiecePoint): Promise<void> {
  using source = network.pool.alloc(size).freeze();
  for (let i = 0; i < WARMUP_SENDS; i++) await SENDERS[method](connection, source, pieces);
}

async function measure(
  connection: Connection,
  { pieces, size, method }: PiecePoint,
): Promise<number> {
  const send = SENDERS[method];
  using source = network.pool.alloc(size).freeze();
  const before = process.cpuUsage();
  const deadline = performance.now() + seconds * 1_000;
  let sends = 0;
  while (performance.now() < deadline) {
    for (let i = 0; i < SENDS_PER_LOOK; i++) await send(connection, source, pieces);
    sends += SENDS_PER_LOOK;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (sends * pieces);
}

const network = await Network.start({
  ring: { spin: false },
  pool: { maxSize: 1 << 20, maxPerClass: 128 },
});
const connection = await network.dial(`127.0.0.1:${positionals[0]}`);
for (const point of points) await warmUp(connection, point);
const figures: number[] = [];
for (const point of points) figures.push(await measure(connection, point));
console.log(JSON.stringify(figures));
await network.close();
