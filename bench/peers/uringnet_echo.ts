/*
 * uringnet_echo.ts: the peer that uses this library, in Deno and in Bun.
 *
 * Usage: bun uringnet_echo.ts PORT
 *          [--mode echo|framed|recv-send|codec|joined|broadcast|sink|source|pooled]
 *          [--exact BYTES] [--spin on|off] [--metrics FILE] [--read-buffer BYTES]
 *          [--topology shared|split] [--backend io_uring|portable]
 *          [--timeout-ms MS] [--options]
 *        deno run --allow-ffi uringnet_echo.ts PORT ...     (--metrics: --allow-write as well)
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which. The modes are those of
 * uring_echo.c; `source` sends memory of the program, which is copied on its way, `pooled` sends
 * buffers of the pool, which are not. With --exact, echo and sink receive messages of exactly that
 * many bytes. With --spin off, waiting is always done asleep. --backend portable is the library
 * over node:net (--allow-net instead of --allow-ffi); io_uring is the default. SIGTERM ends it,
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
import {
  type Connection,
  framed as framedBy,
  type IoBuf,
  IoBufs,
  lengthPrefixed,
  Network,
  type Stream,
} from "../../mod.ts";

type Serve = (connection: Connection) => Promise<void>;

const FRAME_HEADER_BYTES = 4;
const FRAME_BODY_BYTES_MAX = 16 << 20;
const SOURCE_BLOCK_BYTES = 256 << 10;
const WRITE_BUFFER_BYTES = 64 << 10;
/** Modes whose sends go through a write buffer. */
const BUFFERED_MODES = ["broadcast", "framed"];
const POOLED_BYTES = 64 << 10;
const POOLED_PER_SEND = SOURCE_BLOCK_BYTES / POOLED_BYTES;

// ---- Echo ---------------------------------------------------------------------------------------

/** As in the documentation, one function serves a connection to its end. */
async function echo(connection: Connection): Promise<void> {
  const { stream, sink } = connection;
  try {
    for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
  } catch {
    // The connection is closed below, whatever ended it.
  }
  await connection.close();
}

