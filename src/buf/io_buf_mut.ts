/**
 * A writable buffer: one owner, fixed capacity. A program writes through `bytes`, then sends or
 * freezes the buffer.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";
import { BufferHandle, handleFields } from "./buffer_handle.ts";
import { type IoBuf, newIoBuf } from "./io_buf.ts";
import type { Slot } from "./slot.ts";

/**
 * A writable handle on the first `length` bytes of `slot`. Takes over one reference of it.
 * @internal
 */
export let newIoBufMut: (slot: Slot, length: number) => IoBufMut;

/**
 * A writable buffer from {@link BufferPool.alloc}. `length` is the length that the program asked
 * for, and `capacity` is the size of the memory behind it.
 *
 * @example
 * ```ts
 * import { BufferPool } from "@uringnet/uringnet";
 *
 * const pool = new BufferPool();
 * const buffer = pool.alloc(2);
 * buffer.bytes.set([0x6f, 0x6b]);
 * using frozen = buffer.freeze();
 * console.log(frozen.length, buffer.released); // 2 true
 * ```
 */
export class IoBufMut extends BufferHandle {
  static {
    brand(this, "IoBufMut");
    newIoBufMut = (slot, length) => new IoBufMut(slot as never, 0 as never, length as never);
  }

  /**
   * The largest length that `setLength` accepts.
   *
   * @returns A size in bytes, at least `length`.
   * @throws {TypeError} The buffer was released or moved.
   */
  get capacity(): number {
    return handleFields.held(this).capacity;
  }

  /**
   * Makes the buffer longer or shorter, up to its capacity. Bytes that are added have undefined
   * contents, as those of {@link BufferPool.alloc}.
   *
   * @param length The new length in bytes, 0 to `capacity`.
   * @throws {TypeError} The buffer was released or moved, or `length` is not a number.
   * @throws {RangeError} `length` is not an integer in range.
   */
  setLength(length: number): void {
    check.integer("length", length, 0, handleFields.held(this).capacity);
    handleFields.setRange(this, handleFields.start(this), length);
  }

  /**
   * Ends this handle and makes a read-only, shareable one over the same bytes. No bytes are copied.
   *
   * @returns The read-only handle.
   * @throws {TypeError} The buffer was released or moved.
   */
  freeze(): IoBuf {
    const slot = handleFields.moveOut(this, "frozen (use the buffer that freeze() returned)");
    return newIoBuf(slot, handleFields.start(this), handleFields.span(this));
  }
}
