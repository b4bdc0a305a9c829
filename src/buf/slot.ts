/**
 * One buffer's memory: a fixed place in a slab, or plain memory when the pool had none left.
 *
 * Invariants
 * - A slot is in its class's free list exactly when `references` is 0.
 * - Each holder (a handle, a queued piece, an operation in flight, a provided read buffer) counts
 *   one reference. What the kernel may touch holds one until the final completion.
 * - Plain slots (`slab` is {@link PLAIN_SLAB}) are never shown to the kernel.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import type { LeakTracker } from "./leak_tracker.ts";

/** The slab id of memory that the kernel cannot see. */
export const PLAIN_SLAB = 0xffff_ffff;

/** Takes slots back, and watches the handles on them. */
export interface SlotHome {
  /** Null where handles are not watched. */
  readonly tracker: LeakTracker | null;
  put(slot: Slot): void;
}

export class Slot {
  readonly slab: number;
  readonly offset: number;
  /** The whole slot; made once, because a view costs 15 to 100 ns. */
  readonly bytes: Uint8Array;
  readonly home: SlotHome | null;
  references = 0;

  constructor(slab: number, offset: number, bytes: Uint8Array, home: SlotHome | null) {
    this.slab = slab;
    this.offset = offset;
    this.bytes = bytes;
    this.home = home;
  }

  /** Plain memory with one reference, which goes away with its last holder, past `home` if any. */
  static plain(bytes: Uint8Array, home: SlotHome | null = null): Slot {
    const slot = new Slot(PLAIN_SLAB, 0, bytes, home);
    slot.references = 1;
    return slot;
  }

  get capacity(): number {
    return this.bytes.length;
  }

  /**
   * Whether the memory was transferred away through a view of it. The kernel goes on seeing a slab,
   * which C has mapped; JavaScript can neither read nor write it.
   */
  get gone(): boolean {
    return this.bytes.length === 0;
  }

  get pooled(): boolean {
    return this.slab !== PLAIN_SLAB;
  }

  retain(): void {
    assert(this.references > 0, "a slot is retained while somebody holds it");
    this.references++;
  }

  release(): void {
    assert(this.references > 0, "a slot is released once for each reference");
    if (--this.references === 0) this.home?.put(this);
  }
}
