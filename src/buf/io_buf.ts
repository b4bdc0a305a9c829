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

/**
 * A handle on `length` bytes of `slot` from `start` on. Takes over one reference of the slot.
 * @internal
 */
export let newIoBuf: (slot: Slot, start: number, length: number) => IoBuf;

/**
 * Adds the bytes right behind the buffer's own to the buffer, and releases `next`. Returns false,
 * and changes nothing, when the bytes of `next` are elsewhere.
 * @internal
 */
export function absorb(buffer: IoBuf, next: IoBuf): boolean {
  const { slot, start, span } = handleFields;
  if (slot(next) !== slot(buffer) || start(next) !== start(buffer) + span(buffer)) return false;
  handleFields.setRange(buffer, start(buffer), span(buffer) + span(next));
  next.release();
  return true;
}

/**
 * Bytes that were received, or that were frozen. Read-only and shared by reference count. Release a
 * buffer, move it into `send`, or bind it with `using`.
 *
 * @example
 * ```ts
 * import { IoBuf } from "@uringnet/uringnet";
 *
 * using greeting = IoBuf.from("hello, world");
 * using name = greeting.slice(7);
 * console.log(name.length, name.bytes[0]); // 5 119
 * ```
 */
export class IoBuf extends BufferHandle {
  static {
    brand(this, "IoBuf");
    newIoBuf = (slot, start, length) => new IoBuf(slot as never, start as never, length as never);
  }

  /**
   * Copies bytes or text into plain memory, outside of any pool.
   *
   * @param source Bytes, or text that is encoded as UTF-8.
   * @returns A buffer over the copy.
   * @throws {TypeError} `source` is neither a `Uint8Array` nor a string.
   */
  static from(source: Uint8Array | string): IoBuf {
    if (typeof source === "string") {
      const text = encoder.encode(source);
      return newIoBuf(Slot.plain(text), 0, text.length);
    }
    check.bytes("source", "a Uint8Array or a string", source);
    // Not slice(): the slice of a Buffer is a view, and the slice of a subclass is anything.
    const copy = new Uint8Array(source);
    return newIoBuf(Slot.plain(copy), 0, copy.length);
  }

  /**
   * Makes another handle on the same bytes. Each handle is released on its own.
   *
   * @returns The new handle.
   * @throws {TypeError} The buffer was released or moved.
   */
  clone(): IoBuf {
    handleFields.held(this);
    return IoBuf.#share(this, 0, handleFields.span(this));
  }

  /**
   * Makes another handle on a range of the bytes. No bytes are copied.
   *
   * @param start The first byte, counted from the beginning.
   * @param end The byte behind the last one. Defaults to the length.
   * @returns The new handle.
   * @throws {TypeError} The buffer was released or moved, or an index is not a number.
   * @throws {RangeError} An index is not an integer within the buffer.
   */
  slice(start: number, end?: number): IoBuf {
    handleFields.held(this);
    const length = handleFields.span(this);
    const until = end === undefined ? length : end;
    check.integer("start", start, 0, length);
    check.integer("end", until, start, length);
    return IoBuf.#share(this, start, until - start);
  }

  /**
   * Drops the first bytes of this handle. Other handles on the memory keep their ranges.
   *
   * @param count The number of bytes, 0 to the length.
   * @throws {TypeError} The buffer was released or moved, or `count` is not a number.
   * @throws {RangeError} `count` is not an integer in range.
   */
  advance(count: number): void {
    handleFields.held(this);
    const length = handleFields.span(this);
    check.integer("count", count, 0, length);
    handleFields.setRange(this, handleFields.start(this) + count, length - count);
  }

  static #share(buffer: IoBuf, from: number, length: number): IoBuf {
    const slot = handleFields.held(buffer);
    if (length === 0) return IoBuf.from(new Uint8Array(0));
    slot.retain();
    return newIoBuf(slot, handleFields.start(buffer) + from, length);
  }
}
