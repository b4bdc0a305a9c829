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
import { addAbortSignal, Duplex } from "node:stream";
import { adoptDescriptor } from "../net/accept/adopt_descriptor.ts";
import type { Part } from "../net/send/push_send.ts";
import { announcingRest } from "./announcing_rest.ts";
import type { AnyFunction, Done } from "./any_function.ts";
import { bunTls } from "./bun_tls.ts";
import { lateWrite } from "./late_write.ts";
import { SocketHandle } from "./socket_handle.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { HIDES_HANDLE, type SocketOptions, socketOptions } from "./socket_options.ts";
import { SocketRelay } from "./socket_relay.ts";
import { SocketState } from "./socket_state.ts";
import { TlsTransport } from "./tls_transport.ts";
import { unasked } from "./unasked.ts";
import { type Blocker, validate } from "./validate.ts";

/** Internal: the key of the socket's own state. */
export const STATE: unique symbol = Symbol("uringnet.state");

/** The parts of the accepting server that a socket needs. */
export interface SocketServer {
  _connections: number;
  _emitCloseIfDrained(): void;
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
    const options = socketOptions.of(given);
    super(socketOptions.ofStream(options));
    SocketStream.initialize(this, options);
  }

  /** @internal For programs that inherit without `class` syntax. */
  static inherit(socket: SocketStream, given?: SocketOptions | number | null): void {
    const options = socketOptions.of(given);
    (Duplex as unknown as AnyFunction).call(socket, socketOptions.ofStream(options));
    SocketStream.initialize(socket, options);
  }

  /** @internal The part of the constructor that follows the stream's. */
  static initialize(socket: SocketStream, options: SocketOptions): void {
    bunTls(transportOrNull);
    const state = new SocketState();
    Object.defineProperty(socket, STATE, { value: state });
    unasked(socket);
    socket.connecting = false;
    socket._hadError = false;
    socket._parent = null;
    socket._host = null;
    socket._pendingData = null;
    socket._pendingEncoding = "";
    socket.server = null;
    socket._server = null;
    const blockList = socketOptions.read(state, options);
    if (blockList !== undefined) socket.blockList = blockList;
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
    attachConnected(socket, options.handle, options);
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
    const state = this[STATE];
    state.handle = handle;
    handle.idle = state.idle;
    handle.relay = state.relay;
    const { transport } = state;
    handle.serve(transport ?? this, transport === null ? state.onread : null);
    if (state.wantsRead) handle.resume();
    state.wantsRead = false;
  }

  override _read(_size: number): void {
    if (this[STATE].transport === null) this._receive();
  }

  /** @internal Asks the connection for bytes. */
  _receive(): void {
    const state = this[STATE];
    if (state.handle === null) state.wantsRead = true;
    else state.handle.resume();
  }

  /** @internal Directs the bytes and the errors of the connection to the transport. */
  _carry(transport: TlsTransport): void {
    const state = this[STATE];
    state.transport = transport;
    state.handle?.serve(transport, null);
  }

  override pipe<T extends NodeJS.WritableStream>(target: T, options?: { end?: boolean }): T {
    super.pipe(target, options);
    const state = this[STATE];
    state.relay = target instanceof SocketStream
      ? SocketRelay.of(this, target, writeOne, handleOf)
      : null;
    if (state.handle !== null) state.handle.relay = state.relay;
    return target;
  }

  override _write(chunk: string | Uint8Array, encoding: string, done: Done): void {
    const { handle } = this[STATE];
    if (handle === null || this.connecting) {
      const again = () => Reflect.apply(writeOne, this, [chunk, encoding, done]);
      lateWrite.untilConnected(this, chunk, encoding, done, again);
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
    else {
      const again = () => Reflect.apply(writeSeveral, this, [chunks, done]);
      lateWrite.untilConnected(this, chunks, "", done, again);
    }
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
    const { resets, transport } = state;
    state.resets = false;
    // Called first: 'close' follows 'error', which the stream emits in a later tick.
    done(error);
    transport?.destroy(error ?? undefined);
    const closed = (...failed: boolean[]) => {
      state.left?.(this);
      state.left = null;
      // First, as TLS listens before the program does, and is destroyed when the program is told.
      transport?.emit("close");
      this.emit("close", ...failed);
      state.toldClose = true;
      state.afterClose?.();
      state.afterClose = null;
    };
    // As in Node, the event of a socket that had no handle has no argument.
    if (handle === null) nextTick(closed);
    else handle.finalize(resets, () => closed(Boolean(error)));
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

SocketStream.prototype.read = announcingRest(Duplex.prototype.read);

/** The methods of this class: one of a subclass has had the bytes before they waited. */
const { _write: writeOne, _writev: writeSeveral } = SocketStream.prototype;

/** Makes a descriptor of the program the connection. */
export function openDescriptor(socket: SocketStream, options: SocketOptions): void {
  const fd = validate.integer(options.fd, "fd", 0);
  const connection = adoptDescriptor.connection(nodeNetwork.get(), fd);
  if (typeof connection === "number") throw nodeError.fdType("UNKNOWN");
  const handle = new SocketHandle();
  handle.open(connection);
  attachConnected(socket, handle, options);
}

/** Gives a socket the handle of a connection, and reads its bytes unless an option forbids it. */
function attachConnected(
  socket: SocketStream,
  handle: SocketHandle,
  { pauseOnCreate, manualStart, readable }: SocketOptions,
): void {
  socket._attach(handle);
  if (pauseOnCreate) socket.pause();
  else if (!manualStart && readable !== false) socket.read(0);
}

function handleOf(socket: Duplex): SocketHandle | null {
  return (socket as SocketStream)[STATE].handle;
}

/** For the hook of Bun, which also sees other streams. */
function transportOrNull(stream: unknown): TlsTransport | null {
  return stream instanceof SocketStream ? transportOf(stream) : null;
}

/** The stream that TLS gets in the place of the socket. */
export function transportOf(socket: SocketStream): TlsTransport {
  return socket[STATE].transport ?? new TlsTransport(socket);
}
