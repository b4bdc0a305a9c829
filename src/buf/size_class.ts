/**
 * The slots of one size: a fixed number, cut from slabs as they are first needed, handed out last
 * in first out so that the next user finds them in the processor's cache.
 *
 *   slab k: [slot][slot][slot]...     a slab holds SLAB_BYTES / size slots, at least one
 *
 * @module
 */
import type { LeakTracker } from "./leak_tracker.ts";
import type { SlabMemory, SlabSource } from "./slab.ts";
import { Slot, type SlotHome } from "./slot.ts";

/** Slabs grow in steps of this size: small enough to be cheap, large enough to be few. */
const SLAB_BYTES = 1 << 20;

/** What released memory is filled with in debug mode: reading it is a use after release. */
export const DEBUG_FILL = 0xdb;

/** What debug mode does to released memory. */
export function spoil(slot: Slot): void {
  if (!slot.gone) slot.bytes.fill(DEBUG_FILL);
}

export class SizeClass implements SlotHome {
  readonly tracker: LeakTracker | null;
  readonly sizeBytes: number;
  readonly countMax: number;
  readonly #source: SlabSource;
  readonly #debug: boolean;
  readonly #free: Slot[] = [];
  #slab: SlabMemory | null = null;
  #slabCut = 0;
  created = 0;
  allocations = 0;
  exhausted = 0;

  constructor(
    sizeBytes: number,
    countMax: number,
    debug: boolean,
    source: SlabSource,
    tracker: LeakTracker | null,
  ) {
    this.tracker = tracker;
    this.sizeBytes = sizeBytes;
    this.countMax = countMax;
    this.#debug = debug;
    this.#source = source;
  }

  /** Slots in somebody's hands. */
  get allocated(): number {
    return this.created - this.#free.length;
  }

  /** Slots that can still be taken, cut or not. */
  get available(): number {
    return this.countMax - this.allocated;
  }

  /**
   * A slot with one reference, or null when all are in use, or there is no memory for another.
   * Contents are undefined.
   */
  take(): Slot | null {
    let slot = this.#free.pop() ?? this.#cut();
    // Bun does not refuse everywhere that the memory of the pool is transferred.
    while (slot !== null && slot.gone) {
      this.created--;
      slot = this.#free.pop() ?? this.#cut();
    }
    if (slot === null) {
      this.exhausted++;
      return null;
    }
    slot.references = 1;
    this.allocations++;
    return slot;
  }

  put(slot: Slot): void {
    if (this.#debug) spoil(slot);
    this.#free.push(slot);
  }

  /** Creates slots until there are `count`. False when the system has no memory for them. */
  prefill(count = this.countMax): boolean {
    while (this.created < count) {
      const slot = this.#cut();
      if (slot === null) return false;
      this.#free.push(slot);
    }
    return true;
  }

  /** A new slot: null when there are enough, or when no memory can be mapped (yet). */
  #cut(): Slot | null {
    if (this.created === this.countMax) return null;
    if (this.#slab === null || this.#slabCut + this.sizeBytes > this.#slab.bytes.length) {
      const wanted = Math.min(SLAB_BYTES, (this.countMax - this.created) * this.sizeBytes);
      const slab = this.#source.mapSlab(Math.max(wanted, this.sizeBytes));
      if (slab === null) return null;
      this.#slab = slab;
      this.#slabCut = 0;
    }
    const offset = this.#slabCut;
    this.#slabCut += this.sizeBytes;
    this.created++;
    const bytes = this.#slab.bytes.subarray(offset, offset + this.sizeBytes);
    return new Slot(this.#slab.id, offset, bytes, this);
  }
}
