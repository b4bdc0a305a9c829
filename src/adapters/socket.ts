/**
 * A socket that passes for that of `node:net`, over a connection of this library.
 *
 *   new Socket() -> connect() -> 'connect', 'ready' -> 'data' ... -> 'end' -> 'finish' -> 'close'
 *
 * The same class serves `toDuplex`, `connect` and the sockets of a server. Order of events, errors
 * and defaults are Node's; docs/NODE_NET.md lists what differs.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { IdleTimer } from "./idle_timer.ts";
import { nodeError } from "./node_error.ts";
import { type Callback, socketArguments } from "./socket_arguments.ts";
import { socketConnect } from "./socket_connect.ts";
import { type SocketName, socketName } from "./socket_name.ts";
import { setKeepAlive } from "./socket_state.ts";
import { SocketStream, STATE } from "./socket_stream.ts";
import { validate } from "./validate.ts";

export class Socket extends SocketStream {
  declare timeout: number | undefined;
  declare autoSelectFamilyAttemptedAddresses: string[] | undefined;

  connect(...args: unknown[]): this {
    const [options, callback] = socketArguments.read(args);
    socketConnect.connect(this, options, callback);
    return this;
  }

  // ---------------------------------------------------------------------------------- options

  /** 'timeout' after so many milliseconds without traffic; 0 turns it off. */
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
    const now = () => state.link === null ? performance.now() : state.link.context.now;
    state.idle ??= new IdleTimer(now, () => this._onTimeout());
    if (state.link !== null) state.link.idle = state.idle;
    state.idle.start(periodMs);
    if (callback !== undefined) this.once("timeout", callback);
    return this;
  }

  setNoDelay(noDelay?: boolean): this {
    const state = this[STATE];
    const on = noDelay === undefined ? true : Boolean(noDelay);
    state.pending.noDelay = on;
    state.link?.connection.setNoDelay(on);
    return this;
  }

  setKeepAlive(enable?: boolean, initialDelayMs?: number): this {
    const state = this[STATE];
    const on = Boolean(enable);
    const idleSeconds = Math.trunc((initialDelayMs ?? 0) / 1_000) || 0;
    state.pending.keepAlive = { on, idleSeconds };
    if (state.link !== null) setKeepAlive(state.link.connection, on, idleSeconds);
    return this;
  }

  ref(): this {
    const state = this[STATE];
    state.referenced = true;
    state.connecting?.ref();
    state.link?.connection.ref();
    return this;
  }

  unref(): this {
    const state = this[STATE];
    state.referenced = false;
    state.connecting?.unref();
    state.link?.connection.unref();
    return this;
  }

  // -------------------------------------------------------------------------------------- end

  /** Half closes once all is written, then destroys. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", this.destroy);
  }

  /** Ends with RST. */
  resetAndDestroy(): this {
    const state = this[STATE];
    if (state.link !== null) return this._reset();
    if (this.connecting) this.once("connect", () => this._reset());
    else this.destroy(nodeError.fixed("ERR_SOCKET_CLOSED"));
    return this;
  }

  /** @internal */
  _reset(): this {
    this[STATE].resets = true;
    this.destroySoon();
    return this;
  }

  // ------------------------------------------------------------------------------------ state

  get pending(): boolean {
    return this[STATE].link === null || this.connecting;
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
    return this.pending && !this.connecting ? undefined : this.writableLength;
  }

  get bytesRead(): number {
    const state = this[STATE];
    return state.link?.bytesRead ?? state.bytesRead;
  }

  /** @internal */
  get _bytesDispatched(): number {
    const state = this[STATE];
    return state.link?.bytesWritten ?? state.bytesWritten;
  }

  /** What was written: with the kernel, queued, or waiting for the connection. */
  get bytesWritten(): number | undefined {
    const waiting = (this as unknown as { writableBuffer?: Waiting[] }).writableBuffer;
    if (waiting === undefined) return undefined;
    let bytes = this._bytesDispatched;
    for (const { chunk, encoding } of waiting) bytes += lengthOf(chunk, encoding);
    const data = this._pendingData;
    if (data === null) return bytes;
    if (!Array.isArray(data)) return bytes + lengthOf(data as Uint8Array, this._pendingEncoding);
    for (const { chunk } of data) bytes += chunk.length;
    return bytes;
  }

  // ------------------------------------------------------------------------------------- ends

  address(): SocketName | Record<string, never> {
    return socketName(this[STATE].end("local")) ?? {};
  }

  /** @internal */
  _getpeername(): SocketName | Record<string, never> {
    return socketName(this[STATE].end("remote")) ?? {};
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

interface Waiting {
  chunk: Uint8Array | string;
  encoding: string;
}

function lengthOf(chunk: Uint8Array | string, encoding: string): number {
  if (typeof chunk !== "string") return chunk.length;
  return Buffer.byteLength(chunk, encoding as BufferEncoding);
}
