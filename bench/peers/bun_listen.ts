/*
 * bun_listen.ts: the peer that uses Bun.listen(), written for speed as its documentation advises:
 * one set of handlers for all sockets, the received buffer itself handed to write(), and the rest
 * kept for drain() when write() took only a part.
 *
 * Usage: bun bun_listen.ts PORT [--mode echo|framed|joined|broadcast|sink|source]
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which. The modes are those of
 * uring_echo.c. A socket with bytes that it could not write is paused, so a client that does not
 * read is not read from either; in a broadcast the senders pause while any receiver is behind.
 *
 * Limits: loopback only, frames of 16 MiB.
 */

import { Buffer } from "node:buffer";

/** The part of a Bun socket that is used here. */
interface Socket {
  data: Peer;
  write(bytes: Uint8Array, at?: number, count?: number): number;
  pause(): void;
  resume(): void;
  end(): void;
  terminate(): void;
  setNoDelay(noDelay: boolean): boolean;
}

interface Handlers {
  data(socket: Socket, chunk: Uint8Array): void;
  drain(socket: Socket): void;
}

interface ListenOptions {
  hostname: string;
  port: number;
  allowHalfOpen: boolean;
  socket: Handlers & {
    open(socket: Socket): void;
    end(socket: Socket): void;
    close(socket: Socket): void;
    error(socket: Socket, error: Error): void;
  };
}

declare const Bun: { argv: string[]; listen(options: ListenOptions): { port: number } };

const FRAME_HEADER_BYTES = 4;
const FRAME_BODY_BYTES_MAX = 16 << 20;
const SOURCE_BLOCK_BYTES = 256 << 10;

class Peer {
  /** The bytes that write() has not taken yet, in order. */
  backlog: Uint8Array[] = [];
  /** The peer has sent its last byte: end when the backlog is gone. */
  ended = false;
  /** Framed: pieces of an incomplete frame, their length, and how much makes it complete. */
  parts: Uint8Array[] = [];
  partsBytes = 0;
  neededBytes = FRAME_HEADER_BYTES;
  /** Source: where in the block the stream is. */
  blockAt = 0;
}

const sockets = new Set<Socket>();

// ---- Writing ------------------------------------------------------------------------------------

/** Writes, keeping what the socket does not take; false when it is behind. */
function send(socket: Socket, bytes: Uint8Array): boolean {
  const { backlog } = socket.data;
  if (backlog.length > 0) {
    backlog.push(bytes);
    return false;
  }
  const written = socket.write(bytes);
  if (written === bytes.length) return true;
  backlog.push(bytes.subarray(Math.max(written, 0)));
  return false;
}

/** Writes a part of `bytes`, as `send`. */
function sendPart(socket: Socket, bytes: Uint8Array, at: number, end: number): boolean {
  if (socket.data.backlog.length > 0) return send(socket, bytes.subarray(at, end));
  const written = Math.max(socket.write(bytes, at, end - at), 0);
  if (written === end - at) return true;
  socket.data.backlog.push(bytes.subarray(at + written, end));
  return false;
}

/** Writes the backlog; false when some of it is left. */
function flush(socket: Socket): boolean {
  const { backlog } = socket.data;
  let sent = 0;
  while (sent < backlog.length) {
    const bytes = backlog[sent]!;
    const written = socket.write(bytes);
    if (written !== bytes.length) {
      backlog[sent] = bytes.subarray(Math.max(written, 0));
      break;
    }
    sent += 1;
  }
  backlog.splice(0, sent);
  if (backlog.length > 0) return false;
  if (socket.data.ended) socket.end();
  return true;
}

function answer(socket: Socket, bytes: Uint8Array): void {
  if (!send(socket, bytes)) socket.pause();
}

function resumeWhenFlushed(socket: Socket): void {
  if (flush(socket)) socket.resume();
}

// ---- Framed -------------------------------------------------------------------------------------

