/**
 * Settled calls of one network that wait to be used again, by any connection: one that sends many
 * small messages at a time would make some 300 bytes of garbage for each otherwise.
 *
 * Only a call that nobody refers to any more may be put here: one that succeeded.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";

export class SpareCalls<C> {
  readonly #calls: C[] = [];

  /** The one that was put here last: its fields are still in the processor's cache. */
  take(): C | null {
    return this.#calls.pop() ?? null;
  }

  put(call: C): void {
    if (this.#calls.length < LIMITS.spareCallCountMax) this.#calls.push(call);
  }
}
