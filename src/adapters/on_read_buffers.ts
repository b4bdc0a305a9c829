/**
 * The delivery of bytes to the `onread` option of a socket, in place of its stream.
 *
 *   flowing  --pause(), or the function returns false--> paused
 *   paused   --resume(), nothing waits-----------------> flowing
 *   paused   --resume(), a rest or the end waits-------> resuming
 *   flowing  --the function resumes, or throws---------> resuming
 *   resuming --the last tick: the rest is delivered----> flowing, or paused by the function
 *   resuming --pause()---------------------------------> paused
 *
 * When the program pauses or throws in the middle of a delivery, the rest waits here. It is
 * delivered first afterwards, or goes to TLS when that takes the socket. The end of the bytes waits
 * as well: Node, which does not read while the program pauses, does not see it before.
 *
 * @module
 */
import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
import { queueMicrotask } from "../base/queue_microtask.ts";
import type { AsyncScope } from "./async_scope.ts";
import { type OnRead, ReadTarget } from "./on_read.ts";

/** The handle that receives the bytes. */
export interface OnReadSource {
  bytesRead: number;
  receiveMore(): void;
}

/**
 * Whether bytes, and their end, are delivered as they come, wait for `resume`, or wait for the last
 * of the ticks that are to come.
 */
type Flow = "flowing" | "paused" | "resuming";

export class OnReadBuffers {
  readonly #source: OnReadSource;
  readonly #stream: Duplex;
  readonly #callback: OnRead["callback"];
  readonly #target: ReadTarget;
  readonly #scope: AsyncScope;
  #flow: Flow = "flowing";
  /** The rest of a delivery. */
  #held: Uint8Array | null = null;
  /** Tells the stream of the end. */
  #end: (() => void) | null = null;
  #isDelivering = false;
  /** The ticks that are to come, of which the last one delivers. */
  #tickCount = 0;
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
    this.#flow = "paused";
  }

  resume(): void {
    // The outcome of the delivery decides: bytes that came meanwhile would overtake its rest.
    if (this.#isDelivering) this.#flow = "resuming";
    else if (this.#held !== null || this.#end !== null || this.#tickCount > 0) this.#resumeLater();
    else {
      this.#flow = "flowing";
      this.#source.receiveMore();
    }
  }

  /** Calls `told` once the program has the bytes and has not paused, perhaps at once. */
  end(told: () => void): void {
    this.#end = told;
    this.#deliverHeld();
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
    this.#flow = "paused";
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
    if (this.#flow !== "paused") this.#flow = "flowing";
    try {
      while (at < end && this.#flow === "flowing" && !stream.destroyed) {
        const count = target.fill(bytes, at, end);
        at += count;
        this.#source.bytesRead += count;
        const answer = this.#scope.run(this.#callback, stream, count, target.buffer);
        target.renew();
        if (answer === false || count === 0) this.#flow = "paused";
      }
    } finally {
      this.#isDelivering = false;
      this.#keep(at < end ? bytes.slice(at, end) : null);
    }
    return this.#flow === "flowing";
  }

  /** The rest of a delivery, which ends because the program has paused, resumed or thrown. */
  #keep(rest: Uint8Array | null): void {
    if (this.#heir !== null) return this.#leave(this.#heir, rest);
    if (this.#stream.destroyed) return;
    this.#held = rest;
    if (this.#flow === "paused") return;
    // When the program has thrown, its error is reported first. When it has resumed, the stream
    // reads in a tick, which must not undo a pause by the next call.
    if (this.#flow === "resuming" || rest !== null) this.#resumeLater();
  }

  #resumeLater(): void {
    this.#flow = "resuming";
    this.#tickCount++;
    nextTick(this.#tick);
  }

  readonly #tick = (): void => {
    if (--this.#tickCount === 0) this.#deliverHeld();
  };

  #deliverHeld(): void {
    if (this.#flow === "paused") return;
    const held = this.#held;
    this.#held = null;
    this.#flow = "flowing";
    try {
      if (held !== null) this.take(held, 0, held.length);
    } finally {
      if (this.#held === null && this.#flow === "flowing") this.#goOn();
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
