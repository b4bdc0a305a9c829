/**
 * The stream under a socket of `node:net`: bytes in both directions, and the end.
 *
 *   _read -> handle.resume()    _write, _writev -> handle.write()    _final -> handle.finish()
 *   _destroy -> handle.finalize() -> 'close'
 *
 * Bytes that are written before there is a connection wait for it, as does the first `_read`.
 *
 * - There are no private members and no field initialisers: programs inherit from sockets without
 *   `class` syntax, by `Socket.call(this)`, and `initialize` then does the work of the constructor.
 *
 * @module
 */
import { nextTick } from "node:process";
import { addAbortSignal, Duplex, type DuplexOptions } from "node:stream";
import { adoptDescriptor } from "../net/accept/adopt_descriptor.ts";
import type { Part } from "../net/send/push_send.ts";
import { bunTls } from "./bun_tls.ts";
import { lateWrite } from "./late_write.ts";
import type { OnRead } from "./on_read_buffers.ts";
import { SocketHandle } from "./socket_handle.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { SocketRelay } from "./socket_relay.ts";
import { probeDelay, SocketState } from "./socket_state.ts";
import { undecoded } from "./undecoded.ts";
import { type Blocker, validate } from "./validate.ts";

/** Internal keys: the socket's own state, and the option that hides its handle. */
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
  /** Internal: the handle of a socket that is connected from the beginning. */
  handle?: unknown;
  manualStart?: boolean;
  /** Internal: set by a server that pauses the sockets that it accepts. */
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

/** The options; a number stands for a descriptor. */
function optionsOf(given: SocketOptions | number | null | undefined): SocketOptions {
  return typeof given === "number" ? { fd: given } : given ?? {};
}

/** The options of the stream underneath. The socket handles the signal itself. */
function streamOptions({ signal: _, ...options }: SocketOptions): DuplexOptions {
  return {
    ...options,
    allowHalfOpen: Boolean(options.allowHalfOpen),
    // The socket emits 'close' itself, once the descriptor is closed.
    emitClose: false,
    autoDestroy: true,
    // Most texts are short and ASCII, and are encoded directly into the send buffer.
    decodeStrings: false,
  };
}

/** One array for all writes of one chunk: `handle.write` does not keep it. */
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
  declare autoSelectFamilyAttemptedAddresses: string[] | undefined;

  constructor(given?: SocketOptions | number | null) {
    const options = optionsOf(given);
    super(streamOptions(options));
    SocketStream.initialize(this, options);
  }

  /** @internal For programs that inherit without `class` syntax. */
  static inherit(socket: SocketStream, given?: SocketOptions | number | null): void {
    const options = optionsOf(given);
    (Duplex as unknown as AnyFunction).call(socket, streamOptions(options));
    SocketStream.initialize(socket, options);
  }

  /** @internal The part of the constructor that follows the stream's. */
  static initialize(socket: SocketStream, options: SocketOptions): void {
    const state = new SocketState();
    Object.defineProperty(socket, STATE, { value: state });
    // Bytes are pushed into the stream until it is full. So the stream need not ask for more after
    // each chunk, for which it would use a tick of its own.
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

  /** Node's handle. Null for `toDuplex`, because runtimes would treat it as one of their own. */
  get _handle(): SocketHandle | null {
    const { handle, hidesHandle } = this[STATE];
    return hidesHandle ? null : handle;
  }

  /** Programs set the handle to null, and to nothing else. */
  set _handle(handle: SocketHandle | null) {
    if (handle === null) this[STATE].detach();
  }

  /** @internal Gives the socket its handle, which may be connected already. */
  _attach(handle: SocketHandle): void {
    bunTls(takenByTls);
    const state = this[STATE];
    state.handle = handle;
    handle.idle = state.idle;
    handle.relay = state.relay;
    handle.serve(this, state.onread);
    if (state.wantsRead) handle.resume();
    state.wantsRead = false;
  }

  override _read(_size: number): void {
    const state = this[STATE];
    if (state.handle === null) state.wantsRead = true;
    else state.handle.resume();
  }

  override pipe<T extends NodeJS.WritableStream>(target: T, options?: { end?: boolean }): T {
    super.pipe(target, options);
    const state = this[STATE];
    state.relay = target instanceof SocketStream
      ? SocketRelay.of(this, target, SocketStream.prototype._write, handleOf)
      : null;
    if (state.handle !== null) state.handle.relay = state.relay;
    return target;
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
    // After a reset no FIN may follow, and without a connection none can be sent.
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
    // Called first: 'close' follows 'error', which the stream emits in a later tick.
    done(error);
    // As in Node, the event of a socket that had no handle has no argument.
    if (handle === null) nextTick(() => this.emit("close"));
    else handle.finalize(resets, closed);
    const server = this._server;
    if (server === null) return;
    this._server = null;
    server._connections--;
    server._emitCloseIfDrained();
  }

  /** @internal Restarts the timeout after traffic. */
  _unrefTimer(): void {
    this[STATE].idle?.touch();
  }

  /** @internal Called when nothing was received or written for the time of the timeout. */
  _onTimeout(): void {
    const state = this[STATE];
    const before = state.queuedBytes;
    const queued = state.queuedBytes = state.handle?.queuedBytes ?? 0;
    // As in Node, bytes that leave slowly are traffic too.
    if (queued > 0 && queued !== before) this._unrefTimer();
    else this.emit("timeout");
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
  if (keepAliveInitialDelay !== undefined) {
    validate.number(keepAliveInitialDelay, "options.keepAliveInitialDelay");
  }
  if (keepAlive) {
    state.keepAlive = true;
    state.keepAliveSeconds = probeDelay(keepAliveInitialDelay);
  }
  if (blockList !== undefined) {
    socket.blockList = validate.blockList(blockList, "options.blockList");
  }
}

/** Makes a descriptor of the program the connection. */
export function openDescriptor(socket: SocketStream, options: SocketOptions): void {
  const fd = validate.integer(options.fd, "fd", 0);
  const connection = adoptDescriptor.connection(nodeNetwork.get(), fd);
  if (typeof connection === "number") throw nodeError.fdType("UNKNOWN");
  const handle = new SocketHandle();
  handle.open(connection);
  socket._attach(handle);
  if (options.pauseOnCreate) socket.pause();
  else if (!options.manualStart && options.readable !== false) socket.read(0);
}

function handleOf(socket: Duplex): SocketHandle | null {
  return (socket as SocketStream)[STATE].handle;
}

function takenByTls(socket: unknown): void {
  if (!(socket instanceof SocketStream)) return;
  socket[STATE].hidesHandle = true;
  undecoded(socket);
}

function isUsable({ buffer, callback }: OnRead): boolean {
  const fills = buffer instanceof Uint8Array || typeof buffer === "function";
  return fills && typeof callback === "function";
}
