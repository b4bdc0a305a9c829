/**
 * The stream under a socket of `node:net`: bytes in both directions, and the end.
 *
 *   _read -> handle.resume()    _write, _writev -> handle.write()    _final -> handle.finish()
 *   _destroy -> handle.finalize() -> 'close'
 *
 * Bytes that are written before there is a connection wait for it, as does the first `_read`.
 *
 * - There are no private members and no field initialisers: programs inherit from sockets in the
 *   old way, `Socket.call(this)`, for which `initialize` is all that a constructor does.
 *
 * @module
 */
import { nextTick } from "node:process";
import { addAbortSignal, Duplex, type DuplexOptions } from "node:stream";
import { ERRNO } from "../base/errno.ts";
import { adoptDescriptor } from "../net/accept/adopt_descriptor.ts";
import type { Part } from "../net/send/push_send.ts";
import { bunTls } from "./bun_tls.ts";
import { lateWrite } from "./late_write.ts";
import type { OnRead } from "./on_read_buffers.ts";
import { SocketHandle } from "./socket_handle.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { probeDelay, SocketState } from "./socket_state.ts";
import { type Blocker, validate } from "./validate.ts";

/** Internal: the socket's own state, and that its handle is not to be shown. */
export const STATE: unique symbol = Symbol("uringnet.state");
export const HIDES_HANDLE: unique symbol = Symbol("uringnet.hidesHandle");

export interface SocketOptions extends DuplexOptions {
  fd?: number;
  readable?: boolean;
  writable?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  onread?: OnRead | null;
  blockList?: Blocker;
  /** Internal: the socket is connected from the beginning. */
  handle?: unknown;
  manualStart?: boolean;
  /** Internal: of a server that pauses what it accepts. */
  pauseOnCreate?: boolean;
  [HIDES_HANDLE]?: boolean;
}

/** The parts of the accepting server that a socket needs. */
export interface SocketServer {
  _connections: number;
  _emitCloseIfDrained(): void;
}

type Done = (error?: Error | null) => void;
// deno-lint-ignore no-explicit-any
type AnyFunction = (...args: any[]) => any;

/** A number is a descriptor. */
function optionsOf(given: SocketOptions | number | null | undefined): SocketOptions {
  return typeof given === "number" ? { fd: given } : given ?? {};
}

/** The options of the stream underneath; the signal is the socket's own business. */
function streamOptions({ signal: _, ...options }: SocketOptions): DuplexOptions {
  return {
    ...options,
    allowHalfOpen: Boolean(options.allowHalfOpen),
    // The close of the descriptor is awaited first.
    emitClose: false,
    autoDestroy: true,
    // Most texts are short and ASCII: they are encoded where they are sent from.
    decodeStrings: false,
  };
}

/** One for all writes of one chunk: a handle is done with it when it returns. */
const ONE: [{ chunk: string | Uint8Array; encoding: string }] = [{ chunk: "", encoding: "" }];

export class SocketStream extends Duplex {
  declare readonly [STATE]: SocketState;
  declare connecting: boolean;
  declare _hadError: boolean;
  declare _parent: unknown;
  declare _host: string | null;
  declare _pendingData: string | Uint8Array | readonly Part[] | null;
  declare _pendingEncoding: string;
  declare server: SocketServer | null;
  declare _server: SocketServer | null;
  declare blockList: Blocker | undefined;

  constructor(given?: SocketOptions | number | null) {
    const options = optionsOf(given);
    super(streamOptions(options));
    SocketStream.initialize(this, options);
  }

  /** @internal For programs that inherit in the old way. */
  static inherit(socket: SocketStream, given?: SocketOptions | number | null): void {
    const options = optionsOf(given);
    (Duplex as unknown as AnyFunction).call(socket, streamOptions(options));
    SocketStream.initialize(socket, options);
  }

  /** @internal All that a constructor does behind that of the stream. */
  static initialize(socket: SocketStream, options: SocketOptions): void {
    const state = new SocketState();
    Object.defineProperty(socket, STATE, { value: state });
    // A consumer is pushed to until it is full. So streams need not ask for more behind each chunk,
    // which they would do in a tick of its own.
    (socket as unknown as { _readableState: { readingMore: boolean } })._readableState.readingMore =
      true;
    socket.connecting = false;
    socket._hadError = false;
    socket._parent = null;
    socket._host = null;
    socket._pendingData = null;
    socket._pendingEncoding = "";
    socket.server = null;
    socket._server = null;
    readOptions(socket, options);
    socket.on("end", lateWrite.refuseAfterEnd);
    if (options.signal) {
      state.signal = validate.signal(options.signal, "options.signal");
      addAbortSignal(state.signal, socket);
    }
    if (options.fd !== undefined) {
      openDescriptor(socket, options);
      return;
    }
    if (!(options.handle instanceof SocketHandle)) return;
    state.hidesHandle = options[HIDES_HANDLE] === true;
    socket._attach(options.handle);
    if (options.pauseOnCreate) socket.pause();
    else if (!options.manualStart) socket.read(0);
  }

