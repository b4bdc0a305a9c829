/**
 * The error of a send that had resolved when it was buffered. The next call on the sink reports it,
 * once. A flush that waits already reports it only when the send was made before the flush.
 *
 * @module
 */
import type { Call } from "../call/call.ts";
import type { SendCall } from "./send_call.ts";

interface Failure {
  readonly error: unknown;
  /** Flushes that were asked for before the send. */
  readonly flushesBefore: number;
}

export class LateError {
  /**
   * The promise of every buffered send of the sink. Each sink has its own, because programs get it:
   * a property that one of them writes, such as `then`, reaches no other connection. A frozen
   * promise would cost 12 ns more for each await in Deno.
   */
  readonly done: Promise<void> = Promise.resolve();
  #failure: Failure | null = null;

  /**
   * Rejects in place of the promise. Keeps the error of the earliest send, because the sends behind
   * it failed with it.
   */
  readonly keep = (error: unknown, call: Call): void => {
    const { flushesBefore } = call as SendCall;
    if (this.#failure !== null && this.#failure.flushesBefore <= flushesBefore) return;
    this.#failure = { error, flushesBefore };
  };

  /** Hands the error to a call that is made now, and forgets it. */
  take(): Failure | null {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  }

  /** Hands the error to a waiting flush when the send was made before the flush. */
  takeFor(flushNumber: number): Failure | null {
    const failure = this.#failure;
    return failure !== null && failure.flushesBefore <= flushNumber ? this.take() : null;
  }
}
