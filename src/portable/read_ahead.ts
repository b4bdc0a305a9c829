/**
 * What the runtime has read of one connection and the core has not asked for yet.
 *
 * The runtime reads when it likes, and hands over chunks of a size that it likes. The core sees
 * none of that: an operation takes exactly the bytes that it asks for, and the rest stays here.
 *
 * Bound: {@link READ_AHEAD_BYTES} and one chunk of the runtime (64 KiB). A chunk counts for more
 * than its bytes, so that a peer that sends single bytes cannot pile up objects; a chunk that pins
 * much more memory than it has bytes is copied.
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";

/** What one chunk costs beside its bytes: the view, its memory's header, its place here. */
const CHUNK_COST_BYTES = 256;

export class ReadAhead {
  #first: Uint8Array | null = null;
  #firstAt = 0;
  readonly #others: Uint8Array[] = [];
  /** Bytes that wait. */
  length = 0;
  #costBytes = 0;

  /** Nothing more should be read until some of it is taken. */
  get full(): boolean {
    return this.#costBytes >= LIMITS.readAheadBytes;
  }

  /** Little enough is left that reading may go on. */
  get low(): boolean {
    return this.#costBytes <= LIMITS.readAheadBytes / 2;
  }

  push(chunk: Uint8Array): void {
    if (this.#first === null) this.#first = chunk;
    else this.#others.push(chunk);
    this.length += chunk.length;
    this.#costBytes += chunk.length + CHUNK_COST_BYTES;
  }

  /** The chunk that was pushed last stays for a while: not with much more memory than bytes. */
  keepLast(): void {
    const { length } = this.#others;
    const last = length > 0 ? this.#others[length - 1] : this.#first;
    if (last === null || last.buffer.byteLength <= 2 * last.length + CHUNK_COST_BYTES) return;
    const copy = new Uint8Array(last);
    if (length > 0) this.#others[length - 1] = copy;
    else this.#first = copy;
  }

  /** Moves up to `count` bytes to `target`; returns how many. */
  take(target: Uint8Array, at: number, count: number): number {
    let moved = 0;
    while (moved < count && this.#first !== null) {
      const chunk = this.#first;
      const left = chunk.length - this.#firstAt;
      const part = Math.min(left, count - moved);
      const whole = part === chunk.length;
      target.set(
        whole ? chunk : chunk.subarray(this.#firstAt, this.#firstAt + part),
        at + moved,
      );
      moved += part;
      if (part === left) this.#dropFirst();
      else this.#firstAt += part;
    }
    this.length -= moved;
    this.#costBytes -= moved;
    return moved;
  }

  clear(): void {
    this.#first = null;
    this.#firstAt = 0;
    this.#others.length = 0;
    this.length = 0;
    this.#costBytes = 0;
  }

  #dropFirst(): void {
    this.#first = this.#others.shift() ?? null;
    this.#firstAt = 0;
    this.#costBytes -= CHUNK_COST_BYTES;
  }
}
