/**
 * Memory for the copies that the runtime is given to send: a few buffers of two sizes that go
 * around, so that a send allocates nothing. They come back when the runtime is done with them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { LIMITS } from "../base/limits.ts";

const SMALL_BYTES = 4_096;
/** Kept when nothing is sent: 256 KiB and 2 MiB at most. */
const SMALL_KEPT = 64;
const LARGE_KEPT = 32;

export class WindowPool {
  readonly #small: Buffer[] = [];
  readonly #large: Buffer[] = [];

  /** At least `sizeBytes`, which is a window at most. */
  take(sizeBytes: number): Buffer {
    if (sizeBytes <= SMALL_BYTES) return this.#small.pop() ?? Buffer.alloc(SMALL_BYTES);
    return this.#large.pop() ?? Buffer.alloc(LIMITS.portableWindowBytes);
  }

  put(buffer: Buffer): void {
    if (buffer.length === SMALL_BYTES) {
      if (this.#small.length < SMALL_KEPT) this.#small.push(buffer);
    } else if (this.#large.length < LARGE_KEPT) {
      this.#large.push(buffer);
    }
  }
}
