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
import { IoBuf } from "./io_buf.ts";
import type { IoBufMut } from "./io_buf_mut.ts";
import { Slot } from "./slot.ts";

/** What can become part of an {@link IoBufs}. Buffers are moved in, arrays and text are copied. */
export type IoBufsPart = IoBuf | IoBufMut | IoBufs | Uint8Array | string;

/**
 * Ends an `IoBufs`; the chunks pass to the caller. Reads private fields: a subclass can make
 * `moveOut` return anything. Assigned by the class.
 */
export let moveChunksOut: (bufs: IoBufs) => IoBuf[];

/** The chunks of all that have none. Not to be changed. */
const NONE: IoBuf[] = [];

/** The result of `recv`, and a way to send several buffers as one message. */
export class IoBufs implements Disposable {
  static {
    brand(this, "IoBufs");
  }

  #chunks: IoBuf[] = NONE;
  #length = 0;
  #released = false;

  static {
    moveChunksOut = (bufs) => IoBufs.#moveOut(bufs);
  }

  constructor(...parts: IoBufsPart[]) {
    for (const part of parts) this.append(part);
  }

  /** @internal One buffer that nobody else holds: the common result of `recv`. */
  static single(chunk: IoBuf): IoBufs {
    const bufs = new IoBufs();
    IoBufs.#push(bufs, chunk);
    return bufs;
  }

  get length(): number {
    IoBufs.#held(this);
    return this.#length;
  }

  get chunkCount(): number {
    IoBufs.#held(this);
    return this.#chunks.length;
  }

  /** True once released or moved. */
  get released(): boolean {
    return this.#released;
  }

  /** Live views over the chunks, in order; valid until release. */
  get chunks(): Uint8Array[] {
    IoBufs.#held(this);
    return this.#chunks.map((chunk) => chunk.bytes);
  }

  append(part: IoBufsPart): this {
    IoBufs.#held(this);
    if (part instanceof IoBufs) IoBufs.#appendAll(this, part);
    else IoBufs.#push(this, IoBufs.#chunkOf(part));
    return this;
  }

  /** @internal Appends a buffer that nobody else holds; neighbours in memory become one chunk. */
  extend(chunk: IoBuf): void {
    const { span } = chunk;
    if (this.#chunks.at(-1)?.absorb(chunk)) this.#length += span;
    else IoBufs.#push(this, chunk);
  }

  prepend(part: IoBufsPart): this {
    IoBufs.#held(this);
    if (part === this) IoBufs.#refuseItself();
    const front = new IoBufs(part);
    this.#length += front.#length;
    this.#chunks = [...IoBufs.#moveOut(front), ...this.#chunks];
    return this;
  }

  /** Drops the first `count` bytes and releases the chunks that they filled. */
  advance(count: number): void {
    IoBufs.#held(this);
    check.integer("count", count, 0, this.#length);
    let rest = count;
    let whole = 0;
    while (rest > 0 && rest >= this.#chunks[whole].span) rest -= this.#chunks[whole++].span;
    for (let i = 0; i < whole; i++) this.#chunks[i].release();
    if (whole > 0) this.#chunks = this.#chunks.slice(whole);
    if (rest > 0) this.#chunks[0].advance(rest);
    this.#length -= count;
  }

  /** Bytes `start` to `end` (exclusive) as another byte string that shares the memory. */
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
      const last = Math.min(until - at, chunk.span);
      if (first < last) result.append(chunk.slice(first, last));
      at += chunk.span;
    }
    return result;
  }

  /** Cuts off the first `at` bytes and returns them; the rest stays here. */
  split(at: number): IoBufs {
    IoBufs.#held(this);
    check.integer("at", at, 0, this.#length);
    const front = this.slice(0, at);
    this.advance(at);
    return front;
  }

  /** Moves everything into one buffer: the only chunk as it is, several by copy. */
  coalesce(): IoBuf {
    IoBufs.#held(this);
    const chunks = this.#chunks;
    if (chunks.length === 1) {
      IoBufs.#end(this);
      return chunks[0];
    }
    const bytes = this.toUint8Array();
    return new IoBuf(Slot.plain(bytes), 0, bytes.length);
  }

  /** Copies the bytes to plain memory, then releases. */
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
      at += chunk.span;
    }
    this.release();
    return result;
  }

  /**
   * Decodes the bytes as UTF-8, then releases. Malformed input becomes U+FFFD. A byte order mark
   * stays, as U+FEFF: a buffer is a slice of a stream, not the beginning of a document.
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

  /** Gives all memory back. Does nothing when that has happened, or when this was moved. */
  release(): void {
    if (this.#released) return;
    const chunks = this.#chunks;
    IoBufs.#end(this);
    for (const chunk of chunks) chunk.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal Ends this; the chunks pass to the caller. */
  moveOut(): IoBuf[] {
    return IoBufs.#moveOut(this);
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

  /** Adds at the end; bytes that nobody else holds. */
  static #push(bufs: IoBufs, chunk: IoBuf): void {
    if (chunk.span === 0) {
      chunk.release();
      return;
    }
    const chunks = bufs.#chunks;
    bufs.#length += chunk.span;
    // Two are common, and the first push makes room for more than a dozen.
    if (chunks.length === 0) bufs.#chunks = [chunk];
    else if (chunks.length === 1) bufs.#chunks = [chunks[0], chunk];
    else chunks.push(chunk);
  }

  static #chunkOf(part: Exclude<IoBufsPart, IoBufs>): IoBuf {
    if (part instanceof BufferHandle) {
      return new IoBuf(
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
