/**
 * The `onread` option of sockets: bytes are delivered to a function, in a buffer of the program,
 * and not through the stream.
 *
 * When the program pauses in the middle of a delivery, the rest waits here and is delivered first
 * afterwards.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { AsyncScope } from "./async_scope.ts";

/** The `onread` option of a socket. */
export interface OnRead {
  /** One buffer for all bytes, or a function that returns the buffer for the next ones. */
  buffer: Uint8Array | (() => Uint8Array);
  /** Called with each delivery. Pauses the socket by returning false. */
  callback(bytesRead: number, buffer: Uint8Array): boolean | void;
}

export class OnReadBuffers {
  readonly #stream: Duplex;
  readonly #onread: OnRead;
  readonly #scope: AsyncScope;
  /** The buffer for the next bytes. */
  #target: Uint8Array | null = null;
  #held: Uint8Array | null = null;

  constructor(stream: Duplex, onread: OnRead, scope: AsyncScope) {
    this.#stream = stream;
    this.#onread = onread;
    this.#scope = scope;
  }

  /** Whether bytes wait for the program to resume. */
  get holds(): boolean {
    return this.#held !== null;
  }

  /** Delivers the waiting bytes. Returns true when all are delivered and the program takes more. */
  pour(): boolean {
    const held = this.#held;
    if (held === null) return false;
    this.#held = null;
    return this.take(held, 0, held.length);
  }

  /**
   * Delivers bytes, as many at a time as the program's buffer holds. Returns false when the program
   * has paused.
   */
  take(bytes: Uint8Array, start: number, end: number): boolean {
    const { callback } = this.#onread;
    const stream = this.#stream;
    for (let at = start; at < end && !stream.destroyed;) {
      const target = this.#target ?? this.#next();
      const count = Math.min(target.length, end - at);
      target.set(bytes.subarray(at, at + count));
      at += count;
      const answer = this.#scope.run(callback, stream, count, target);
      this.#target = this.#next();
      if (answer !== false && count > 0 && !isPaused(stream)) continue;
      if (at < end) this.#held = bytes.slice(at, end);
      return false;
    }
    return true;
  }

  #next(): Uint8Array {
    const { buffer } = this.#onread;
    return typeof buffer === "function" ? buffer() : buffer;
  }
}

/** A listener of 'readable' takes the stream out of its flow, but does not pause the socket. */
function isPaused(stream: Duplex): boolean {
  return stream.isPaused() && stream.listenerCount("readable") === 0;
}
