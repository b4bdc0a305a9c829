/**
 * A read-only buffer, shared by reference count: `slice` and `clone` copy no bytes.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";
import { BufferHandle, handleFields } from "./buffer_handle.ts";
import { Slot } from "./slot.ts";

const encoder = new TextEncoder();

/** Received bytes, or frozen ones. Release it, move it into `send`, or bind it with `using`. */
export class IoBuf extends BufferHandle {
  static {
    brand(this, "IoBuf");
  }

  /** Copies bytes or UTF-8 text into plain memory. */
  static from(source: Uint8Array | string): IoBuf {
    if (typeof source === "string") {
      const text = encoder.encode(source);
      return new IoBuf(Slot.plain(text), 0, text.length);
    }
    check.bytes("source", "a Uint8Array or a string", source);
    // Not slice(): that of a Buffer is a view, and that of a subclass is anything.
    const copy = new Uint8Array(source);
    return new IoBuf(Slot.plain(copy), 0, copy.length);
  }

  /** Another handle on the same bytes. */
  clone(): IoBuf {
    handleFields.held(this);
    return IoBuf.#share(this, 0, handleFields.span(this));
  }

  /** Another handle on bytes `start` to `end` (exclusive); both count from the beginning. */
  slice(start: number, end?: number): IoBuf {
    handleFields.held(this);
    const length = handleFields.span(this);
    const until = end === undefined ? length : end;
    check.integer("start", start, 0, length);
    check.integer("end", until, start, length);
    return IoBuf.#share(this, start, until - start);
  }

  /** Drops the first `count` bytes of this handle. */
  advance(count: number): void {
    handleFields.held(this);
    const length = handleFields.span(this);
    check.integer("count", count, 0, length);
    handleFields.setRange(this, handleFields.start(this) + count, length - count);
  }

  /** @internal Takes in the bytes right behind this buffer's; false when they are elsewhere. */
  absorb(other: IoBuf): boolean {
    if (other.heldSlot() !== this.heldSlot() || other.start !== this.start + this.span) {
      return false;
    }
    handleFields.setRange(this, this.start, this.span + other.span);
    other.release();
    return true;
  }

  static #share(buffer: IoBuf, from: number, length: number): IoBuf {
    const slot = handleFields.held(buffer);
    if (length === 0) return IoBuf.from(new Uint8Array(0));
    slot.retain();
    return new IoBuf(slot, handleFields.start(buffer) + from, length);
  }
}
