/**
 * The read buffers that the kernel may choose from when data arrives, so that an idle connection
 * holds none.
 *
 *   pool or reserve --provide--> kernel --completion names the buffer--> take() --> the stream
 *                                                        giveBack() <-- when it copied the bytes
 *                                                        out
 *
 * Invariants
 * - A provided slot holds one reference, which passes to the receive that takes it.
 * - The kernel has no more buffers than receives that could use one, and no more than fit into the
 *   processor's cache with the bytes that they bring. Receives that find none wait for one.
 *   Multishot receives share one more: before Linux 6.5 each looks for its next buffer before it
 *   looks for bytes, and ends when there is none.
 * - When the pool runs low, buffers of a small reserve circulate instead; their bytes are always
 *   copied out, so they come back at once and reading never stops. One of them is there from the
 *   beginning, whatever memory the system has later.
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
  /** Where buffers come from that the user may keep; null when reads are larger than any. */
  shared: SizeClass | null;
  source: SlabSource;
  sizeBytes: number;
  /** Buffers that the kernel's group has room for. */
  countMax: number;
  /** Buffers beyond one for each receive. */
  extraCount: number;
  /** Buffers that circulate when there is no shared one. 0: receives find none then. */
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
  /** Bytes that a buffer brings, on average. */
  #averageBytes = 0;
  /** Receives that are with the kernel, or will be in the next turn, and choose from here. */
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

  /** Without a single buffer, receives would wait for ever. */
  static #refuse(sizeBytes: number): never {
    throw new NetworkError(
      `Cannot start the network: no memory could be mapped for a read buffer of ${sizeBytes} bytes`,
      { code: "Unsupported", operation: "start", errno: ERRNO.ENOMEM },
    );
  }

  /** Buffers with the kernel. */
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

  /** The size of the kernel's group, or fewer, when what they bring would not fit the cache. */
  get #limit(): number {
    const fitting = Math.floor(LIMITS.providedBytes / Math.max(this.#averageBytes, 1));
    return Math.min(this.#countMax, Math.max(fitting, LIMITS.providedCountMin));
  }

  /** Whether a buffer is with the kernel, as far as completions have been looked at. */
  holds(id: number): boolean {
    return (this.#slots[id] ?? null) !== null;
  }

  /** The buffer that a completion named, with `length` bytes. */
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

  /** A taken buffer whose bytes were copied out: it circulates again. */
  giveBack(slot: Slot): void {
    if (slot.references === 1 && this.#spare.length < this.#countMax) this.#spare.push(slot);
    else slot.release();
  }

  /** Whether the slot is of a class that this group takes from. */
  serves(slot: Slot): boolean {
    return slot.home === this.#shared || slot.home === this.#reserve;
  }

  /** Whether a taken buffer may go to the user: it is not the reserve's. */
  mayLend(slot: Slot): boolean {
    return slot.home !== this.#reserve;
  }

  /** Gives everything back; only after the ring is closed. */
  release(): void {
    for (const slot of this.#slots) slot?.release();
    for (const slot of this.#spare) slot.release();
    this.#slots.length = this.#spare.length = 0;
    this.#provided = 0;
  }

  #fresh(): Slot | null {
    const shared = this.#shared;
    // A quarter of the class stays for everybody else.
    const ample = shared !== null && shared.available * 4 > shared.countMax;
    const slot = ample ? shared.take() : null;
    return slot ?? (this.#reserve.available > 0 ? this.#reserve.take() : null);
  }
}
