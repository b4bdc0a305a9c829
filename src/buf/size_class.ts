/**
 * The slots of one size: a fixed number, cut from slabs when they are first needed. The slot that
 * was released last is handed out first, because it is still in the processor's cache.
 *
 *   slab k: [slot][slot][slot]...     a slab holds SLAB_BYTES / size slots, at least one
 *
 * @module
 */
import type { SlabMemory, SlabSource } from "./slab.ts";
import { type HandleTracker, Slot, type SlotHome } from "./slot.ts";

/** The size of a slab: small enough to be cheap, and large enough that few are needed. */
const SLAB_BYTES = 1 << 20;

/** The byte that fills released memory in debug mode. A program that reads it uses a stale view. */
export const DEBUG_FILL = 0xdb;

/** Fills released memory with {@link DEBUG_FILL}. */
export function poison(slot: Slot): void {
  if (!slot.gone) slot.bytes.fill(DEBUG_FILL);
}

export class SizeClass implements SlotHome {
  readonly tracker: HandleTracker | null;
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
    tracker: HandleTracker | null,
  ) {
    this.tracker = tracker;
    this.sizeBytes = sizeBytes;
    this.countMax = countMax;
    this.#debug = debug;
    this.#source = source;
  }

  /** Slots that have a holder. */
  get allocated(): number {
    return this.created - this.#free.length;
  }

  /** Slots that can still be taken, whether they are cut yet or not. */
  get available(): number {
    return this.countMax - this.allocated;
  }

  /**
   * A slot with one reference. Null when all slots are in use, or when the system has no memory for
   * another one. The contents are undefined.
   */
  take(): Slot | null {
    let slot = this.#free.pop() ?? this.#cut();
    // Bun lets some interfaces transfer memory of the pool. A slot that lost its memory is dropped.
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
    if (this.#debug) poison(slot);
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

  /** A new slot. Null when the class is complete, or when no memory can be mapped now. */
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
