/**
 * The memory of one buffer: a fixed place in a slab, or plain memory when the pool was exhausted.
 *
 * Invariants
 * - A slot is in its class's free list exactly when `references` is 0.
 * - Each holder (a handle, a queued piece, an operation in flight, a provided read buffer) has one
 *   reference. An operation keeps its reference until the final completion.
 * - The kernel never sees a plain slot (`slab` is {@link PLAIN_SLAB}).
 *
 * @module
 */
import { assert } from "../base/assert.ts";

/** The slab id of memory that the kernel cannot see. */
export const PLAIN_SLAB = 0xffff_ffff;

/**
 * The first id of slabs that the portable backend makes of the runtime's memory. Those of the shim
 * are numbered from 0, and are fewer.
 */
export const RUNTIME_SLAB_FIRST = 1 << 24;

/** Tracks the open handles on slots: see `LeakTracker`. A handle is any object here. */
export interface HandleTracker {
  add(handle: object): void;
  removeUnregistered(): void;
  unregister(handle: object): void;
}

/** The owner to which a slot returns when its last reference is released. */
export interface SlotHome {
  /** Tracks the handles on the slot. Null where handles are not tracked. */
  readonly tracker: HandleTracker | null;
  put(slot: Slot): void;
}

export class Slot {
  readonly slab: number;
  readonly offset: number;
  /** A view over the whole slot. Made once, because a view costs 15 to 100 ns. */
  readonly bytes: Uint8Array;
  readonly home: SlotHome | null;
  references = 0;

  constructor(slab: number, offset: number, bytes: Uint8Array, home: SlotHome | null) {
    this.slab = slab;
    this.offset = offset;
    this.bytes = bytes;
    this.home = home;
  }

  /** Plain memory with one reference. The runtime collects it after the last release. */
  static plain(bytes: Uint8Array, home: SlotHome | null = null): Slot {
    const slot = new Slot(PLAIN_SLAB, 0, bytes, home);
    slot.references = 1;
    return slot;
  }

  /** Plain memory over the same bytes. Takes over one reference of `slot`, until it is released. */
  static plainOver(slot: Slot): Slot {
    return Slot.plain(slot.bytes, { tracker: null, put: () => slot.release() });
  }

  get capacity(): number {
    return this.bytes.length;
  }

  /**
   * Whether the memory was transferred away through a view of it. The kernel still sees the slab,
   * which C has mapped. JavaScript can neither read nor write the memory any more.
   */
  get gone(): boolean {
    return this.bytes.length === 0;
  }

  get pooled(): boolean {
    return this.slab !== PLAIN_SLAB;
  }

  retain(): void {
    assert(this.references > 0, "a slot is retained only while it has a holder");
    this.references++;
  }

  release(): void {
    assert(this.references > 0, "a slot is released once for each reference");
    if (--this.references === 0) this.home?.put(this);
  }
}
