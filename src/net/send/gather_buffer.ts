/**
 * The buffer in which small sends of one sink are written one behind the other, so that the bytes
 * of many calls leave as one contiguous range.
 *
 *   [ sent | with the kernel | waiting | free ... ]
 *
 * Bytes behind the last written one are free even while the kernel has earlier ones. The buffer
 * holds one reference of its slot, and so does each piece in it.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";
import { type BufferPool, sizeClassFor, tryTakeSlot } from "../../buf/buffer_pool.ts";
import type { Slot } from "../../buf/slot.ts";

/**
 * Sizes of the first buffer of a busy period, and of the next ones while the queue does not become
 * empty.
 */
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
    // A larger buffer is only a wish. It is asked for only when the pool can serve it, so that
    // `exhausted` counts needed buffers alone.
    const roomy = (sizeClassFor(this.#pool, wanted)?.available ?? 0) > 0;
    this.#slot = tryTakeSlot(this.#pool, roomy ? wanted : length);
    return this.#slot;
  }

  /** The buffer that is being filled; null when there is none. */
  get slot(): Slot | null {
    return this.#slot;
  }

  /** The offset of the next bytes in the slot that `room` returned. */
  get end(): number {
    return this.#end;
  }

  /** Called when the bytes were written. Adds a reference for the piece that covers them. */
  commit(length: number): void {
    this.#end += length;
    this.#slot?.retain();
  }

  /** The same for bytes right behind those of a piece that covers them as well from now on. */
  extend(length: number): void {
    this.#end += length;
  }

  /** Called when the sink has become empty: the next busy period starts with a small buffer. */
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
