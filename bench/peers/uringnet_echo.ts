/*
 * uringnet_echo.ts: the peer that uses this library, in Deno and in Bun.
 *
 * Usage: bun uringnet_echo.ts PORT [--mode echo|framed|broadcast|sink|source] [--exact BYTES]
 *          [--topology shared|split] [--metrics FILE]
 *        deno run --allow-ffi uringnet_echo.ts PORT ...     (--metrics: --allow-write as well)
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which. The modes are those of
 * uring_echo.c. With --exact, echo receives messages of exactly that many bytes. SIGTERM ends it,
 * after the metrics were written to FILE when one was given.
 *
 * A connection is not read from before what it sent is with the kernel, so a client that does not
 * read is not read from either; in a broadcast one piece at a time is sent to all.
 *
 * Limits: loopback only, frames of 16 MiB.
 */
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Connection, type IoBuf, IoBufs, Network } from "../../mod.ts";

type Serve = (connection: Connection) => Promise<void>;

const FRAME_HEADER_BYTES = 4;
const FRAME_BODY_BYTES_MAX = 16 << 20;
const SOURCE_BLOCK_BYTES = 64 << 10;
const SOURCE_BLOCKS_PER_SEND = 4;

// ---- Echo ---------------------------------------------------------------------------------------

async function echo({ stream, sink }: Connection): Promise<void> {
  for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
}

/** Ends with an error at the end of the stream, as any end between or inside messages does. */
function echoExactly(length: number): Serve {
  return async ({ stream, sink }) => {
    for (;;) await sink.send(await stream.recv(length));
  };
}

// ---- Framed -------------------------------------------------------------------------------------

function bodyBytes(header: Uint8Array, at: number): number {
  const body = (header[at] << 24 | header[at + 1] << 16 | header[at + 2] << 8 | header[at + 3]) >>>
    0;
  if (body > FRAME_BODY_BYTES_MAX) throw new Error(`Cannot answer a frame of ${body} bytes`);
  return body;
}

/** The bytes of all complete frames in the buffer. */
function completeFrames(buffered: Uint8Array): number {
  let at = 0;
  while (buffered.length - at >= FRAME_HEADER_BYTES) {
    const next = at + FRAME_HEADER_BYTES + bodyBytes(buffered, at);
    if (next > buffered.length) break;
    at = next;
  }
  return at;
}

/**
 * Complete frames leave together as they lie in the buffer; else one is waited for by its parts.
 */
async function framed({ stream, sink }: Connection): Promise<void> {
  for (;;) {
    const frames = stream.tryRecv(completeFrames(stream.peek(stream.buffered))) as IoBufs;
    if (frames.length > 0) {
      await sink.send(frames);
      continue;
    }
    const header = (await stream.recv(FRAME_HEADER_BYTES)).coalesce();
    const body = await stream.recv(bodyBytes(header.bytes, 0));
    const frame = new IoBufs(header, body);
    const more = completeFrames(stream.peek(stream.buffered));
    await sink.send(more === 0 ? frame : frame.append(stream.tryRecv(more) as IoBufs));
  }
}

// ---- Broadcast ----------------------------------------------------------------------------------

const members = new Set<Connection>();
let lastCast: Promise<unknown> = Promise.resolve();

/** Sends one buffer to all, without a copy; a receiver that is gone is its own loop's concern. */
async function cast(piece: IoBuf): Promise<void> {
  const sends: Promise<void>[] = [];
  for (const { sink } of members) sends.push(sink.send(piece.clone()).catch(() => {}));
  piece.release();
  await Promise.all(sends);
}

async function broadcast(connection: Connection): Promise<void> {
  members.add(connection);
  try {
    for (let data; (data = await connection.stream.recvSome()) !== null;) {
      const piece = data;
      lastCast = lastCast.then(() => cast(piece));
      await lastCast;
    }
  } finally {
    members.delete(connection);
  }
}

// ---- One way ------------------------------------------------------------------------------------

async function drain({ stream }: Connection): Promise<void> {
  for (let data; (data = await stream.recvSome()) !== null;) data.release();
}

let block: IoBuf | null = null;

function sourceBlock(network: Network): IoBuf {
  const buffer = network.pool.alloc(SOURCE_BLOCK_BYTES);
  for (let position = 0; position < buffer.length; position++) buffer.bytes[position] = position;
  return buffer.freeze();
}

/** Every send shares the same memory: nothing is copied in this process. */
async function source({ stream, sink }: Connection): Promise<void> {
  (await stream.recv(1)).release();
  block ??= sourceBlock(network);
  for (;;) {
    const blocks = new IoBufs();
    for (let i = 0; i < SOURCE_BLOCKS_PER_SEND; i++) blocks.append(block.clone());
    await sink.send(blocks);
  }
}

// ---- Start --------------------------------------------------------------------------------------

/** Runs a connection to its end; a peer that resets it is an end like another. */
async function run(serve: Serve, connection: Connection): Promise<void> {
  try {
    await serve(connection);
  } catch {
    // The connection is closed below, whatever ended it.
  }
  await connection.close();
}

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    mode: { type: "string", default: "echo" },
    exact: { type: "string" },
    topology: { type: "string", default: "shared" },
    metrics: { type: "string" },
  },
});
const exactly = values.exact === undefined ? null : Number(values.exact);
const MODES: Record<string, Serve> = {
  echo: exactly === null ? echo : echoExactly(exactly),
  framed,
  broadcast,
  sink: drain,
  source,
};
const serve = MODES[values.mode];
if (serve === undefined) throw new Error(`Cannot run mode "${values.mode}"`);

const metricsFile = values.metrics ?? null;
const registry = metricsFile === null
  ? null
  : new (await (await import("../../deps.ts")).loadPromClient()).Registry();
const network = await Network.start({
  ring: { topology: values.topology as "shared" | "split" },
  ...(registry === null ? {} : { registry }),
});
process.on("SIGTERM", async () => {
  if (registry !== null && metricsFile !== null) {
    writeFileSync(metricsFile, await registry.metrics());
  }
  process.exit(0);
});

const listener = await network.bind(`127.0.0.1:${positionals[0] ?? "0"}`, { backlog: 4_096 });
console.log(`listening ${"port" in listener.localAddress ? listener.localAddress.port : ""}`);
for await (const connection of listener) run(serve, connection);
