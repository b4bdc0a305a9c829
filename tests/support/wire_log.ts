/**
 * Every byte that the fake kernel took in one direction of one connection.
 *
 * @module
 */
import { Buffer } from "node:buffer";

export class WireLog {
  #bytes = new Uint8Array(4_096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    const wanted = this.#length + bytes.length;
    if (wanted > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(wanted, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = wanted;
  }

  /** Whether `bytes` stand at this position. */
  holds(bytes: Uint8Array, position: number): boolean {
    if (position + bytes.length > this.#length) return false;
    return Buffer.compare(bytes, this.#bytes.subarray(position, position + bytes.length)) === 0;
  }

  /** A copy of a part. */
  slice(start: number, end: number): Uint8Array {
    return this.#bytes.slice(start, Math.min(end, this.#length));
  }
}
