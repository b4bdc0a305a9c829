/**
 * The delivery of bytes to the `onread` option of a socket, in place of its stream.
 *
 *   flowing --pause(), or the function returns false--> paused --resume()--> flowing
 *   delivering --resume() in the function, or it throws--> the rest follows in a tick --> flowing
 *
 * When the program pauses or throws in the middle of a delivery, the rest waits here. It is
 * delivered first afterwards, or goes to TLS when that takes the socket. The end of the bytes waits
 * as well: Node, which does not read while the program pauses, does not see it before.
 *
 * @module
 */
import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
import type { AsyncScope } from "./async_scope.ts";
import { type OnRead, ReadTarget } from "./on_read.ts";

/** The handle that receives the bytes. */
export interface OnReadSource {
  bytesRead: number;
  receiveMore(): void;
}

export class OnReadBuffers {
  readonly #source: OnReadSource;
  readonly #stream: Duplex;
  readonly #callback: OnRead["callback"];
  readonly #target: ReadTarget;
  readonly #scope: AsyncScope;
  #held: Uint8Array | null = null;
  #isPaused = false;
  #end: (() => void) | null = null;
  #isDelivering = false;
  /** Whether the program has resumed inside of the function. */
  #wasResumed = false;
  /** The ticks that are to come, of which the last one delivers. */
  #pourCount = 0;
  /** The stream of TLS above the socket. */
  #heir: Duplex | null = null;

  constructor(source: OnReadSource, stream: Duplex, onread: OnRead, scope: AsyncScope) {
    this.#source = source;
    this.#stream = stream;
    this.#callback = onread.callback;
    this.#target = new ReadTarget(onread);
    this.#scope = scope;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    // The outcome of the delivery decides: bytes that came meanwhile would overtake its rest.
    if (this.#isDelivering) this.#wasResumed = true;
    else if (this.#held !== null || this.#end !== null || this.#pourCount > 0) this.#pourLater();
    else this.#source.receiveMore();
  }

  /** Calls `told` once the program has the bytes and has not paused, perhaps at once. */
  end(told: () => void): void {
    this.#end = told;
    this.#pour();
  }

  /** `take` for the network. Returns false as well when the program has thrown before the rest. */
  receive(bytes: Uint8Array, start: number, end: number): boolean {
    try {
      return this.take(bytes, start, end);
    } catch (error) {
      if (this.#held === null) throw error;
      // The rest comes first: the next bytes, or the end of the stream, would overtake it.
      queueMicrotask(() => {
        throw error;
      });
      return false;
    }
  }

  /** Leaves all that waits, and the rest of a delivery, to another stream. */
  leaveTo(heir: Duplex): void {
    this.#heir = heir;
    this.#isPaused = true;
    if (!this.#isDelivering) this.#leave(heir, this.#held);
  }

  /**
   * Delivers bytes, as many at a time as the program's buffer holds. Returns false when the program
   * has paused.
   */
  take(bytes: Uint8Array, start: number, end: number): boolean {
    const stream = this.#stream;
    const target = this.#target;
    let at = start;
    this.#isDelivering = true;
    this.#wasResumed = false;
    try {
      while (at < end && !this.#isPaused && !this.#wasResumed && !stream.destroyed) {
        const count = target.fill(bytes, at, end);
        at += count;
        this.#source.bytesRead += count;
        const answer = this.#scope.run(this.#callback, stream, count, target.buffer);
        target.renew();
        if (answer === false || count === 0) this.#isPaused = true;
      }
    } finally {
      this.#isDelivering = false;
      const rest = at < end ? bytes.slice(at, end) : null;
      if (this.#heir !== null) {
        this.#leave(this.#heir, rest);
      } else if (!stream.destroyed) {
        this.#held = rest;
        // When the program has thrown, its error is reported first. When it has resumed, the stream
        // reads in a tick, which must not undo a pause by the next call.
        if (!this.#isPaused && (rest !== null || this.#wasResumed)) this.#pourLater();
      }
    }
    return !this.#isPaused && !this.#wasResumed;
  }

  #pourLater(): void {
    this.#pourCount++;
    nextTick(this.#pourTick);
  }

  readonly #pourTick = (): void => {
    if (--this.#pourCount === 0) this.#pour();
  };

  #pour(): void {
    if (this.#isPaused) return;
    const held = this.#held;
    this.#held = null;
    this.#wasResumed = false;
    try {
      if (held !== null) this.take(held, 0, held.length);
    } finally {
      if (this.#held === null && !this.#isPaused && !this.#wasResumed) this.#goOn();
    }
  }

  /** The program has all bytes and wants more. */
  #goOn(): void {
    const told = this.#end;
    this.#end = null;
    if (told === null) this.#source.receiveMore();
    else told();
  }

  #leave(heir: Duplex, rest: Uint8Array | null): void {
    const told = this.#end;
    this.#held = this.#end = null;
    if (rest !== null) {
      this.#source.bytesRead += rest.length;
      heir.push(rest);
    }
    told?.();
  }
}
