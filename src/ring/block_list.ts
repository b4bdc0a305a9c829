/**
 * Scratch blocks: 512 bytes that hold one socket address or the iovec triples of one vectored send.
 * A block belongs to its operation until the final completion.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import type { RingPort } from "./port.ts";

const encoder = new TextEncoder();

export class BlockList {
  readonly #port: RingPort;
  readonly #free: number[] = [];
  #created = 0;

  constructor(port: RingPort) {
    this.#port = port;
  }

  /**
   * Takes a block. Returns -1 when only `kept` blocks are left, which are for callers that cannot
   * wait.
   */
  take(kept = 0): number {
    if (kept > 0 && this.#port.blockCount - this.used <= kept) return -1;
    const block = this.#free.pop();
    if (block !== undefined) return block;
    return this.#created < this.#port.blockCount ? this.#created++ : -1;
  }

  put(block: number): void {
    this.#free.push(block);
  }

  /**
   * Calls `call` with a block that has the text, and the length of the text. Returns -ENOBUFS when
   * no block is free.
   */
  withText(text: string, call: (block: number, length: number) => number): number {
    const block = this.take();
    if (block < 0) return -ERRNO.ENOBUFS;
    const bytes = encoder.encode(text);
    this.bytes(block).set(bytes);
    const result = call(block, bytes.length);
    this.put(block);
    return result;
  }

  /** The number of taken blocks. */
  get used(): number {
    return this.#created - this.#free.length;
  }

  /** The bytes of a block. */
  bytes(block: number): Uint8Array {
    const { blocks, blockBytes } = this.#port;
    return blocks.subarray(block * blockBytes, (block + 1) * blockBytes);
  }

  /** A word of a block: 4 bytes in the machine's order. */
  word(block: number, index: number): number {
    return this.#port.blockWords[this.#wordAt(block, index)];
  }

  /** Writes one (slab, offset, length) triple. */
  writeTriple(block: number, index: number, slab: number, offset: number, length: number): void {
    const words = this.#port.blockWords;
    const at = this.#wordAt(block, index * 3);
    words[at] = slab;
    words[at + 1] = offset;
    words[at + 2] = length;
  }

  #wordAt(block: number, index: number): number {
    return (block * this.#port.blockBytes) / 4 + index;
  }
}
