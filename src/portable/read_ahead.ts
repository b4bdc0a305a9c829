/**
 * The bytes of one connection that the runtime has read before the core asks for them.
 *
 * The runtime reads at any time, in chunks of any size. The core does not see this: an operation
 * takes exactly the bytes that it asks for, and the rest stays here.
 *
 * Bound: `LIMITS.readAheadBytes` and one chunk of the runtime (64 KiB). A chunk counts for more
 * than its bytes, so that a peer that sends single bytes cannot pile up objects. A chunk is copied
 * when it keeps much more memory than it has bytes.
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";

/**
 * The cost of one chunk beside its bytes: the view, the header of its memory, its place in the
 * list.
 */
const CHUNK_COST_BYTES = 256;

export class ReadAhead {
  #first: Uint8Array | null = null;
  #firstAt = 0;
  readonly #others: Uint8Array[] = [];
  /** The number of waiting bytes. */
  length = 0;
  #costBytes = 0;

  /** Whether reading should pause until bytes are taken. */
  get full(): boolean {
    return this.#costBytes >= LIMITS.readAheadBytes;
  }

  /** Whether few enough bytes are left that reading may resume. */
  get low(): boolean {
    return this.#costBytes <= LIMITS.readAheadBytes / 2;
  }

  push(chunk: Uint8Array): void {
    if (this.#first === null) this.#first = chunk;
    else this.#others.push(chunk);
    this.length += chunk.length;
    this.#costBytes += chunk.length + CHUNK_COST_BYTES;
  }

  /**
   * Copies the last chunk if its memory is `lent`, or is much larger than the chunk, because the
   * chunk stays for a while.
   */
  keepLast(lent: boolean): void {
    const { length } = this.#others;
    const last = length > 0 ? this.#others[length - 1] : this.#first;
    if (last === null) return;
    if (!lent && last.buffer.byteLength <= 2 * last.length + CHUNK_COST_BYTES) return;
    const copy = new Uint8Array(last);
    if (length > 0) this.#others[length - 1] = copy;
    else this.#first = copy;
  }

  /** Moves up to `count` bytes to `target`, and returns their number. */
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
