/*
 * node_net.mjs: the peer that uses node:net, run by Node, Bun and Deno alike. It follows write()'s
 * answer: a socket that could not take all is not read from before it has drained.
 *
 * Usage: node node_net.mjs PORT [--mode echo|framed|joined|broadcast|sink|source]
 *        bun node_net.mjs PORT ...
 *        deno run --allow-net node_net.mjs PORT ...
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which. The modes are those of
 * uring_echo.c.
 *
 * Limits: loopback only, frames of 16 MiB.
 */

import { Buffer } from "node:buffer";
import { createServer } from "node:net";
import process from "node:process";

const FRAME_HEADER_BYTES = 4;
const FRAME_BODY_BYTES_MAX = 16 << 20;
const SOURCE_BLOCK_BYTES = 256 << 10;
const BACKLOG = 4096;

/** Writes; a socket that is full is not read from before it has drained. */
function answer(socket, bytes) {
  if (!socket.write(bytes)) socket.pause();
}

function echo(socket) {
  socket.on("data", (chunk) => answer(socket, chunk));
  socket.on("drain", () => socket.resume());
}

/** The length of the frame at `at`, as far as it can be known. */
function frameBytes(bytes, at) {
  if (bytes.length - at < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
  return FRAME_HEADER_BYTES + bytes.readUInt32BE(at);
}

/** Answers the frames that one event completed: together, or with a write for each. */
function serveFrames(socket, joined) {
  let parts = [];
  let partsBytes = 0;
  let neededBytes = FRAME_HEADER_BYTES;
  socket.on("drain", () => socket.resume());
  socket.on("data", (chunk) => {
    let bytes = chunk;
    if (partsBytes > 0) {
      parts.push(chunk);
      partsBytes += chunk.length;
      if (partsBytes < neededBytes) return;
      bytes = Buffer.concat(parts, partsBytes);
    }
    let at = 0;
    let needed = frameBytes(bytes, at);
    while (bytes.length - at >= needed) {
      if (!joined) answer(socket, bytes.subarray(at, at + needed));
      at += needed;
      needed = frameBytes(bytes, at);
    }
    if (needed > FRAME_HEADER_BYTES + FRAME_BODY_BYTES_MAX) return socket.destroy();
    neededBytes = needed;
    partsBytes = bytes.length - at;
    parts = partsBytes === 0 ? [] : [bytes.subarray(at)];
    if (joined && at > 0) answer(socket, partsBytes === 0 ? bytes : bytes.subarray(0, at));
  });
}

const members = new Set();
const behind = new Set();
const pausedSenders = new Set();

function caughtUp(receiver) {
  behind.delete(receiver);
  if (behind.size > 0) return;
  for (const sender of pausedSenders) sender.resume();
  pausedSenders.clear();
}

/** Senders pause while any receiver is behind. */
function broadcast(socket) {
  members.add(socket);
  socket.on("drain", () => caughtUp(socket));
  socket.on("close", () => {
    members.delete(socket);
    pausedSenders.delete(socket);
    caughtUp(socket);
  });
  socket.on("data", (chunk) => {
    for (const receiver of members) {
      if (!receiver.write(chunk)) behind.add(receiver);
    }
    if (behind.size === 0) return;
    pausedSenders.add(socket);
    socket.pause();
  });
}

function sink(socket) {
  socket.on("data", () => {});
}

const block = Buffer.from(Uint8Array.from({ length: SOURCE_BLOCK_BYTES }, (_, at) => at));

function source(socket) {
  const stream = () => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.once("data", stream);
  socket.on("drain", stream);
}

const MODES = {
  echo,
  framed: (socket) => serveFrames(socket, false),
  joined: (socket) => serveFrames(socket, true),
  broadcast,
  sink,
  source,
};

const [portText = "0", flag = "--mode", mode = "echo"] = process.argv.slice(2);
const serve = MODES[mode];
if (flag !== "--mode" || serve === undefined) throw new Error(`Cannot run mode "${mode}"`);

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  serve(socket);
});
server.listen({ host: "127.0.0.1", port: Number(portText), backlog: BACKLOG }, () => {
  console.log(`listening ${server.address().port}`);
});
