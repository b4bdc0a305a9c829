/**
 * What a socket of `node:net` has while it is connected: one connection, and the stream calls on
 * its two halves.
 *
 *   network -> data(), end(), error() ------> push into the stream, in the socket's async context
 *   stream --> write(), finish(), close() --> post to the network
 *
 * A write is done, for its callback, when its bytes are copied and the queue has room; its bytes may
 * not be with the kernel yet. So `close` still sends what was queued, within the network's
 * `shutdownTimeoutMs`.
 *
 * @module
 */
import { AsyncResource } from "node:async_hooks";
import { Buffer } from "node:buffer";
import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
import { ERRNO } from "../base/errno.ts";
import type { Connection } from "../net/connection.ts";
import type { NetworkContext } from "../net/network_context.ts";
import type { Consumer, PushReceive } from "../net/push_receive.ts";
import type { Producer, PushSend } from "../net/push_send.ts";
import type { IdleTimer } from "./idle_timer.ts";
import { nodeError } from "./node_error.ts";

/** Bytes that are queued before a write waits: with a stream's own buffer, what a peer that does
 * not read costs. */
const QUEUE_BYTES_MAX = 262_144;

/** Where received bytes go instead of into the stream: the `onread` option. */
export interface OnRead {
  buffer: Uint8Array | (() => Uint8Array);
  /** False pauses. */
  callback(bytesRead: number, buffer: Uint8Array): boolean | void;
}

type Done = (error?: Error | null) => void;

export class Link implements Consumer, Producer {
  readonly connection: Connection;
  readonly receive: PushReceive;
  readonly #send: PushSend;
  readonly #stream: Duplex;
  readonly #resource: AsyncResource;
  readonly #onread: OnRead | null;
  /** Null while the socket has no timeout. */
  idle: IdleTimer | null = null;
  bytesRead = 0;
  bytesWritten = 0;
  /** The callback of the write that waits for room. */
  #written: Done | null = null;
  #finished: Done | null = null;
  /** What the program's own buffer had no room for when it paused. */
  #held: Uint8Array | null = null;

  constructor(connection: Connection, stream: Duplex, onread: OnRead | null) {
    this.connection = connection;
    this.#stream = stream;
    this.#onread = onread;
    this.#resource = new AsyncResource("TCPSOCKETWRAP");
    this.receive = connection.stream.consume(this);
    this.#send = connection.sink.produce(this, QUEUE_BYTES_MAX);
  }

  get context(): NetworkContext {
    return this.receive.context;
  }

  /** Bytes that are not with the kernel yet. */
  get queuedBytes(): number {
    return this.#send.queuedBytes;
  }

  write(data: Uint8Array | readonly Uint8Array[], length: number, done: Done): void {
    this.bytesWritten += length;
    this.idle?.touch();
    if (this.#send.post(data)) done();
    else this.#written = done;
  }

  /** The stream takes more. */
  resume(): void {
    if (this.#held === null) this.receive.resume();
    else nextTick(this.#pour);
  }

  /** FIN behind what was written. */
  finish(done: Done): void {
    this.#finished = done;
    this.#send.finish();
  }

  /**
   * Ends the connection: with RST, or with FIN behind what was written. `closed` is called when the
   * descriptor is closed, at once where bytes are still to be sent.
   */
  close(reset: boolean, closed: () => void): void {
    const { connection, context } = this;
    this.receive.stop();
    this.#send.stop();
    this.#written = this.#finished = null;
    const lingers = !reset && this.queuedBytes > 0;
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

  readonly #pour = (): void => {
    const held = this.#held;
    if (held === null || this.#onread === null) return;
    this.#held = null;
    if (this.#fill(this.#onread, held, 0, held.length)) this.receive.resume();
  };

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

  /** As many bytes at a time as the program's buffer holds; what is left when it pauses waits. */
  #fill(onread: OnRead, bytes: Uint8Array, start: number, end: number): boolean {
    for (let at = start; at < end && !this.#stream.destroyed;) {
      const buffer = typeof onread.buffer === "function" ? onread.buffer() : onread.buffer;
      const count = Math.min(buffer.length, end - at);
      buffer.set(bytes.subarray(at, at + count));
      at += count;
      const answer = this.#resource.runInAsyncScope(onread.callback, this.#stream, count, buffer);
      if (answer !== false && count > 0) continue;
      if (at < end) this.#held = bytes.slice(at, end);
      return false;
    }
    return true;
  }
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
