/**
 * What a socket of `node:net` holds from `connect` on, under the name `_handle`: once there is one,
 * a connection, and the calls on its two halves.
 *
 *   network -> data(), end(), error() ----> push into the stream, in the socket's async context
 *   stream --> write(), finish(), end() --> post to the network
 *
 * A write is done, for its callback, when its bytes are copied and the queue has room; its bytes may
 * not be with the kernel yet. So `end` still sends what was queued, within the network's
 * `shutdownTimeoutMs`.
 *
 * Programs reach into handles: they call, and replace, `setNoDelay`, `setKeepAlive`, `ref`, `unref`
 * and `close`, and read `fd`. So these are what the socket itself calls.
 *
 * @module
 */
import { AsyncResource } from "node:async_hooks";
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
import { ERRNO } from "../base/errno.ts";
import type { SocketAddress, UnixAddress } from "../net/address.ts";
import type { Connection } from "../net/connection.ts";
import type { NetworkContext } from "../net/network_context.ts";
import type { Consumer, PushReceive } from "../net/push_receive.ts";
import type { Producer, PushSend } from "../net/push_send.ts";
import { SOCKET_OPTION } from "../ring/port.ts";
import type { IdleTimer } from "./idle_timer.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { type SocketName, socketName } from "./socket_name.ts";

/**
 * Bytes that are queued before a write waits: with a stream's own buffer, what a peer that does not
 * read costs.
 */
const QUEUE_BYTES_MAX = 262_144;

/** Seconds between Node's probes, and how many make a connection dead. */
const PROBE_SECONDS = 1;
const PROBE_COUNT = 10;

/** Where received bytes go instead of into the stream: the `onread` option. */
export interface OnRead {
  buffer: Uint8Array | (() => Uint8Array);
  /** False pauses. */
  callback(bytesRead: number, buffer: Uint8Array): boolean | void;
}

/** A connect that is under way. */
export interface Connecting {
  cancel(): void;
  ref(): void;
  unref(): void;
}

type Done = (error?: Error | null) => void;

export class SocketHandle implements Consumer, Producer {
  connecting: Connecting | null = null;
  /** Null while the socket has no timeout. */
  idle: IdleTimer | null = null;
  bytesRead = 0;
  bytesWritten = 0;
  #connection: Connection | null = null;
  #receive: PushReceive | null = null;
  #send: PushSend | null = null;
  #stream: Duplex | undefined;
  #onread: OnRead | null = null;
  readonly #resource = new AsyncResource("TCPWRAP");
  #referenced = true;
  /** The stream asked for bytes before there were any to be had. */
  #wantsRead = false;
  /** The callback of the write that waits for room. */
  #written: Done | null = null;
  #finished: Done | null = null;
  /** The program's own buffer for what comes next. */
  #target: Uint8Array | null = null;
  /** What the program's own buffer had no room for when it paused. */
  #held: Uint8Array | null = null;
  #remote: SocketAddress | UnixAddress | null = null;
  #local: SocketAddress | UnixAddress | null = null;

  /** The network of the connection; without one, that of `uringnet/net`. */
  get context(): NetworkContext {
    return this.#connection?.socket.context ?? nodeNetwork.get();
  }

