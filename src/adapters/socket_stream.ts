/**
 * The stream under a socket of `node:net`: bytes in both directions, and the end.
 *
 *   _read -> link.resume()      _write, _writev -> link.write()      _final -> link.finish()
 *   _destroy -> link.close() -> 'close'
 *
 * What is written before there is a connection waits for it, as does the first `_read`.
 *
 * - `_handle` is always null: runtimes take anything else there for one of their own handles.
 * - There are no private members and no field initialisers: programs inherit from sockets in the
 *   old way, `Socket.call(this)`, for which `initialize` is all that a constructor does.
 *
 * @module
 */

import { nextTick } from "node:process";
import { Duplex, type DuplexOptions } from "node:stream";
import type { Connection } from "../net/connection.ts";

import { Link, type OnRead } from "./link.ts";
import { nodeError } from "./node_error.ts";
import { SocketState } from "./socket_state.ts";
import { type Blocker, validate } from "./validate.ts";

/** Internal: the socket's own state, and a connection that it starts with. */
export const STATE: unique symbol = Symbol("uringnet.state");
export const CONNECTION: unique symbol = Symbol("uringnet.connection");

export interface SocketOptions extends DuplexOptions {
  fd?: number;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  onread?: OnRead | null;
  blockList?: Blocker;
  handle?: unknown;
  /** Internal: of a server that pauses what it accepts. */
  pauseOnCreate?: boolean;
  /** Internal: the socket is connected from the beginning. */
  [CONNECTION]?: Connection;
}

/** What a socket needs of the server that accepted it. */
export interface SocketServer {
  _connections: number;
  _emitCloseIfDrained(): void;
}

type Done = (error?: Error | null) => void;
// deno-lint-ignore no-explicit-any
type AnyFunction = (...args: any[]) => any;

/** The options of the stream underneath. */
function streamOptions(options: SocketOptions): DuplexOptions {
  return {
    ...options,
    allowHalfOpen: Boolean(options.allowHalfOpen),
    // The close of the descriptor is awaited first.
    emitClose: false,
    autoDestroy: true,
  };
}

export class SocketStream extends Duplex {
  declare readonly [STATE]: SocketState;
  declare connecting: boolean;
  declare _hadError: boolean;
  declare _handle: null;
  declare _parent: unknown;
  declare _host: string | null;
  declare _pendingData: Uint8Array | readonly { chunk: Uint8Array }[] | null;
  declare _pendingEncoding: string;
  declare server: SocketServer | null;
  declare _server: SocketServer | null;
  declare blockList: Blocker | undefined;

  constructor(options: SocketOptions = {}) {
    super(streamOptions(options));
    SocketStream.initialize(this, options);
  }

  /** @internal For programs that inherit in the old way. */
  static inherit(socket: SocketStream, options: SocketOptions): void {
    (Duplex as unknown as AnyFunction).call(socket, streamOptions(options));
    SocketStream.initialize(socket, options);
  }

  /** @internal All that a constructor does behind that of the stream. */
  static initialize(socket: SocketStream, options: SocketOptions): void {
    const state = new SocketState();
    Object.defineProperty(socket, STATE, { value: state });
    socket.connecting = false;
    socket._hadError = false;
    socket._handle = null;
    socket._parent = null;
    socket._host = null;
    socket._pendingData = null;
    socket._pendingEncoding = "";
    socket.server = null;
    socket._server = null;
    readOptions(socket, options);
    socket.on("end", refuseWritesAfterEnd);
    const connection = options[CONNECTION];
    if (connection === undefined) return;
    socket._attach(connection);
    if (options.pauseOnCreate) socket.pause();
    else socket.read(0);
  }

  /** @internal The connection is there. */
  _attach(connection: Connection): void {
    const state = this[STATE];
    state.applyPending(connection);
    state.link = new Link(connection, this, state.onread);
    state.link.idle = state.idle;
    if (!state.wantsRead) return;
    state.wantsRead = false;
    state.link.resume();
  }

  override _read(_size: number): void {
    const state = this[STATE];
    if (state.link === null) state.wantsRead = true;
    else state.link.resume();
  }

