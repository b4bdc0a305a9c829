/**
 * Settled calls of one network that any connection can reuse. Without them, a connection that sends
 * many small messages at a time makes some 300 bytes of garbage for each message.
 *
 * Only a call to which nothing refers any more may be put here: a call that succeeded.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";

export class SpareCalls<C> {
  readonly #calls: C[] = [];

  /** Takes the call that was put last, because its fields are still in the processor's cache. */
  take(): C | null {
    return this.#calls.pop() ?? null;
  }

  put(call: C): void {
    if (this.#calls.length < LIMITS.spareCallCountMax) this.#calls.push(call);
  }
}