/** The same with an object of options in every call, which says nothing. */
async function echoWithOptions({ stream, sink }: Connection): Promise<void> {
  const options = { timeoutMs };
  for (let data; (data = await stream.recvSome(undefined, options)) !== null;) {
    await sink.send(data, options);
  }
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

/** The end of the frame that begins at `at`; 0 when it is not complete. */
function frameEnd(buffered: Uint8Array, at: number): number {
  if (buffered.length - at < FRAME_HEADER_BYTES) return 0;
  const end = at + FRAME_HEADER_BYTES + bodyBytes(buffered, at);
  return end <= buffered.length ? end : 0;
}

/** Waits for a frame that is not complete, by its parts. */
async function nextFrame(stream: Stream): Promise<IoBufs> {
  const header = (await stream.recv(FRAME_HEADER_BYTES)).coalesce();
  const body = await stream.recv(bodyBytes(header.bytes, 0));
  return new IoBufs(header, body);
}

/** The lengths of the complete frames that are buffered. */
function frameLengths(buffered: Uint8Array): number[] {
  const lengths: number[] = [];
  for (let at = 0, end = 0; (end = frameEnd(buffered, at)) > 0; at = end) lengths.push(end - at);
  return lengths;
}

/**
 * One send for each frame. With a write buffer, those of frames that came together leave together,
 * and a send is waited for only when the receiver is behind.
 */
async function framed({ stream, sink }: Connection): Promise<void> {
  for (;;) {
    let sent = sink.send(await nextFrame(stream));
    for (const length of frameLengths(stream.peek(stream.buffered))) {
      if (sink.bytesQueued > WRITE_BUFFER_BYTES / 2) await sent;
      sent = sink.send(stream.tryRecv(length) as IoBufs);
    }
    await sent;
  }
}

/** The work of the codec by hand: each frame by its parts, each answer with a length of its own. */
async function recvSend({ stream, sink }: Connection): Promise<void> {
  for (;;) {
    const header = (await stream.recv(FRAME_HEADER_BYTES)).coalesce();
    const body = await stream.recv(bodyBytes(header.bytes, 0));
    header.release();
    const length = new Uint8Array(FRAME_HEADER_BYTES);
    new DataView(length.buffer).setUint32(0, body.length);
    await sink.send(new IoBufs(length, body));
  }
}

async function codec(connection: Connection): Promise<void> {
  const frames = framedBy(connection, lengthPrefixed({ maxLength: FRAME_BODY_BYTES_MAX }));
  for await (const body of frames) await frames.send(body);
}

/** Complete frames leave together as they lie in the buffer. */
async function joined({ stream, sink }: Connection): Promise<void> {
  for (;;) {
    const answer = await nextFrame(stream);
    const buffered = stream.peek(stream.buffered);
    let count = 0;
    for (let end = 0; (end = frameEnd(buffered, count)) > 0;) count = end;
    await sink.send(answer.append(stream.tryRecv(count) as IoBufs));
  }
}

// ---- Broadcast ----------------------------------------------------------------------------------

const members = new Set<Connection>();
let lastCast: Promise<unknown> = Promise.resolve();

/**
 * Sends one buffer to all, without a copy. With a write buffer, a send waits only for a receiver
 * that is further behind than that; one that is gone takes no more part.
 */
async function cast(piece: IoBuf): Promise<void> {
  for (const member of members) {
    try {
      await member.sink.send(piece.clone());
    } catch {
      members.delete(member);
    }
  }
  piece.release();
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

function drainExactly(length: number): Serve {
  return async ({ stream }) => {
    for (;;) (await stream.recv(length)).release();
  };
}

/** The byte at position p is p mod 256. */
const block = Uint8Array.from({ length: SOURCE_BLOCK_BYTES }, (_, position) => position);

async function source({ stream, sink }: Connection): Promise<void> {
  (await stream.recv(1)).release();
  for (;;) await sink.send(block);
}

/** Every send shares the same memory: nothing is copied in this process. */
async function pooled({ stream, sink }: Connection): Promise<void> {
  (await stream.recv(1)).release();
  const buffer = network.pool.alloc(POOLED_BYTES);
  buffer.bytes.set(block.subarray(0, POOLED_BYTES));
  using shared = buffer.freeze();
  for (;;) {
    const blocks = new IoBufs();
    for (let i = 0; i < POOLED_PER_SEND; i++) blocks.append(shared.clone());
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
    spin: { type: "string", default: "on" },
    metrics: { type: "string" },
    "read-buffer": { type: "string" },
    topology: { type: "string", default: "shared" },
    backend: { type: "string", default: "io_uring" },
    "timeout-ms": { type: "string" },
    options: { type: "boolean", default: false },
  },
});
const exactly = values.exact === undefined ? null : Number(values.exact);
const timeoutMs = values["timeout-ms"] === undefined ? null : Number(values["timeout-ms"]);
const echoAny = values.options ? echoWithOptions : echo;
const MODES: Record<string, Serve> = {
  echo: exactly === null ? echoAny : echoExactly(exactly),
  framed,
  "recv-send": recvSend,
  codec,
  joined,
  broadcast,
  sink: exactly === null ? drain : drainExactly(exactly),
  source,
  pooled,
};
const serve = MODES[values.mode];
if (serve === undefined) throw new Error(`Cannot run mode "${values.mode}"`);
if (values.spin !== "on" && values.spin !== "off") {
  throw new RangeError(`Cannot spin "${values.spin}": wanted "on" or "off"`);
}

const metricsFile = values.metrics ?? null;
const registry = metricsFile === null
  ? null
  : new (await (await import("../../deps.ts")).loadPromClient()).Registry();
const readBytes = values["read-buffer"] === undefined ? null : Number(values["read-buffer"]);
const network = await Network.start({
  backend: values.backend as "io_uring" | "portable",
  ring: {
    topology: values.topology as "shared" | "split",
    ...(values.spin === "off" ? { spin: false } : {}),
  },
  ...(registry === null ? {} : { registry }),
  ...(timeoutMs === null ? {} : { readTimeoutMs: timeoutMs, writeTimeoutMs: timeoutMs }),
  ...(BUFFERED_MODES.includes(values.mode) ? { writeBufferSize: WRITE_BUFFER_BYTES } : {}),
  ...(readBytes === null ? {} : { readBufferSize: readBytes, pool: { maxSize: readBytes } }),
});
process.on("SIGTERM", async () => {
  if (registry !== null && metricsFile !== null) {
    writeFileSync(metricsFile, await registry.metrics());
  }
  process.exit(0);
});

const listener = await network.bind(`127.0.0.1:${positionals[0] ?? "0"}`, { backlog: 4_096 });
console.log(`listening ${"port" in listener.localAddress ? listener.localAddress.port : ""}`);
for await (const connection of listener) {
  if (serve === echo) void echo(connection);
  else void run(serve, connection);
}
