/**
 * A socket with the interface of `net.Socket`, over a connection of this library.
 *
 *   new Socket() -> connect() -> 'connect', 'ready' -> 'data' ... -> 'end' -> 'finish' -> 'close'
 *
 * The same class serves `toDuplex`, `connect` and the sockets of a server. Order of events, errors
 * and defaults are Node's; docs/NODE_NET.md lists what differs.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { nowMs } from "../base/now_ms.ts";
import { denoHttpParser } from "./deno_http_parser.ts";
import { IdleTimer } from "./idle_timer.ts";
import { nodeError } from "./node_error.ts";
import { type Callback, socketArguments } from "./socket_arguments.ts";
import { socketConnect } from "./socket_connect.ts";
import type { SocketName } from "./socket_name.ts";
import { probeDelay } from "./socket_state.ts";
import { SocketStream, STATE } from "./socket_stream.ts";
import { validate } from "./validate.ts";

export class Socket extends SocketStream {
  declare timeout: number | undefined;

  connect(...args: unknown[]): this {
    const [options, callback] = socketArguments.read(args);
    socketConnect.connect(this, options, callback);
    return this;
  }

  override pause(): this {
    const { handle, onread } = this[STATE];
    if (onread !== null && handle?.connected) handle.pause();
    return super.pause();
  }

  /** With `onread`, the stream asks for no bytes by itself, so this does. */
  override resume(): this {
    super.resume();
    askForMore(this);
    return this;
  }

  override read(size?: number): unknown {
    askForMore(this);
    return super.read(size);
  }

  // ---------------------------------------------------------------------------------- options

  /** Emits 'timeout' after `timeoutMs` milliseconds without traffic; 0 turns the timeout off. */
  setTimeout(timeoutMs: number, callback?: Callback): this {
    if (this.destroyed) return this;
    const state = this[STATE];
    const periodMs = validate.duration(timeoutMs, "msecs");
    this.timeout = timeoutMs;
    if (callback !== undefined) validate.callback(callback, "callback");
    if (periodMs === 0) {
      state.idle?.stop();
      if (callback !== undefined) this.removeListener("timeout", callback);
      return this;
    }
    state.idle ??= newIdleTimer(this);
    if (state.handle !== null) state.handle.idle = state.idle;
    state.idle.start(periodMs);
    if (callback !== undefined) this.once("timeout", callback);
    return this;
  }

  /**
   * Takes effect once the socket is connected. A value that is set already costs no system call.
   */
  setNoDelay(noDelay?: boolean): this {
    const state = this[STATE];
    const on = noDelay === undefined ? true : Boolean(noDelay);
    const { handle } = state;
    if (handle?.connected && on !== (state.noDelay ?? false)) handle.setNoDelay(on);
    state.noDelay = on;
    return this;
  }

  setKeepAlive(enable?: boolean, initialDelayMs?: number): this {
    const state = this[STATE];
    const on = Boolean(enable);
    const seconds = probeDelay(initialDelayMs);
    const changes = on !== (state.keepAlive ?? false) || (on && seconds !== state.keepAliveSeconds);
    if (state.handle?.connected && changes) state.handle.setKeepAlive(on, seconds);
    state.keepAlive = on;
    state.keepAliveSeconds = seconds;
    return this;
  }

  /** The class of service of IPv4, or the traffic class of IPv6, 0 to 255. */
  setTypeOfService(value: number): this {
    if (Number.isNaN(value)) throw nodeError.argumentType("tos", "number", value);
    const state = this[STATE];
    state.typeOfService = validate.integer(value, "tos", 0, 255);
    if (state.handle?.connected) socketConnect.setTypeOfService(state);
    return this;
  }

  getTypeOfService(): number {
    const { handle, typeOfService } = this[STATE];
    if (!handle?.connected) return typeOfService ?? 0;
    const found = handle.getTypeOfService();
    if (found < 0) throw nodeError.system(-found, "getTypeOfService");
    return found;
  }

  /** Without a handle, takes effect when the socket is connected. */
  ref(): this {
    const { handle } = this[STATE];
    if (handle === null) this.once("connect", this.ref);
    else handle.ref();
    return this;
  }

  unref(): this {
    const { handle } = this[STATE];
    if (handle === null) this.once("connect", this.unref);
    else handle.unref();
    return this;
  }

  // -------------------------------------------------------------------------------------- end

  /** Half closes the socket once all bytes are written, then destroys it. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", this.destroy);
  }

  /** Destroys the socket with RST, which a socket with a path does not have. */
  resetAndDestroy(): this {
    const { handle } = this[STATE];
    if (handle === null) return this.destroy(nodeError.fixed("ERR_SOCKET_CLOSED"));
    if (handle.hasPath) throw nodeError.fixed("ERR_INVALID_HANDLE_TYPE");
    if (!this.connecting) return this._reset();
    return this.once("connect", () => this._reset());
  }

  /** @internal */
  _reset(): this {
    this[STATE].resets = true;
    return this.destroy();
  }

  // ------------------------------------------------------------------------------------ state

  get pending(): boolean {
    return this[STATE].handle === null || this.connecting;
  }

  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  /** @internal */
  get _connecting(): boolean {
    return this.connecting;
  }

  get bufferSize(): number | undefined {
    return this[STATE].handle === null ? undefined : this.writableLength;
  }

  get bytesRead(): number {
    const state = this[STATE];
    return state.handle?.bytesRead ?? state.bytesRead;
  }

  /** @internal */
  get _bytesDispatched(): number {
    const state = this[STATE];
    return state.handle?.bytesWritten ?? state.bytesWritten;
  }

  /** Bytes that were written: sent to the kernel, queued, or waiting for the connection. */
  get bytesWritten(): number | undefined {
    const waiting = (this as unknown as { writableBuffer?: Waiting[] }).writableBuffer;
    if (waiting === undefined) return undefined;
    let bytes = this._bytesDispatched;
    for (const { chunk, encoding } of waiting) bytes += lengthOf(chunk, encoding);
    const data = this._pendingData;
    if (data === null) return bytes;
    if (typeof data === "string" || data instanceof Uint8Array) {
      return bytes + lengthOf(data, this._pendingEncoding);
    }
    for (const { chunk, encoding } of data) bytes += lengthOf(chunk, encoding);
    return bytes;
  }

  // ------------------------------------------------------------------------------------- ends

  /** As in Node, empty once the socket is destroyed. */
  address(): SocketName | Record<string, never> {
    const state = this[STATE];
    return state.handle === null ? {} : state.end("local") ?? {};
  }

  /** @internal */
  _getpeername(): SocketName | Record<string, never> {
    return this[STATE].end("remote") ?? {};
  }

  /** @internal */
  _getsockname(): SocketName | Record<string, never> {
    return this.address();
  }

  get remoteAddress(): string | undefined {
    return this._getpeername().address;
  }

  get remotePort(): number | undefined {
    return this._getpeername().port;
  }

  get remoteFamily(): string | undefined {
    return this._getpeername().family;
  }

  get localAddress(): string | undefined {
    return this._getsockname().address;
  }

  get localPort(): number | undefined {
    return this._getsockname().port;
  }

  get localFamily(): string | undefined {
    return this._getsockname().family;
  }
}

denoHttpParser.install();

/** Outside of `setTimeout`, which would make its functions in each call. */
function newIdleTimer(socket: Socket): IdleTimer {
  const state = socket[STATE];
  const now = () => state.handle?.now ?? nowMs();
  return new IdleTimer(now, () => socket._onTimeout());
}

interface Waiting {
  chunk: Uint8Array | string;
  encoding: string;
}

function lengthOf(chunk: Uint8Array | string, encoding: string): number {
  if (typeof chunk !== "string") return chunk.length;
  return Buffer.byteLength(chunk, encoding as BufferEncoding);
}

function askForMore(socket: Socket): void {
  const { handle, onread } = socket[STATE];
  if (onread !== null && handle?.connected) handle.resume();
}
