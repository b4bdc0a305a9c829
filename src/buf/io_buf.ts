/**
 * A read-only buffer, shared by reference count: `slice` and `clone` copy no bytes.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";
import { BufferHandle } from "./buffer_handle.ts";
import { Slot } from "./slot.ts";

const encoder = new TextEncoder();

/** Received bytes, or frozen ones. Release it, move it into `send`, or bind it with `using`. */
export class IoBuf extends BufferHandle {
  static {
    brand(this, "IoBuf");
  }

  /** Copies bytes or UTF-8 text into plain memory. */
  static from(source: Uint8Array | string): IoBuf {
    const bytes = typeof source === "string" ? encoder.encode(source) : source;
    if (!(bytes instanceof Uint8Array)) check.fail("source", "a Uint8Array or a string", source);
    // Not slice(): that of a Buffer is a view.
    const copy = source === bytes ? new Uint8Array(bytes) : bytes;
    return new IoBuf(Slot.plain(copy), 0, copy.length);
  }

  /** Another handle on the same bytes. */
  clone(): IoBuf {
    return IoBuf.#share(this, 0, this.length);
  }

  /** Another handle on bytes `start` to `end` (exclusive); both count from the beginning. */
  slice(start: number, end: number = this.length): IoBuf {
    const length = this.length;
    check.integer("start", start, 0, length);
    check.integer("end", end, start, length);
    return IoBuf.#share(this, start, end - start);
  }

  /** Drops the first `count` bytes of this handle. */
  advance(count: number): void {
    check.integer("count", count, 0, this.length);
    this.setRange(this.start + count, this.length - count);
  }

  /** @internal Takes in the bytes right behind this buffer's; false when they are elsewhere. */
  absorb(other: IoBuf): boolean {
    if (other.heldSlot() !== this.heldSlot() || other.start !== this.start + this.span) {
      return false;
    }
    this.setRange(this.start, this.span + other.span);
    other.release();
    return true;
  }

  static #share(buffer: IoBuf, from: number, length: number): IoBuf {
    const slot = buffer.heldSlot() as Slot;
    if (length === 0) return IoBuf.from(new Uint8Array(0));
    slot.retain();
    return new IoBuf(slot, buffer.start + from, length);
  }
}
