/**
 * Bytes on their way: pushed by copy, taken from the front in any portions.
 *
 * @module
 */

export class ByteQueue {
  readonly #chunks: Uint8Array[] = [];
  #start = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Takes over `chunk`. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Moves the next bytes, at most as many as fit; returns their number. */
  take(target: Uint8Array): number {
    let at = 0;
    while (at < target.length && this.#length > 0) {
      const chunk = this.#chunks[0];
      const count = Math.min(chunk.length - this.#start, target.length - at);
      target.set(chunk.subarray(this.#start, this.#start + count), at);
      at += count;
      this.#start += count;
      this.#length -= count;
      if (this.#start < chunk.length) continue;
      this.#chunks.shift();
      this.#start = 0;
    }
    return at;
  }

  /** Moves the next `count` bytes to another queue. */
  moveTo(target: ByteQueue, count: number): void {
    const bytes = new Uint8Array(Math.min(count, this.#length));
    this.take(bytes);
    target.push(bytes);
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#start = this.#length = 0;
  }
}
