/**
 * The sending half of one connected socket of `node:net`.
 *
 *   idle -> offered to the kernel -> window with the runtime -> ... -> idle
 *                                     \-- cancelled -> owed: callback outstanding -> idle
 *
 * Memory of the core is offered to the kernel where the runtime can do so without keeping it. The
 * rest goes to the runtime, which keeps the bytes of a write until its callback. So it gets copies,
 * one window at a time, and the core's memory is free as soon as the operation completes. A write
 * cannot be withdrawn. So a cancelled send reports the window that the runtime holds as taken, and
 * the next send begins after that window's callback: at most one window is owed at any time.
 *
 * @module
 */
import { nowMs } from "../base/now_ms.ts";
import { ERRNO } from "../base/errno.ts";
import { LIMITS } from "../base/limits.ts";
import type { BytePath } from "./byte_path.ts";
import type { SentBytes } from "./discarding.ts";
import type { RuntimeSocket } from "./runtime_sockets.ts";
import type { SlabTable } from "./slab_table.ts";
import type { WindowPool } from "./window_pool.ts";

/** A range of memory of the core. */
export interface Range {
  slab: number;
  offset: number;
  length: number;
}

/** Takes completions of operations, and gives access to memory. Implemented by the ring. */
export interface SendCompletions {
  readonly slabs: SlabTable;
  readonly windows: WindowPool;
  complete(slot: number, generation: number, result: number, flags: number): void;
}

/** As many bytes fit into the smallest buffer that a peer can have. */
const FEW_BYTES = 1_024;

export class SendingHalf implements SentBytes {
  readonly #socket: RuntimeSocket;
  readonly #path: BytePath;
  readonly #to: SendCompletions;
  #finAsked = false;
  /** The errno with which the connection ended; 0 before its end. */
  #errno = 0;
  /** When more than {@link FEW_BYTES} were last sent, on the clock of `nowMs()`. */
  sentAtMs = -Infinity;
  #fewBytes = 0;

  // The pending send, and the part of it that has been taken.
  #sendSlot = -1;
  #sendGeneration = 0;
  readonly #single: [Range] = [{ slab: 0, offset: 0, length: 0 }];
  #ranges: Range[] = this.#single;
  #rangeAt = 0;
  #rangeDone = 0;
  #sent = 0;
  /** The bytes that the runtime holds until its callback, and their memory. */
  #windowBytes = 0;
  #window: Uint8Array | null = null;

  constructor(socket: RuntimeSocket, path: BytePath, to: SendCompletions) {
    this.#socket = socket;
    this.#path = path;
    this.#to = to;
  }

  /** Whether the runtime has bytes that the kernel has not taken. */
  get unsent(): boolean {
    return this.#windowBytes > 0;
  }

  /** Sends FIN after the bytes that the runtime has. */
  finish(): void {
    if (this.#finAsked) return;
    this.#finAsked = true;
    this.#socket.end();
  }

  /** The connection has ended: the pending send fails, and so do later ones. */
  end(errno: number): void {
    this.#errno = errno;
    this.#windowBytes = 0;
    // The window does not return to the pool, because the runtime may still hold it.
    this.#window = null;
    if (this.#sendSlot >= 0) this.#finishSend(this.#sent > 0 ? this.#sent : -errno);
  }

  /** Sends one range, the usual case, without making an object. */
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
    // Otherwise the callback of the owed window starts it.
    if (this.#windowBytes === 0) this.#sendWindow();
  }

  /** Cancels the send of this slot. Returns whether it was pending here. */
  cancel(slot: number, generation: number): boolean {
    if (this.#sendSlot !== slot || this.#sendGeneration !== generation) return false;
    // While the window of another send is owed, the runtime has none of these bytes.
    const taken = this.#rangeAt > 0 || this.#rangeDone > 0 ? this.#sent + this.#windowBytes : 0;
    this.#finishSend(taken > 0 ? taken : -ERRNO.ECANCELED);
    return true;
  }

  /** Passes the next bytes on, until the kernel does not take all of a window at once. */
  #sendWindow(): void {
    for (;;) {
      if (this.#errno !== 0) return this.#finishSend(-this.#errno);
      if (this.#finAsked) return this.#finishSend(-ERRNO.EPIPE);
      if (this.#offer()) return;
      const window = this.#copyWindow();
      if (window === null) return this.#finishSend(this.#sent > 0 ? this.#sent : -ERRNO.EFAULT);
      this.#windowBytes = window.length;
      if (!this.#path.send(window, this.#onWritten)) return;
      this.#noteBytes(window.length);
      this.#returnWindow();
      if (this.#advance(window.length)) return;
    }
  }

  /** Offers the last range to the kernel. Returns whether the send is complete. */
  #offer(): boolean {
    if (this.#rangeAt !== this.#ranges.length - 1) return false;
    const { slab, offset, length } = this.#ranges[this.#rangeAt];
    const memory = this.#to.slabs.find(slab);
    if (memory === null || offset + length > memory.length) return false;
    const left = length - this.#rangeDone;
    const taken = this.#path.offer(memory, offset + this.#rangeDone, left);
    if (taken === 0) return false;
    this.#noteBytes(taken);
    this.#rangeDone += taken;
    if (taken === left) this.#rangeAt++;
    return this.#advance(taken);
  }

  /** Notes bytes that left. The clock is not read for each small send. */
  #noteBytes(bytes: number): void {
    this.#fewBytes += bytes;
    if (this.#fewBytes <= FEW_BYTES) return;
    this.#fewBytes = 0;
    this.sentAtMs = nowMs();
  }

  /** Returns the window's memory, which the runtime does not hold any more. */
  #returnWindow(): void {
    this.#windowBytes = 0;
    const window = this.#window;
    this.#window = null;
    if (window !== null) this.#to.windows.put(window);
  }

  /** Notes that a window of the send was taken. Returns whether the send is complete. */
  #advance(bytes: number): boolean {
    this.#sent += bytes;
    if (this.#rangeAt < this.#ranges.length) return false;
    this.#finishSend(this.#sent);
    return true;
  }

  #copyWindow(): Uint8Array | null {
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
      window.set(memory.subarray(from, from + part), done);
      done += part;
      this.#rangeDone += part;
      if (this.#rangeDone < range.length) continue;
      this.#rangeAt++;
      this.#rangeDone = 0;
    }
    return window.subarray(0, size);
  }

  readonly #onWritten = (): void => {
    const bytes = this.#windowBytes;
    this.#noteBytes(bytes);
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