/**
 * Answers the complete frames of a contiguous piece, together or with a write for each, and keeps
 * what follows them.
 */
function answerFrames(socket: Socket, bytes: Uint8Array): void {
  const peer = socket.data;
  const end = bytes.length;
  let at = 0;
  let needed = FRAME_HEADER_BYTES;
  let behind = false;
  while (end - at >= FRAME_HEADER_BYTES) {
    const body =
      (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
    if (body > FRAME_BODY_BYTES_MAX) return socket.terminate();
    needed = FRAME_HEADER_BYTES + body;
    if (end - at < needed) break;
    if (!joined && !sendPart(socket, bytes, at, at + needed)) behind = true;
    at += needed;
    needed = FRAME_HEADER_BYTES;
  }
  peer.neededBytes = needed;
  peer.partsBytes = end - at;
  peer.parts = at === end ? [] : [bytes.subarray(at)];
  if (joined && at > 0) answer(socket, at === end ? bytes : bytes.subarray(0, at));
  if (behind) socket.pause();
}

function onFrameBytes(socket: Socket, chunk: Uint8Array): void {
  const peer = socket.data;
  if (peer.partsBytes === 0) return answerFrames(socket, chunk);
  peer.parts.push(chunk);
  peer.partsBytes += chunk.length;
  if (peer.partsBytes >= peer.neededBytes) answerFrames(socket, Buffer.concat(peer.parts));
}

// ---- Broadcast ----------------------------------------------------------------------------------

const behind = new Set<Socket>();
const pausedSenders = new Set<Socket>();

function onCast(socket: Socket, chunk: Uint8Array): void {
  for (const receiver of sockets) {
    if (!send(receiver, chunk)) behind.add(receiver);
  }
  if (behind.size === 0) return;
  pausedSenders.add(socket);
  socket.pause();
}

function caughtUp(receiver: Socket): void {
  behind.delete(receiver);
  if (behind.size > 0) return;
  for (const sender of pausedSenders) sender.resume();
  pausedSenders.clear();
}

// ---- Source -------------------------------------------------------------------------------------

const block = Uint8Array.from({ length: SOURCE_BLOCK_BYTES }, (_, position) => position);

function stream(socket: Socket): void {
  const peer = socket.data;
  for (;;) {
    const bytes = peer.blockAt === 0 ? block : block.subarray(peer.blockAt);
    const written = socket.write(bytes);
    if (written !== bytes.length) {
      peer.blockAt += Math.max(written, 0);
      return;
    }
    peer.blockAt = 0;
  }
}

// ---- Start --------------------------------------------------------------------------------------

const MODES: Record<string, Handlers> = {
  echo: { data: answer, drain: resumeWhenFlushed },
  framed: { data: onFrameBytes, drain: resumeWhenFlushed },
  joined: { data: onFrameBytes, drain: resumeWhenFlushed },
  broadcast: {
    data: onCast,
    drain(socket) {
      if (flush(socket)) caughtUp(socket);
    },
  },
  sink: { data() {}, drain() {} },
  source: { data: stream, drain: stream },
};

const [portText = "0", flag = "--mode", mode = "echo"] = Bun.argv.slice(2);
/** Frames: all that one event completed are answered in one write. */
const joined = mode === "joined";
const handlers = MODES[mode];
if (flag !== "--mode" || handlers === undefined) throw new Error(`Cannot run mode "${mode}"`);

const listener = Bun.listen({
  hostname: "127.0.0.1",
  port: Number(portText),
  allowHalfOpen: true,
  socket: {
    ...handlers,
    open(socket) {
      socket.data = new Peer();
      socket.setNoDelay(true);
      sockets.add(socket);
    },
    end(socket) {
      socket.data.ended = true;
      if (socket.data.backlog.length === 0) socket.end();
    },
    close(socket) {
      sockets.delete(socket);
      pausedSenders.delete(socket);
      caughtUp(socket);
    },
    error() {},
  },
});
console.log(`listening ${listener.port}`);
