/**
 * Several buffers as one byte string. No bytes are copied until `coalesce`, `toUint8Array` or
 * `text`.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";
import { utf8Decoder } from "../base/utf8.ts";
import { BufferHandle, handleFields } from "./buffer_handle.ts";
import { absorb, IoBuf, newIoBuf } from "./io_buf.ts";
import type { IoBufMut } from "./io_buf_mut.ts";
import { Slot } from "./slot.ts";

/**
 * The values that can become part of an {@link IoBufs}. Buffers are moved in. Arrays and text are
 * copied.
 *
 * @example
 * ```ts
 * import { IoBufs, type IoBufsPart } from "@uringnet/uringnet";
 *
 * const parts: IoBufsPart[] = ["GET ", new Uint8Array([0x2f])];
 * console.log(new IoBufs(...parts).text()); // GET /
 * ```
 */
export type IoBufsPart = IoBuf | IoBufMut | IoBufs | Uint8Array | string;

/**
 * Ends an `IoBufs`. The chunks pass to the caller. Reads private fields only.
 * @internal
 */
export let moveChunksOut: (bufs: IoBufs) => IoBuf[];

/**
 * An `IoBufs` of one chunk that has no other owner: the common result of `recv`.
 * @internal
 */
export let ofChunk: (chunk: IoBuf) => IoBufs;

/**
 * Appends a chunk that has no other owner. Neighbours in memory become one chunk.
 * @internal
 */
export let appendChunk: (bufs: IoBufs, chunk: IoBuf) => void;

/** The chunk list of every empty `IoBufs`. Never modified. */
const NONE: IoBuf[] = [];

/**
 * Several buffers as one byte string: the result of `recv`, and a way to send several buffers as
 * one message.
 *
 * @example
 * ```ts
 * import { IoBuf, IoBufs } from "@uringnet/uringnet";
 *
 * const message = new IoBufs(IoBuf.from("head"), "body");
 * using head = message.split(4);
 * console.log(head.length, message.chunkCount); // 4 1
 * console.log(message.text()); // body
 * ```
 */
export class IoBufs implements Disposable {
  static {
    brand(this, "IoBufs");
    moveChunksOut = (bufs) => IoBufs.#moveOut(bufs);
    ofChunk = (chunk) => {
      const bufs = new IoBufs();
      IoBufs.#push(bufs, chunk);
      return bufs;
    };
    appendChunk = (bufs, chunk) => {
      const span = handleFields.span(chunk);
      const last = bufs.#chunks.at(-1);
      if (last !== undefined && absorb(last, chunk)) bufs.#length += span;
      else IoBufs.#push(bufs, chunk);
    };
  }

  #chunks: IoBuf[] = NONE;
  #length = 0;
  #released = false;

  /**
   * Joins parts to one byte string.
   *
   * @param parts Buffers are moved in. Arrays and text are copied.
   * @throws {TypeError} A part has another type, or is a buffer that was released or moved. The
   * buffers before that part were moved in, and are released.
   */
  constructor(...parts: IoBufsPart[]) {
    if (parts.length > 0) IoBufs.#join(this, parts);
  }

  /**
   * The number of bytes in all chunks.
   *
   * @returns A length in bytes.
   * @throws {TypeError} The buffers were released or moved.
   */
  get length(): number {
    IoBufs.#held(this);
    return this.#length;
  }

  /**
   * The number of chunks.
   *
   * @returns A count. Empty parts do not become chunks.
   * @throws {TypeError} The buffers were released or moved.
   */
  get chunkCount(): number {
    IoBufs.#held(this);
    return this.#chunks.length;
  }

  /** True once the buffers were released or moved. */
  get released(): boolean {
    return this.#released;
  }

  /**
   * Live views over the chunks, in order. The views are valid until release.
   *
   * @returns A new array of views.
   * @throws {TypeError} The buffers were released or moved.
   */
  get chunks(): Uint8Array[] {
    IoBufs.#held(this);
    return this.#chunks.map((chunk) => chunk.bytes);
  }

  /**
   * Adds a part at the end.
   *
   * @param part A buffer is moved in. An array or text is copied.
   * @returns This object.
   * @throws {TypeError} The part has another type, is this object, or was released or moved.
   */
  append(part: IoBufsPart): this {
    IoBufs.#held(this);
    if (part instanceof IoBufs) IoBufs.#appendAll(this, part);
    else IoBufs.#push(this, IoBufs.#chunkOf(part));
    return this;
  }

  /**
   * Adds a part at the front.
   *
   * @param part A buffer is moved in. An array or text is copied.
   * @returns This object.
   * @throws {TypeError} The part has another type, is this object, or was released or moved.
   */
  prepend(part: IoBufsPart): this {
    IoBufs.#held(this);
    if (part === this) IoBufs.#refuseItself();
    const front = new IoBufs(part);
    this.#length += front.#length;
    this.#chunks = [...IoBufs.#moveOut(front), ...this.#chunks];
    return this;
  }

