/**
 * Memory for the copies that the runtime sends: a few circulating buffers of two sizes, so that a
 * send allocates no memory. They return after the callback of the runtime.
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";

const SMALL_BYTES = 4_096;
/** The number of buffers that are kept: at most 256 KiB and 2 MiB. */
const SMALL_KEPT = 64;
const LARGE_KEPT = 32;

export class WindowPool {
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];

  /** Takes a buffer of at least `sizeBytes`, which is at most a window. */
  take(sizeBytes: number): Uint8Array {
    if (sizeBytes <= SMALL_BYTES) return this.#small.pop() ?? new Uint8Array(SMALL_BYTES);
    return this.#large.pop() ?? new Uint8Array(LIMITS.portableWindowBytes);
  }

  put(buffer: Uint8Array): void {
    if (buffer.length === SMALL_BYTES) {
      if (this.#small.length < SMALL_KEPT) this.#small.push(buffer);
    } else if (this.#large.length < LARGE_KEPT) {
      this.#large.push(buffer);
    }
  }
}
