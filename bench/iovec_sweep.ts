/**
 * What one piece of a send costs, by the number and the size of the pieces: given as an `IoBufs` of
 * as many buffers, or copied into one buffer by the program.
 *
 *   IoBufs      the sink gathers pieces below 2 KiB by copy and sends larger ones as iovecs, at
 *               most 32 in a batch: 64 pieces are two
 *   one buffer  one allocation, one copy for each piece, one plain send
 *
 * CPU time is this whole process's; making the pieces is part of it. Start a server that reads and
 * forgets first: `bench/build/epoll_echo 0 --mode sink`. Prints one JSON array of SweepPoint.
 *
 * Usage: bun iovec_sweep.ts PORT [--seconds S] [--rounds N]
 *        deno run --allow-ffi iovec_sweep.ts PORT ...
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type Connection, type IoBuf, IoBufs, Network } from "../mod.ts";

export const PIECE_COUNTS = [1, 2, 4, 8, 16, 32, 64] as const;
export const PIECE_SIZES = [64, 1_024, 2_048, 4_096] as const;
export const METHODS = ["IoBufs", "one buffer"] as const;

export interface SweepPoint {
  pieces: number;
  size: number;
  method: typeof METHODS[number];
  /** Microseconds of CPU for each piece, by round. */
  cpuUsPerPiece: number[];
}

/** Sends made before the time is looked at again. */
const SENDS_PER_LOOK = 32;
const WARMUP_SENDS = 200;

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

async function measure(
  connection: Connection,
  point: SweepPoint,
  seconds: number,
): Promise<number> {
  const send = SENDERS[point.method];
  const source = network.pool.alloc(point.size).freeze();
  for (let i = 0; i < WARMUP_SENDS; i++) await send(connection, source, point.pieces);
  const before = process.cpuUsage();
  const deadline = performance.now() + seconds * 1_000;
  let sends = 0;
  while (performance.now() < deadline) {
    for (let i = 0; i < SENDS_PER_LOOK; i++) await send(connection, source, point.pieces);
    sends += SENDS_PER_LOOK;
  }
  const { user, system } = process.cpuUsage(before);
  source.release();
  return (user + system) / (sends * point.pieces);
}

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "0.2" },
    rounds: { type: "string", default: "3" },
  },
});
const largest = Math.max(...PIECE_COUNTS) * Math.max(...PIECE_SIZES);
const network = await Network.start({ pool: { maxSize: largest, maxPerClass: 64 } });
const connection = await network.dial(`127.0.0.1:${positionals[0]}`);
const points: SweepPoint[] = PIECE_SIZES.flatMap((size) =>
  METHODS.flatMap((method) =>
    PIECE_COUNTS.map((pieces) => ({ pieces, size, method, cpuUsPerPiece: [] }))
  )
);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const point of points) {
    point.cpuUsPerPiece.push(await measure(connection, point, Number(values.seconds)));
  }
}
console.log(JSON.stringify(points));
await network.close();
