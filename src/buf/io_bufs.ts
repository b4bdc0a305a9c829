/**
 * Several buffers as one byte string. No bytes are copied until `coalesce`, `toUint8Array` or
 * `text`.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { IoBuf } from "./io_buf.ts";
import { IoBufMut } from "./io_buf_mut.ts";
import { Slot } from "./slot.ts";

/** What can become part of an {@link IoBufs}. Buffers are moved in, arrays and text are copied. */
export type IoBufsPart = IoBuf | IoBufMut | IoBufs | Uint8Array | string;

/** Of all that were released or moved: those take in nothing any more. */
const NONE: IoBuf[] = [];

/** The result of `recv`, and a way to send several buffers as one message. */
export class IoBufs implements Disposable {
  #chunks: IoBuf[];
  #length = 0;
  #released = false;

  constructor(...parts: IoBufsPart[]) {
    this.#chunks = [];
    for (const part of parts) this.append(part);
  }

  /** @internal One buffer that nobody else holds: the common result of `recv`. */
  static single(chunk: IoBuf): IoBufs {
    const bufs = new IoBufs();
    // Not a push: the first one makes room for more than a dozen.
    bufs.#chunks = [chunk];
    bufs.#length = chunk.span;
    return bufs;
  }

  get length(): number {
    this.#held();
    return this.#length;
  }

  get chunkCount(): number {
    this.#held();
    return this.#chunks.length;
  }

  /** True once released or moved. */
  get released(): boolean {
    return this.#released;
  }

  /** Live views over the chunks, in order; valid until release. */
  get chunks(): Uint8Array[] {
    this.#held();
    return this.#chunks.map((chunk) => chunk.bytes);
  }

  append(part: IoBufsPart): this {
    this.#held();
    for (const chunk of this.#take(part)) {
      this.#chunks.push(chunk);
      this.#length += chunk.span;
    }
    return this;
  }

  /** @internal Appends a buffer that nobody else holds; neighbours in memory become one chunk. */
  extend(chunk: IoBuf): void {
    this.#length += chunk.span;
    const last = this.#chunks.at(-1);
    if (last === undefined || !last.absorb(chunk)) this.#chunks.push(chunk);
  }

  prepend(part: IoBufsPart): this {
    this.#held();
    for (const chunk of this.#take(part).reverse()) {
      this.#chunks.unshift(chunk);
      this.#length += chunk.span;
    }
    return this;
  }

  /** Drops the first `count` bytes and releases the chunks that they filled. */
  advance(count: number): void {
    this.#held();
    check.integer("count", count, 0, this.#length);
    let rest = count;
    let whole = 0;
    while (rest > 0 && rest >= this.#chunks[whole].span) rest -= this.#chunks[whole++].span;
    for (const chunk of this.#chunks.splice(0, whole)) chunk.release();
    if (rest > 0) this.#chunks[0].advance(rest);
    this.#length -= count;
  }

  /** Bytes `start` to `end` (exclusive) as another byte string that shares the memory. */
  slice(start = 0, end: number = this.length): IoBufs {
    this.#held();
    check.integer("start", start, 0, this.#length);
    check.integer("end", end, start, this.#length);
    const result = new IoBufs();
    let at = 0;
    for (const chunk of this.#chunks) {
      const from = Math.max(start - at, 0);
      const to = Math.min(end - at, chunk.span);
      if (from < to) result.append(chunk.slice(from, to));
      at += chunk.span;
    }
    return result;
  }

  /** Cuts off the first `at` bytes and returns them; the rest stays here. */
  split(at: number): IoBufs {
    this.#held();
    check.integer("at", at, 0, this.#length);
    const front = this.slice(0, at);
    this.advance(at);
    return front;
  }

  /** Moves everything into one buffer: the only chunk as it is, several by copy. */
  coalesce(): IoBuf {
    this.#held();
    const chunks = this.#chunks;
    if (chunks.length === 1) {
      this.#end();
      return chunks[0];
    }
    const bytes = this.toUint8Array();
    return new IoBuf(Slot.plain(bytes), 0, bytes.length);
  }

  /** Copies the bytes to plain memory, then releases. */
  toUint8Array(): Uint8Array<ArrayBuffer> {
    this.#held();
    if (this.#chunks.length === 1) {
      const only = this.#chunks[0];
      this.#end();
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

  /** Decodes the bytes as UTF-8, then releases. Malformed input becomes U+FFFD. */
  text(): string {
    this.#held();
    const decoder = new TextDecoder();
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
    this.#end();
    for (const chunk of chunks) chunk.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal Ends this; the chunks pass to the caller. */
  moveOut(): IoBuf[] {
    this.#held();
    const chunks = this.#chunks;
    this.#end();
    return chunks;
  }

  #end(): void {
    this.#released = true;
    this.#chunks = NONE;
    this.#length = 0;
  }

  #held(): void {
    if (this.#released) throw new TypeError("Cannot use buffers that were released or moved");
  }

  #take(part: IoBufsPart): IoBuf[] {
    if (part === this) throw new TypeError("Cannot add buffers to themselves");
    if (part instanceof IoBufs) return part.moveOut();
    if (part instanceof IoBufMut) return this.#nonEmpty(part.freeze());
    if (part instanceof IoBuf) {
      return this.#nonEmpty(new IoBuf(part.moveOut(), part.start, part.span));
    }
    if (typeof part === "string" || part instanceof Uint8Array) {
      return this.#nonEmpty(IoBuf.from(part));
    }
    return check.fail("part", "an IoBuf, IoBufMut, IoBufs, Uint8Array or string", part);
  }

  #nonEmpty(chunk: IoBuf): IoBuf[] {
    if (chunk.span > 0) return [chunk];
    chunk.release();
    return [];
  }
}