  /**
   * Drops the first bytes and releases the chunks that they filled.
   *
   * @param count The number of bytes, 0 to the length.
   * @throws {TypeError} The buffers were released or moved, or `count` is not a number.
   * @throws {RangeError} `count` is not an integer in range.
   */
  advance(count: number): void {
    IoBufs.#held(this);
    check.integer("count", count, 0, this.#length);
    let remaining = count;
    let whole = 0;
    while (remaining > 0 && remaining >= handleFields.span(this.#chunks[whole])) {
      remaining -= handleFields.span(this.#chunks[whole++]);
    }
    for (let i = 0; i < whole; i++) this.#chunks[i].release();
    if (whole > 0) this.#chunks = this.#chunks.slice(whole);
    if (remaining > 0) this.#chunks[0].advance(remaining);
    this.#length -= count;
  }

  /**
   * Makes another byte string that shares a range of the memory. No bytes are copied.
   *
   * @param start The first byte. Defaults to 0.
   * @param end The byte behind the last one. Defaults to the length.
   * @returns The new byte string.
   * @throws {TypeError} The buffers were released or moved, or an index is not a number.
   * @throws {RangeError} An index is not an integer within the byte string.
   */
  slice(start?: number, end?: number): IoBufs {
    IoBufs.#held(this);
    const from = start === undefined ? 0 : start;
    const until = end === undefined ? this.#length : end;
    check.integer("start", from, 0, this.#length);
    check.integer("end", until, from, this.#length);
    const result = new IoBufs();
    let at = 0;
    for (const chunk of this.#chunks) {
      const first = Math.max(from - at, 0);
      const span = handleFields.span(chunk);
      const last = Math.min(until - at, span);
      if (first < last) result.append(chunk.slice(first, last));
      at += span;
    }
    return result;
  }

  /**
   * Cuts off the first bytes. The others stay in this object.
   *
   * @param at The number of bytes to cut off, 0 to the length.
   * @returns The first `at` bytes.
   * @throws {TypeError} The buffers were released or moved, or `at` is not a number.
   * @throws {RangeError} `at` is not an integer in range.
   */
  split(at: number): IoBufs {
    IoBufs.#held(this);
    check.integer("at", at, 0, this.#length);
    const front = this.slice(0, at);
    this.advance(at);
    return front;
  }

  /**
   * Moves everything into one buffer. A single chunk is moved as it is. Several are copied.
   *
   * @returns One buffer over all bytes.
   * @throws {TypeError} The buffers were released or moved.
   */
  coalesce(): IoBuf {
    IoBufs.#held(this);
    const chunks = this.#chunks;
    if (chunks.length === 1) {
      IoBufs.#end(this);
      return chunks[0];
    }
    const bytes = this.toUint8Array();
    return newIoBuf(Slot.plain(bytes), 0, bytes.length);
  }

  /**
   * Copies the bytes to plain memory, then releases the buffers.
   *
   * @returns The copy.
   * @throws {TypeError} The buffers were released or moved.
   */
  toUint8Array(): Uint8Array<ArrayBuffer> {
    IoBufs.#held(this);
    if (this.#chunks.length === 1) {
      const only = this.#chunks[0];
      IoBufs.#end(this);
      return only.toUint8Array();
    }
    const result = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      result.set(chunk.bytes, at);
      at += handleFields.span(chunk);
    }
    this.release();
    return result;
  }

  /**
   * Decodes the bytes as UTF-8, then releases the buffers. Malformed input becomes U+FFFD. A byte
   * order mark stays, as U+FEFF: a buffer is a slice of a stream, not the beginning of a document.
   *
   * @returns The text.
   * @throws {TypeError} The buffers were released or moved.
   */
  text(): string {
    IoBufs.#held(this);
    const decoder = utf8Decoder();
    let text = "";
    for (const chunk of this.#chunks) text += decoder.decode(chunk.bytes, { stream: true });
    text += decoder.decode();
    this.release();
    return text;
  }

  /** Gives all memory back. Does nothing when the buffers were released or moved before. */
  release(): void {
    if (this.#released) return;
    const chunks = this.#chunks;
    IoBufs.#end(this);
    for (const chunk of chunks) chunk.release();
  }

  /** Releases the buffers, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  static #join(bufs: IoBufs, parts: readonly IoBufsPart[]): void {
    try {
      for (const part of parts) bufs.append(part);
    } catch (error) {
      // The parts before have no other owner.
      bufs.release();
      throw error;
    }
  }

  static #moveOut(bufs: IoBufs): IoBuf[] {
    IoBufs.#held(bufs);
    const chunks = bufs.#chunks;
    IoBufs.#end(bufs);
    return chunks;
  }

  static #end(bufs: IoBufs): void {
    bufs.#released = true;
    bufs.#chunks = NONE;
    bufs.#length = 0;
  }

  static #held(bufs: IoBufs): void {
    if (bufs.#released) throw new TypeError("Cannot use buffers that were released or moved");
  }

  static #appendAll(bufs: IoBufs, part: IoBufs): void {
    if (part === bufs) IoBufs.#refuseItself();
    const length = part.#length;
    const chunks = IoBufs.#moveOut(part);
    if (bufs.#chunks.length === 0) {
      bufs.#chunks = chunks;
      bufs.#length = length;
    } else {
      for (const chunk of chunks) IoBufs.#push(bufs, chunk);
    }
  }

  /** Adds a chunk that has no other owner at the end. */
  static #push(bufs: IoBufs, chunk: IoBuf): void {
    const span = handleFields.span(chunk);
    if (span === 0) {
      chunk.release();
      return;
    }
    const chunks = bufs.#chunks;
    bufs.#length += span;
    // Two chunks are common, and the first push() of an array makes room for more than a dozen.
    if (chunks.length === 0) bufs.#chunks = [chunk];
    else if (chunks.length === 1) bufs.#chunks = [chunks[0], chunk];
    else chunks.push(chunk);
  }

  static #chunkOf(part: Exclude<IoBufsPart, IoBufs>): IoBuf {
    if (part instanceof BufferHandle) {
      return newIoBuf(
        handleFields.moveOut(part),
        handleFields.start(part),
        handleFields.span(part),
      );
    }
    if (typeof part === "string" || part instanceof Uint8Array) return IoBuf.from(part);
    return check.fail("part", "an IoBuf, IoBufMut, IoBufs, Uint8Array or string", part);
  }

  static #refuseItself(): never {
    throw new TypeError("Cannot add buffers to themselves");
  }
}