  override _write(chunk: Uint8Array, encoding: string, done: Done): void {
    const { link } = this[STATE];
    if (link !== null) link.write(chunk, chunk.length, done);
    else writeLater(this, chunk, encoding, done, () => this._write(chunk, encoding, done));
  }

  override _writev(chunks: { chunk: Uint8Array; encoding: BufferEncoding }[], done: Done): void {
    const { link } = this[STATE];
    if (link === null) {
      writeLater(this, chunks, "", done, () => this._writev(chunks, done));
      return;
    }
    let length = 0;
    const views: Uint8Array[] = [];
    for (const { chunk } of chunks) {
      length += chunk.length;
      views.push(chunk);
    }
    link.write(views, length, done);
  }

  override _final(done: Done): void {
    if (this.connecting) {
      this.once("connect", () => this._final(done));
      return;
    }
    const { link, resets } = this[STATE];
    // Behind a reset no FIN is wanted, and without a connection none can be sent.
    if (link === null || resets) done();
    else link.finish(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    const state = this[STATE];
    const { link } = state;
    this.connecting = false;
    state.idle?.stop();
    state.connecting?.cancel();
    state.connecting = null;
    const closed = () => this.emit("close", Boolean(error));
    if (link === null) {
      done(error);
      nextTick(closed);
    } else {
      state.detach();
      link.close(state.resets, closed);
      state.resets = false;
      done(error);
    }
    const server = this._server;
    if (server === null) return;
    this._server = null;
    server._connections--;
    server._emitCloseIfDrained();
  }

  /** @internal Traffic: the timeout starts anew. */
  _unrefTimer(): void {
    this[STATE].idle?.touch();
  }

  /** @internal Nothing moved for as long as the timeout says. */
  _onTimeout(): void {
    this.emit("timeout");
  }
}

function readOptions(socket: SocketStream, options: SocketOptions): void {
  const state = socket[STATE];
  const { onread, noDelay, keepAlive, keepAliveInitialDelay, blockList } = options;
  if (onread !== null && typeof onread === "object" && isUsable(onread)) {
    const given = typeof onread.buffer === "function" ? onread.buffer.bind(onread) : onread.buffer;
    state.onread = { buffer: given, callback: onread.callback };
  }
  if (noDelay !== undefined) state.pending.noDelay = Boolean(noDelay);
  if (keepAlive !== undefined || keepAliveInitialDelay !== undefined) {
    const idleSeconds = Math.trunc((keepAliveInitialDelay ?? 0) / 1_000);
    if (keepAlive) state.pending.keepAlive = { on: true, idleSeconds };
  }
  if (blockList !== undefined) {
    socket.blockList = validate.blockList(blockList, "options.blockList");
  }
}

function isUsable({ buffer, callback }: OnRead): boolean {
  const fills = buffer instanceof Uint8Array || typeof buffer === "function";
  return fills && typeof callback === "function";
}

/** Keeps a write until there is a connection, or until it is certain that there will be none. */
function writeLater(
  socket: SocketStream,
  data: Uint8Array | readonly { chunk: Uint8Array }[],
  encoding: string,
  done: Done,
  again: () => void,
): void {
  if (!socket.connecting) {
    done(nodeError.fixed("ERR_SOCKET_CLOSED"));
    return;
  }
  socket._pendingData = data;
  socket._pendingEncoding = encoding;
  const closed = () => done(nodeError.fixed("ERR_SOCKET_CLOSED_BEFORE_CONNECTION"));
  socket.once("close", closed);
  socket.once("connect", () => {
    socket.off("close", closed);
    socket._pendingData = null;
    again();
  });
}

/** The peer has sent FIN, and half-open connections are not wanted: writing is an error from now. */
function refuseWritesAfterEnd(this: SocketStream): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd as typeof this.write;
}

function writeAfterEnd(
  this: SocketStream,
  chunk: unknown,
  encoding?: unknown,
  callback?: unknown,
): boolean {
  if (!this.writableEnded) {
    const write = Duplex.prototype.write as AnyFunction;
    return write.call(this, chunk, encoding, callback);
  }
  const done = typeof encoding === "function" ? encoding : callback;
  const error = Object.assign(new Error("This socket has been ended by the other party"), {
    code: "EPIPE",
  });
  if (typeof done === "function") nextTick(done as Done, error);
  this.destroy(error);
  return false;
}
