/**
 * Where small sends of one sink are written behind each other, so that what was given in many calls
 * leaves as one contiguous range.
 *
 *   [ sent | with the kernel | waiting | free ... ]
 *
 * Bytes behind the last written one are free even while earlier ones are with the kernel. The
 * buffer holds one reference of its slot, each piece in it another.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";
import { type BufferPool, sizeClassFor, tryTakeSlot } from "../../buf/buffer_pool.ts";
import type { Slot } from "../../buf/slot.ts";

/** The first buffer of a busy period, and those that follow while the queue does not run empty. */
const FIRST_BYTES = LIMITS.gatherCopyBytes;
const NEXT_BYTES = 16_384;

export class GatherBuffer {
  readonly #pool: BufferPool;
  #slot: Slot | null = null;
  #end = 0;
  #grown = false;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** The slot in which the next `length` bytes find room, or null when the pool has none. */
  room(length: number): Slot | null {
    if (this.#slot !== null && this.#slot.capacity - this.#end >= length) return this.#slot;
    this.#grown = this.#slot !== null || this.#grown;
    this.close();
    const wanted = Math.max(length, this.#grown ? NEXT_BYTES : FIRST_BYTES);
    // Only what was really asked for counts as a request that the pool could not serve.
    const roomy = (sizeClassFor(this.#pool, wanted)?.available ?? 0) > 0;
    this.#slot = tryTakeSlot(this.#pool, roomy ? wanted : length);
    return this.#slot;
  }

  /** The buffer that is being filled. */
  get slot(): Slot | null {
    return this.#slot;
  }

  /** Where the next bytes go, in the slot that `room` returned. */
  get end(): number {
    return this.#end;
  }

  /** The bytes were written: a reference for the piece that covers them. */
  commit(length: number): void {
    this.#end += length;
    this.#slot?.retain();
  }

  /** The sink ran empty: the next busy period starts small. */
  becomeIdle(): void {
    this.#grown = false;
    this.close();
  }

  close(): void {
    this.#slot?.release();
    this.#slot = null;
    this.#end = 0;
  }
}
