/**
 * The sending half of one connected socket of `node:net`.
 *
 *   idle -> window with the runtime -> ... -> idle
 *                  \-- cancelled -> owed: the window's callback is outstanding -> idle
 *
 * The runtime keeps what it was given until its callback, so it is given copies, one window at a
 * time: the core's memory is free as soon as the operation completes. Bytes cannot be taken back. A
 * cancelled send therefore reports the window that is with the runtime as taken, and the next send
 * begins behind that window's callback: at most one window is owed at any time. Where the kernel
 * took a window at once, nothing is left with the runtime, and its callback, which comes later, is
 * not waited for.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { ERRNO } from "../base/errno.ts";
import { LIMITS } from "../base/limits.ts";
import type { RuntimeSocket } from "./runtime_sockets.ts";
import type { SlabTable } from "./slab_table.ts";
import type { WindowPool } from "./window_pool.ts";

/** A range of memory of the core. */
export interface Range {
  slab: number;
  offset: number;
  length: number;
}

/** Takes completions of operations, and has what they need; the ring. */
export interface SendCompletions {
  readonly slabs: SlabTable;
  readonly windows: WindowPool;
  complete(slot: number, generation: number, result: number, flags: number): void;
}

/** A window of so many bytes may be more than the peer has room for. */
const LARGE_WINDOW_BYTES = 16_384;

export class SendingHalf {
  readonly #socket: RuntimeSocket;
  readonly #to: SendCompletions;
  #finAsked = false;
  /** What the connection ended with. */
  #errno = 0;
  /** When a large window was last sent, on the clock of `performance.now()`. */
  largeSentAtMs = -Infinity;

  // The send that is under way, and what of it has been taken.
  #sendSlot = -1;
  #sendGeneration = 0;
  readonly #single: [Range] = [{ slab: 0, offset: 0, length: 0 }];
  #ranges: Range[] = this.#single;
  #rangeAt = 0;
  #rangeDone = 0;
  #sent = 0;
  /** Bytes with the runtime whose callback has not come, and where they are. */
  #windowBytes = 0;
  #window: Buffer | null = null;
  /** Callbacks that are still to come for windows that were taken at once. */
  #callbacksLeft = 0;

  constructor(socket: RuntimeSocket, to: SendCompletions) {
    this.#socket = socket;
    this.#to = to;
  }

  /** The runtime has bytes that the kernel has not taken. */
  get unsent(): boolean {
    return this.#windowBytes > 0;
  }

  /** FIN, behind what the runtime has. */
  finish(): void {
    if (this.#finAsked) return;
    this.#finAsked = true;
    this.#socket.end();
  }

  /** The connection is over: a send that is under way ends, and later ones fail. */
  end(errno: number): void {
    this.#errno = errno;
    this.#windowBytes = 0;
    // The runtime may still hold it: it goes to nobody else.
    this.#window = null;
    if (this.#sendSlot >= 0) this.#finishSend(this.#sent > 0 ? this.#sent : -errno);
  }

  /** One range, which is the usual case and makes no object. */
  sendOne(slot: number, generation: number, slab: number, offset: number, length: number): void {
    const [one] = this.#single;
    one.slab = slab;
    one.offset = offset;
    one.length = length;
    this.send(slot, generation, this.#single);
  }

  send(slot: number, generation: number, ranges: Range[]): void {
    this.#sendSlot = slot;
    this.#sendGeneration = generation;
    this.#ranges = ranges;
    this.#rangeAt = 0;
    this.#rangeDone = 0;
    this.#sent = 0;
    // Else the callback of the window that is owed begins it.
    if (this.#windowBytes === 0) this.#sendWindow();
  }

  /** Whether the send of this slot was under way, and is over now. */
  cancel(slot: number, generation: number): boolean {
    if (this.#sendSlot !== slot || this.#sendGeneration !== generation) return false;
    // Nothing of it has been given to the runtime while another one's window is owed.
    const taken = this.#rangeAt > 0 || this.#rangeDone > 0 ? this.#sent + this.#windowBytes : 0;
    this.#finishSend(taken > 0 ? taken : -ERRNO.ECANCELED);
    return true;
  }

  /** The next bytes go to the runtime, as a copy, until it does not take a window at once. */
  #sendWindow(): void {
    for (;;) {
      if (this.#errno !== 0) return this.#finishSend(-this.#errno);
      if (this.#finAsked) return this.#finishSend(-ERRNO.EPIPE);
      const window = this.#copyWindow();
      if (window === null) return this.#finishSend(this.#sent > 0 ? this.#sent : -ERRNO.EFAULT);
      if (window.length >= LARGE_WINDOW_BYTES) this.largeSentAtMs = performance.now();
      this.#windowBytes = window.length;
      this.#socket.write(window, this.#onWritten);
      if (this.#socket.writableLength > 0 || this.#errno !== 0) return;
      this.#callbacksLeft++;
      this.#returnWindow();
      if (this.#advance(window.length)) return;
    }
  }

  /** The runtime has no bytes of the window any more. */
  #returnWindow(): void {
    this.#windowBytes = 0;
    const window = this.#window;
    this.#window = null;
    if (window !== null) this.#to.windows.put(window);
  }

  /** A window of the send was taken. Whether that was all. */
  #advance(bytes: number): boolean {
    this.#sent += bytes;
    if (this.#rangeAt < this.#ranges.length) return false;
    this.#finishSend(this.#sent);
    return true;
  }

  #copyWindow(): Buffer | null {
    let wanted = 0;
    for (let at = this.#rangeAt; at < this.#ranges.length; at++) wanted += this.#ranges[at].length;
    const size = Math.min(wanted - this.#rangeDone, LIMITS.portableWindowBytes);
    const window = this.#window = this.#to.windows.take(size);
    for (let done = 0; done < size;) {
      const range = this.#ranges[this.#rangeAt];
      const memory = this.#to.slabs.find(range.slab);
      if (memory === null || range.offset + range.length > memory.length) {
        this.#returnWindow();
        return null;
      }
      const part = Math.min(range.length - this.#rangeDone, size - done);
      const from = range.offset + this.#rangeDone;
      memory.copy(window, done, from, from + part);
      done += part;
      this.#rangeDone += part;
      if (this.#rangeDone < range.length) continue;
      this.#rangeAt++;
      this.#rangeDone = 0;
    }
    return window.subarray(0, size);
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (this.#callbacksLeft > 0) {
      this.#callbacksLeft--;
      return;
    }
    // The socket is ending, and 'error' or 'close' follows, which know better why.
    if (error) return;
    const bytes = this.#windowBytes;
    this.#returnWindow();
    if (this.#sendSlot < 0) return;
    const own = this.#rangeAt > 0 || this.#rangeDone > 0;
    if (!own || !this.#advance(bytes)) this.#sendWindow();
  };

  #finishSend(result: number): void {
    const slot = this.#sendSlot;
    this.#sendSlot = -1;
    this.#to.complete(slot, this.#sendGeneration, result, 0);
  }
}
