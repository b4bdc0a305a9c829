/*
 * deno_listen.ts: the peer that uses Deno.listen(), written for speed: one loop per connection over
 * read() and write() with a buffer of its own, without web streams.
 *
 * Usage: deno run --allow-net deno_listen.ts PORT
 *          [--mode echo|framed|joined|broadcast|sink|source]
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which. The modes are those of
 * uring_echo.c. A connection is not read from before what it sent is answered; in a broadcast one
 * piece at a time is sent to all.
 *
 * Limits: loopback only, frames of 16 MiB.
 */

type Serve = (connection: Deno.TcpConn) => Promise<void>;

const FRAME_HEADER_BYTES = 4;
const FRAME_BODY_BYTES_MAX = 16 << 20;
const BUFFER_BYTES = 64 << 10;
const STREAM_BYTES = 256 << 10;

/** write() may take a part only. */
async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  let written = await connection.write(bytes);
  while (written < bytes.length) written += await connection.write(bytes.subarray(written));
}

async function echo(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return;
    await writeAll(connection, buffer.subarray(0, count));
  }
}

/** The length of the frame at `at`, as far as it can be known from the bytes before `end`. */
function frameBytes(buffer: Uint8Array, at: number, end: number): number {
  if (end - at < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
  const body =
    (buffer[at]! << 24 | buffer[at + 1]! << 16 | buffer[at + 2]! << 8 | buffer[at + 3]!) >>> 0;
  if (body > FRAME_BODY_BYTES_MAX) throw new Error(`Cannot answer a frame of ${body} bytes`);
  return FRAME_HEADER_BYTES + body;
}

/** Answers the frames that one read completed: together, or with a write for each. */
async function serveFrames(connection: Deno.TcpConn, joined: boolean): Promise<void> {
  let buffer = new Uint8Array(BUFFER_BYTES);
  let end = 0;
  for (;;) {
    const count = await connection.read(end === 0 ? buffer : buffer.subarray(end));
    if (count === null) return;
    end += count;
    let at = 0;
    let needed = frameBytes(buffer, at, end);
    while (end - at >= needed) {
      if (!joined) await writeAll(connection, buffer.subarray(at, at + needed));
      at += needed;
      needed = frameBytes(buffer, at, end);
    }
    if (joined && at > 0) await writeAll(connection, buffer.subarray(0, at));
    if (at > 0 && at < end) buffer.copyWithin(0, at, end);
    end -= at;
    if (needed <= buffer.length) continue;
    const larger = new Uint8Array(needed);
    larger.set(buffer.subarray(0, end));
    buffer = larger;
  }
}

const members = new Set<Deno.TcpConn>();
let lastCast: Promise<unknown> = Promise.resolve();

/** Sends to all; a receiver that is gone is its own loop's concern. */
async function cast(bytes: Uint8Array): Promise<void> {
  const sends: Promise<void>[] = [];
  for (const member of members) sends.push(writeAll(member, bytes));
  await Promise.allSettled(sends);
}

async function broadcast(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  members.add(connection);
  try {
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      lastCast = lastCast.then(() => cast(buffer.subarray(0, count)));
      await lastCast;
    }
  } finally {
    members.delete(connection);
  }
}

async function sink(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(STREAM_BYTES);
  while (await connection.read(buffer) !== null);
}

const block = Uint8Array.from({ length: STREAM_BYTES }, (_, position) => position);

async function source(connection: Deno.TcpConn): Promise<void> {
  if (await connection.read(new Uint8Array(1)) === null) return;
  for (;;) await writeAll(connection, block);
}

/** Runs a connection to its end; a peer that resets it is an end like another. */
async function run(serve: Serve, connection: Deno.TcpConn): Promise<void> {
  try {
    connection.setNoDelay(true);
    await serve(connection);
  } catch {
    // The connection is closed below, whatever ended it.
  }
  connection.close();
}

const MODES: Record<string, Serve> = {
  echo,
  framed: (connection) => serveFrames(connection, false),
  joined: (connection) => serveFrames(connection, true),
  broadcast,
  sink,
  source,
};

const [portText = "0", flag = "--mode", mode = "echo"] = Deno.args;
const serve = MODES[mode];
if (flag !== "--mode" || serve === undefined) throw new Error(`Cannot run mode "${mode}"`);

const listener = Deno.listen({ hostname: "127.0.0.1", port: Number(portText) });
console.log(`listening ${listener.addr.port}`);
for await (const connection of listener) run(serve, connection);