  /** Node's handle. Null for `toDuplex`: runtimes take it for one of their own. */
  get _handle(): SocketHandle | null {
    const { handle, hidesHandle } = this[STATE];
    return hidesHandle ? null : handle;
  }

  /** Programs take the handle away, and nothing else. */
  set _handle(handle: SocketHandle | null) {
    if (handle === null) this[STATE].detach();
  }

  /** @internal The handle is the socket's from here on; it may be connected already. */
  _attach(handle: SocketHandle): void {
    bunTls(hideHandle);
    const state = this[STATE];
    state.handle = handle;
    handle.idle = state.idle;
    handle.serve(this, state.onread);
    if (state.wantsRead) handle.resume();
    state.wantsRead = false;
  }

  override _read(_size: number): void {
    const state = this[STATE];
    if (state.handle === null) state.wantsRead = true;
    else state.handle.resume();
  }

  override _write(chunk: string | Uint8Array, encoding: string, done: Done): void {
    const { handle } = this[STATE];
    if (handle === null || this.connecting) {
      lateWrite.untilConnected(
        this,
        chunk,
        encoding,
        done,
        () => this._write(chunk, encoding, done),
      );
      return;
    }
    ONE[0].chunk = chunk;
    ONE[0].encoding = encoding;
    handle.write(ONE, done);
    ONE[0].chunk = "";
  }

  override _writev(chunks: readonly Part[], done: Done): void {
    const { handle } = this[STATE];
    if (handle !== null && !this.connecting) handle.write(chunks, done);
    else lateWrite.untilConnected(this, chunks, "", done, () => this._writev(chunks, done));
  }

  override _final(done: Done): void {
    if (this.connecting) {
      this.once("connect", () => this._final(done));
      return;
    }
    const { handle, resets } = this[STATE];
    // Behind a reset no FIN is wanted, and without a connection none can be sent.
    if (handle === null || resets) done();
    else handle.finish(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    const state = this[STATE];
    const handle = state.detach();
    this.connecting = false;
    state.idle?.release();
    const closed = () => this.emit("close", Boolean(error));
    const { resets } = state;
    state.resets = false;
    // First of all: 'close' comes behind the error, which the stream tells of in its own time.
    done(error);
    if (handle === null) nextTick(closed);
    else handle.finalize(resets, closed);
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
  for (const name of ["objectMode", "readableObjectMode", "writableObjectMode"] as const) {
    if (!options[name]) continue;
    throw nodeError.argumentValue(`options.${name}`, options[name], "is not supported");
  }
  const { onread, noDelay, keepAlive, keepAliveInitialDelay, blockList } = options;
  if (onread !== null && typeof onread === "object" && isUsable(onread)) {
    const given = typeof onread.buffer === "function" ? onread.buffer.bind(onread) : onread.buffer;
    state.onread = { buffer: given, callback: onread.callback };
  }
  if (noDelay) state.noDelay = true;
  if (keepAlive) {
    state.keepAlive = true;
    state.keepAliveSeconds = probeDelay(keepAliveInitialDelay);
  }
  if (blockList !== undefined) {
    socket.blockList = validate.blockList(blockList, "options.blockList");
  }
}

/** A descriptor of the program becomes the connection. */
function openDescriptor(socket: SocketStream, options: SocketOptions): void {
  const fd = validate.integer(options.fd, "options.fd", 0);
  const connection = adoptDescriptor.connection(nodeNetwork.get(), fd);
  if (typeof connection === "number") {
    if (connection === ERRNO.EBADF) throw nodeError.system(connection, "open");
    throw nodeError.fdType("UNKNOWN");
  }
  const handle = new SocketHandle();
  handle.open(connection);
  socket._attach(handle);
  if (options.pauseOnCreate) socket.pause();
  else if (!options.manualStart && options.readable !== false) socket.read(0);
}

function hideHandle(socket: unknown): void {
  if (socket instanceof SocketStream) socket[STATE].hidesHandle = true;
}

function isUsable({ buffer, callback }: OnRead): boolean {
  const fills = buffer instanceof Uint8Array || typeof buffer === "function";
  return fills && typeof callback === "function";
}
