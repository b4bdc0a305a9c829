/**
 * The `onread` option of sockets: bytes go to a function, in a buffer of the program's own, past
 * the stream.
 *
 * The rest of a delivery when the program pauses waits here, and comes first afterwards.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { AsyncScope } from "./async_scope.ts";

export interface OnRead {
  /** One buffer for all, or a function that gives the one for the next bytes. */
  buffer: Uint8Array | (() => Uint8Array);
  /** False pauses. */
  callback(bytesRead: number, buffer: Uint8Array): boolean | void;
}

export class OnReadBuffers {
  readonly #stream: Duplex;
  readonly #onread: OnRead;
  readonly #scope: AsyncScope;
  /** Where the next bytes go. */
  #target: Uint8Array | null = null;
  #held: Uint8Array | null = null;

  constructor(stream: Duplex, onread: OnRead, scope: AsyncScope) {
    this.#stream = stream;
    this.#onread = onread;
    this.#scope = scope;
  }

  /** Bytes wait for the program to go on. */
  get holds(): boolean {
    return this.#held !== null;
  }

  /** Hands on what waits. True: all of it, and the program takes more. */
  pour(): boolean {
    const held = this.#held;
    if (held === null) return false;
    this.#held = null;
    return this.take(held, 0, held.length);
  }

  /** Hands bytes on, as many at a time as the program's buffer holds. False: it has paused. */
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
      if (answer !== false && count > 0 && !stream.isPaused()) continue;
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
