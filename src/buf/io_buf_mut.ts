/**
 * A writable buffer: one owner, fixed capacity. Write through `bytes`, then send or freeze it.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";
import { BufferHandle } from "./buffer_handle.ts";
import { IoBuf } from "./io_buf.ts";
import type { Slot } from "./slot.ts";

/** From `BufferPool.alloc`: `length` is what was asked for, `capacity` what there is. */
export class IoBufMut extends BufferHandle {
  static {
    brand(this, "IoBufMut");
  }

  /** Bytes that `length` can be set to. */
  get capacity(): number {
    return this.bytes.length - this.span + (this.heldSlot() as Slot).capacity;
  }

  /** Makes the buffer longer or shorter, up to its capacity. New bytes have undefined contents. */
  setLength(length: number): void {
    check.integer("length", length, 0, this.capacity);
    this.setRange(this.start, length);
  }

  /** Ends this handle and returns a read-only, shareable one over the same bytes. No copy. */
  freeze(): IoBuf {
    const slot = this.moveOut("frozen (freeze() returned what to use instead)");
    return new IoBuf(slot, this.start, this.span);
  }
}
