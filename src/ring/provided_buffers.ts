/**
 * The read buffers from which the kernel chooses when data arrives, so that an idle connection
 * holds none.
 *
 *   pool or reserve --provide--> kernel --completion names the buffer--> take() --> the stream
 *                                                        giveBack() <-- when it copied the bytes
 *                                                        out
 *
 * Invariants
 * - A provided slot holds one reference, which passes to the receive that takes it.
 * - The kernel has no more buffers than there are receives that could use one, and no more than
 *   bring as many bytes as fit into the processor's cache. Receives that find no buffer wait for
 *   one. Multishot receives share one more buffer: before Linux 6.5 each of them picks its next
 *   buffer before it looks for bytes, and ends when there is none.
 * - When the pool runs low, buffers of a small reserve circulate instead. Their bytes are always
 *   copied out, so they return at once and receiving never stops. One of them is allocated at the
 *   start, in case the system has no memory later.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { ERRNO } from "../base/errno.ts";
import { LIMITS } from "../base/limits.ts";
import { NetworkError } from "../base/network_error.ts";
import { SizeClass } from "../buf/size_class.ts";
import type { SlabSource } from "../buf/slab.ts";
import type { Slot } from "../buf/slot.ts";
import type { OpWriter } from "./op_writer.ts";

export interface ProvidedBuffersOptions {
  /** The kernel's number for the group. */
  group: number;
  /** The class of buffers that the user may keep; null when reads are larger than any class. */
  shared: SizeClass | null;
  source: SlabSource;
  sizeBytes: number;
  /** The number of buffers for which the kernel's group has room. */
  countMax: number;
  /** Buffers beyond one for each receive. */
  extraCount: number;
  /** Buffers that circulate when there is no shared buffer. With 0, receives find none then. */
  reserveCount: number;
}

/** Receives over which their length is averaged. */
const AVERAGE_COUNT = 32;

export class ProvidedBuffers {
  readonly #shared: SizeClass | null;
  readonly #reserve: SizeClass;
  readonly group: number;
  readonly sizeBytes: number;
  readonly #countMax: number;
  readonly #extraCount: number;
  readonly #slots: (Slot | null)[] = [];
  readonly #free: number[] = [];
  readonly #spare: Slot[] = [];
  #provided = 0;
  /** The average number of bytes in a returned buffer. */
  #averageBytes = 0;
  /** Receives in flight, or in the next turn, that choose from this group. */
  wanted = 0;
  /** Buffers that completions have named so far. */
  takenCount = 0;

  constructor(options: ProvidedBuffersOptions) {
    const { group, shared, source, sizeBytes, countMax, extraCount, reserveCount } = options;
    this.group = group;
    this.#shared = shared;
    this.sizeBytes = sizeBytes;
    this.#countMax = countMax;
    this.#extraCount = extraCount;
    this.#reserve = new SizeClass(sizeBytes, reserveCount, false, source, null);
    for (let id = countMax - 1; id >= 0; id--) this.#free.push(id);
    if (reserveCount > 0 && !this.#reserve.prefill(1)) ProvidedBuffers.#refuse(sizeBytes);
  }

  /** Throws, because without a single buffer receives would wait for ever. */
  static #refuse(sizeBytes: number): never {
    throw new NetworkError(
      `Cannot start the network: no memory could be mapped for a read buffer of ${sizeBytes} bytes`,
      { code: "Unsupported", operation: "start", errno: ERRNO.ENOMEM },
    );
  }

  /** The number of buffers that the kernel has. */
  get provided(): number {
    return this.#provided;
  }

  /** Writes as many provide records as are useful and fit. */
  stage(writer: OpWriter): void {
    const useful = this.wanted === 0 ? 0 : this.wanted + this.#extraCount;
    const target = Math.min(useful, this.#limit);
    while (this.#provided < target && !writer.full) {
      const slot = this.#spare.pop() ?? this.#fresh();
      if (slot === null) return;
      const id = this.#free.pop() as number;
      this.#slots[id] = slot;
      this.#provided++;
      writer.provide(this.group, id, slot.slab, slot.offset, this.sizeBytes);
    }
  }

  /** The size of the kernel's group, or less when their bytes would not fit into the cache. */
  get #limit(): number {
    const fitting = Math.floor(LIMITS.providedBytes / Math.max(this.#averageBytes, 1));
    return Math.min(this.#countMax, Math.max(fitting, LIMITS.providedCountMin));
  }

  /** Whether the kernel has a buffer, according to the completions that were handled so far. */
  holds(id: number): boolean {
    return (this.#slots[id] ?? null) !== null;
  }

  /** Takes the buffer that a completion names, with `length` bytes. */
  take(id: number, length: number): Slot {
    const slot = this.#slots[id];
    assert(slot !== null && slot !== undefined, "the kernel names a provided buffer");
    this.#slots[id] = null;
    this.#free.push(id);
    this.#provided--;
    this.takenCount++;
    this.#averageBytes += (length - this.#averageBytes) / AVERAGE_COUNT;
    return slot;
  }

  /** Lets a taken buffer circulate again, because its bytes were copied out. */
  giveBack(slot: Slot): void {
    if (slot.references === 1 && this.#spare.length < this.#countMax) this.#spare.push(slot);
    else slot.release();
  }

  /** Whether the slot is of a class that this group takes from. */
  serves(slot: Slot): boolean {
    return slot.home === this.#shared || slot.home === this.#reserve;
  }

  /** Whether a taken buffer may go to the user, because it is not part of the reserve. */
  mayLend(slot: Slot): boolean {
    return slot.home !== this.#reserve;
  }

  /** Releases all buffers. Only after the ring is closed. */
  release(): void {
    for (const slot of this.#slots) slot?.release();
    for (const slot of this.#spare) slot.release();
    this.#slots.length = this.#spare.length = 0;
    this.#provided = 0;
  }

  #fresh(): Slot | null {
    const shared = this.#shared;
    // A quarter of the class stays for other users.
    const ample = shared !== null && shared.available * 4 > shared.countMax;
    const slot = ample ? shared.take() : null;
    return slot ?? (this.#reserve.available > 0 ? this.#reserve.take() : null);
  }
}
