/**
 * The part of a caller's arrays that is not copied yet: read window by window as the kernel takes
 * the bytes, so that memory stays bounded however large the send is.
 *
 * The arrays belong to the caller. An array that is detached, transferred or shrunk meanwhile is
 * noticed at the next window, and memory that no longer belongs to the array is never read.
 * Properties of an array are not trusted: see `intrinsics.ts`.
 *
 * @module
 */

import { intrinsics } from "../../base/intrinsics.ts";

export class ByteSource {
  readonly #views: readonly Uint8Array[];
  readonly #lengths: readonly number[];
  #index = 0;
  #at = 0;
  #remaining = 0;

  /** `lengths` are the true lengths of the views. */
  constructor(
    views: readonly Uint8Array[],
    lengths: readonly number[] = views.map(intrinsics.lengthOf),
  ) {
    this.#views = views;
    this.#lengths = lengths;
    for (let i = 0; i < lengths.length; i++) this.#remaining += lengths[i];
  }

  /** Bytes not copied yet. */
  get remaining(): number {
    return this.#remaining;
  }

  /**
   * Copies the next bytes, as many as fit. Throws TypeError when an array has changed its length.
   */
  read(target: Uint8Array, offset: number, lengthMax: number): number {
    let copied = 0;
    while (copied < lengthMax && this.#remaining > 0) {
      const view = this.#views[this.#index];
      const length = this.#lengths[this.#index];
      const now = intrinsics.lengthOf(view);
      if (now < length) {
        throw new TypeError(
          `Cannot send: an array of ${length} bytes was detached, transferred or shrunk to ` +
            `${now} while its send was pending`,
        );
      }
      const count = Math.min(length - this.#at, lengthMax - copied);
      const whole = count === now;
      target.set(whole ? view : intrinsics.viewOf(view, this.#at, count), offset + copied);
      copied += count;
      this.#at += count;
      this.#remaining -= count;
      if (this.#at === length) {
        this.#index++;
        this.#at = 0;
      }
    }
    return copied;
  }
}