  /** Milliseconds; without a connection those of the same clock. */
  get now(): number {
    return this.#connection?.socket.context.now ?? performance.now();
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  /** The stream that this is the handle of. */
  serve(stream: Duplex, onread: OnRead | null): void {
    this.#stream = stream;
    this.#onread = onread;
    this.#begin();
  }

  /** There is a connection. */
  open(connection: Connection): void {
    this.connecting = null;
    this.#connection = connection;
    if (!this.#referenced) connection.unref();
    this.#begin();
  }

  /** The stream takes more. */
  resume(): void {
    if (this.#receive === null) this.#wantsRead = true;
    else if (this.#held === null) this.#receive.resume();
    else nextTick(this.#pour);
  }

  write(data: Uint8Array | readonly Uint8Array[], length: number, done: Done): void {
    const send = this.#send;
    if (send === null) {
      done(nodeError.system(ERRNO.EBADF, "write"));
      return;
    }
    this.bytesWritten += length;
    this.idle?.touch();
    if (send.post(data)) done();
    else this.#written = done;
  }

  /** FIN behind what was written. */
  finish(done: Done): void {
    if (this.#send === null) {
      done();
      return;
    }
    this.#finished = done;
    this.#send.finish();
  }

  /**
   * Ends the connection: with RST, or with FIN behind what was written. `closed` is called when the
   * descriptor is closed, at once where bytes are still to be sent.
   */
  finalize(reset: boolean, closed: () => void): void {
    this.connecting?.cancel();
    this.connecting = null;
    const connection = this.#connection;
    if (connection === null) {
      nextTick(closed);
      return;
    }
    const { context } = this;
    const lingers = !reset && (this.#send?.queuedBytes ?? 0) > 0;
    this.#receive?.stop();
    this.#send?.stop();
    this.#connection = this.#receive = this.#send = null;
    this.#written = this.#finished = null;
    if (reset) connection.reset();
    const closing = connection.close();
    if (lingers) {
      nextTick(closed);
      return;
    }
    // The process stays until it was told.
    context.hold();
    void closing.finally(() => {
      context.unhold();
      nextTick(closed);
    });
  }

  // ---------------------------------------------------------------------- what programs reach for

  /** -1 where there is none. */
  get fd(): number {
    return this.#connection?.socket.fd ?? -1;
  }

  getAsyncId(): number {
    return this.#resource.asyncId();
  }

  /** Agents that use a connection again say so. */
  asyncReset(): void {}

  getProviderType(): number {
    return 0;
  }

  setNoDelay(on: boolean): number {
    this.#connection?.setNoDelay(on);
    return 0;
  }

  setKeepAlive(on: boolean, idleSeconds: number): number {
    if (!on) this.#connection?.setKeepAlive(false);
    else if (idleSeconds <= 0) this.#connection?.setKeepAlive(true);
    else {
      const intervalSeconds = PROBE_SECONDS;
      this.#connection?.setKeepAlive({ idleSeconds, intervalSeconds, count: PROBE_COUNT });
    }
    return 0;
  }

  /** 0, or -errno, as for `getTypeOfService`. */
  setTypeOfService(value: number): number {
    const socket = this.#connection?.socket;
    if (socket === undefined) return -ERRNO.EBADF;
    return socket.port.setOption(socket.fd, SOCKET_OPTION.trafficClass, value);
  }

  getTypeOfService(): number {
    const socket = this.#connection?.socket;
    if (socket === undefined) return -ERRNO.EBADF;
    return socket.port.getOption(socket.fd, SOCKET_OPTION.trafficClass);
  }

  ref(): void {
    this.#referenced = true;
    this.connecting?.ref();
    this.#connection?.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.connecting?.unref();
    this.#connection?.unref();
  }

  hasRef(): boolean {
    return this.#referenced;
  }

  close(callback?: () => void): void {
    this.finalize(false, callback ?? (() => {}));
  }

  /** Names of the ends, as they were first seen: a connection that is over has none. */
  name(which: "local" | "remote"): SocketName | null {
    const connection = this.#connection;
    return which === "local"
      ? socketName(this.#local ??= connection?.localAddress ?? null)
      : socketName(this.#remote ??= connection?.remoteAddress ?? null);
  }

  getsockname(target: Partial<SocketName>): number {
    Object.assign(target, this.name("local"));
    return 0;
  }

  getpeername(target: Partial<SocketName>): number {
    Object.assign(target, this.name("remote"));
    return 0;
  }

  // ------------------------------------------------------------------- what the network calls

  data(bytes: Uint8Array, start: number, end: number): boolean {
    this.bytesRead += end - start;
    this.idle?.touch();
    if (this.#onread !== null) return this.#fill(this.#onread, bytes, start, end);
    const chunk = Buffer.allocUnsafe(end - start);
    chunk.set(bytes.subarray(start, end));
    return this.#resource.runInAsyncScope(push, this.#stream, chunk);
  }

  end(): void {
    this.#resource.runInAsyncScope(pushEnd, this.#stream);
  }

  error(reason: unknown): void {
    const failure = nodeError.system(nodeError.errnoOf(reason, ERRNO.ECONNRESET), "read");
    this.#resource.runInAsyncScope(destroy, this.#stream, failure);
  }

  drained(): void {
    const written = this.#written;
    this.#written = null;
    this.idle?.touch();
    if (written !== null) this.#resource.runInAsyncScope(written);
  }

  finished(): void {
    const finished = this.#finished;
    this.#finished = null;
    if (finished !== null) this.#resource.runInAsyncScope(finished);
  }

  failed(reason: unknown): void {
    const failure = nodeError.system(nodeError.errnoOf(reason, ERRNO.EPIPE), "write");
    const waiting = this.#written ?? this.#finished;
    this.#written = this.#finished = null;
    if (waiting !== null) this.#resource.runInAsyncScope(waiting, undefined, failure);
    else this.#resource.runInAsyncScope(destroy, this.#stream, failure);
  }

  /** Begins once there are both, a connection and a stream. */
  #begin(): void {
    const connection = this.#connection;
    if (connection === null || this.#stream === undefined) return;
    this.#receive = connection.stream.consume(this);
    this.#send = connection.sink.produce(this, QUEUE_BYTES_MAX);
    if (this.#wantsRead) this.#receive.resume();
  }

  readonly #pour = (): void => {
    const held = this.#held;
    if (held === null || this.#onread === null) return;
    this.#held = null;
    if (this.#fill(this.#onread, held, 0, held.length)) this.#receive?.resume();
  };

  /** As many bytes at a time as the program's buffer holds; what is left when it pauses waits. */
  #fill(onread: OnRead, bytes: Uint8Array, start: number, end: number): boolean {
    const stream = this.#stream as Duplex;
    for (let at = start; at < end && !stream.destroyed;) {
      const target = this.#target ?? nextTarget(onread);
      const count = Math.min(target.length, end - at);
      target.set(bytes.subarray(at, at + count));
      at += count;
      const answer = this.#resource.runInAsyncScope(onread.callback, stream, count, target);
      this.#target = nextTarget(onread);
      if (answer !== false && count > 0 && !stream.isPaused()) continue;
      if (at < end) this.#held = bytes.slice(at, end);
      return false;
    }
    return true;
  }
}

function nextTarget({ buffer }: OnRead): Uint8Array {
  return typeof buffer === "function" ? buffer() : buffer;
}

// One function for all sockets each: a delivery makes no closure.

function push(this: Duplex, chunk: Uint8Array): boolean {
  return this.push(chunk);
}

function pushEnd(this: Duplex): void {
  this.push(null);
  this.read(0);
}

function destroy(this: Duplex, error: Error): void {
  this.destroy(error);
}
