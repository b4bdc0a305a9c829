/**
 * Bytes that have arrived and that no call has taken yet: a list of ranges in read buffers.
 *
 * A range that is small in comparison with its buffer is copied to the end of the previous range,
 * when there is room and no other handle refers to that memory. So a peer that sends single bytes
 * cannot occupy a buffer with each of them.
 *
 * @module
 */
import { assert } from "../../base/assert.ts";
import type { DelimiterSearch } from "../../base/delimiter_search.ts";
import { handleFields } from "../../buf/buffer_handle.ts";
import { type BufferPool, takeSlot } from "../../buf/buffer_pool.ts";
import { type IoBuf, newIoBuf } from "../../buf/io_buf.ts";
import { IoBufs, moveChunksOut, ofChunk } from "../../buf/io_bufs.ts";
import { Slot } from "../../buf/slot.ts";

interface Range {
  slot: Slot;
  start: number;
  end: number;
}

const EMPTY = new Uint8Array(0);

export class ReadBuffer {
  readonly #pool: BufferPool;
  readonly #ranges: Range[] = [];
  #length = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Takes over one reference of `slot`. Returns false when the bytes were copied and the slot is
   * free.
   */
  push(slot: Slot, start: number, end: number): boolean {
    const length = end - start;
    this.#length += length;
    const tail = this.#ranges.at(-1);
    if (tail !== undefined && tail.slot.references === 1) {
      const room = tail.slot.capacity - tail.end;
      if (length <= room && length * 2 <= slot.capacity) {
        tail.slot.bytes.set(slot.bytes.subarray(start, end), tail.end);
        tail.end += length;
        return false;
      }
    }
    this.#ranges.push({ slot, start, end });
    return true;
  }

  /** Copies the bytes. The slot still belongs to the caller. */
  pushCopy(slot: Slot, start: number, end: number): void {
    const copy = takeSlot(this.#pool, end - start);
    try {
      copy.bytes.set(slot.bytes.subarray(start, end));
    } catch (error) {
      copy.release();
      throw error;
    }
    if (!this.push(copy, 0, end - start)) copy.release();
  }

  /** Takes the bytes that a leaving call had received. */
  pushBack(held: IoBufs): void {
    for (const chunk of moveChunksOut(held)) {
      const slot = handleFields.moveOut(chunk);
      const start = handleFields.start(chunk);
      if (!this.push(slot, start, start + handleFields.span(chunk))) slot.release();
    }
  }

  /** Takes the next bytes of the first range, at most `lengthMax`, as one buffer. */
  takeSome(lengthMax: number): IoBuf {
    const range = this.#ranges[0];
    return this.#cut(range, Math.min(range.end - range.start, lengthMax));
  }

  /** Takes exactly `length` bytes, which must be buffered. */
  take(length: number): IoBufs {
    assert(length <= this.#length, "no more is taken than is buffered");
    const range = this.#ranges[0];
    if (length <= range.end - range.start) return ofChunk(this.#cut(range, length));
    const result = new IoBufs();
    while (result.length < length) result.append(this.takeSome(length - result.length));
    return result;
  }

  takeAll(): IoBufs {
    return this.take(this.#length);
  }

  /**
   * A view over the buffered bytes, at most `lengthMax` of them. Several ranges are joined first.
   */
  peek(lengthMax: number): Uint8Array {
    const length = Math.min(lengthMax, this.#length);
    if (length === 0) return EMPTY;
    if (this.#ranges[0].end - this.#ranges[0].start < length) this.#join();
    const { slot, start } = this.#ranges[0];
    return slot.bytes.subarray(start, start + length);
  }

  /**
   * Searches a delimiter in the bytes from index `from` to `limit`, which the search has not seen
   * yet. Returns the index directly behind the delimiter, or -1.
   */
  find(search: DelimiterSearch, from: number, limit: number): number {
    const ranges = this.#ranges;
    let index = 0;
    let at = 0;
    if (from > 0) {
      // Starts at the last range, so that a search that continues does not walk over ranges that it
      // has seen.
      index = ranges.length;
      at = this.#length;
      while (at > from) {
        const { start, end } = ranges[--index];
        at -= end - start;
      }
    }
    for (; index < ranges.length && at < limit; index++) {
      const { slot, start, end } = ranges[index];
      const first = start + Math.max(from - at, 0);
      const found = search.find(slot.bytes.subarray(first, Math.min(end, start + limit - at)));
      if (found >= 0) return at + first - start + found;
      at += end - start;
    }
    return -1;
  }

  /** The byte at an index, which must be buffered. */
  byteAt(index: number): number {
    assert(index < this.#length, "the byte is buffered");
    let at = 0;
    let left = index;
    for (; left >= this.#ranges[at].end - this.#ranges[at].start; at++) {
      left -= this.#ranges[at].end - this.#ranges[at].start;
    }
    const { slot, start } = this.#ranges[at];
    return slot.bytes[start + left];
  }

  /** The first `length` bytes as text. Throws the error of the decoder. The bytes stay buffered. */
  decode(decoder: TextDecoder, length: number): string {
    let text = "";
    let left = length;
    for (const { slot, start, end } of this.#ranges) {
      const count = Math.min(left, end - start);
      const bytes = slot.bytes.subarray(start, start + count);
      left -= count;
      // In nearly all cases all bytes are in one range.
      if (left === 0) return text + decoder.decode(bytes);
      text += decoder.decode(bytes, { stream: true });
    }
    return text;
  }

  /** Drops the first `length` bytes, which must be buffered. */
  drop(length: number): void {
    assert(length <= this.#length, "no more is dropped than is buffered");
    this.#length -= length;
    let left = length;
    while (left > 0) {
      const range = this.#ranges[0];
      const count = range.end - range.start;
      if (count > left) {
        range.start += left;
        return;
      }
      this.#ranges.shift();
      range.slot.release();
      left -= count;
    }
  }

  clear(): void {
    for (const { slot } of this.#ranges) slot.release();
    this.#ranges.length = 0;
    this.#length = 0;
  }

  /** Cuts the front off a range. The last cut takes over the reference of the range. */
  #cut(range: Range, length: number): IoBuf {
    const { slot, start } = range;
    this.#length -= length;
    if (start + length === range.end) this.#ranges.shift();
    else slot.retain();
    range.start += length;
    return newIoBuf(slot, start, length);
  }

  #join(): void {
    const joined = takeSlot(this.#pool, this.#length);
    let at = 0;
    try {
      for (const { slot, start, end } of this.#ranges) {
        joined.bytes.set(slot.bytes.subarray(start, end), at);
        at += end - start;
      }
    } catch (error) {
      // The memory was transferred away through an earlier view. The caller gets the error.
      joined.release();
      throw error;
    }
    for (const { slot } of this.#ranges) slot.release();
    this.#ranges.length = 0;
    this.#ranges.push({ slot: joined, start: 0, end: at });
  }
}
