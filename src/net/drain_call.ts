/**
 * Waiting for a send queue to run empty: `flush`, half close, graceful close.
 *
 * @module
 */
import { NetworkError } from "../base/network_error.ts";
import { Call } from "./call.ts";
import { CloseReason } from "./close_reason.ts";
import type { SendQueue } from "./send_queue.ts";

export class DrainCall extends Call {
  readonly #queue: SendQueue;
  /** Whether the end of the budget cancels what is left (close) or only this call (flush). */
  readonly #cancels: boolean;
  /** The budget ended before everything was sent. */
  gaveUp = false;

  constructor(queue: SendQueue, cancels: boolean) {
    super();
    this.#queue = queue;
    this.#cancels = cancels;
  }

  /** Settles when the queue is empty, or when it has failed. */
  start(): Promise<void> {
    const promise = this.promise<void>();
    this.begin(this.#queue.socket);
    this.#queue.whenDrained(() => {
      if (!this.settled) this.succeed(undefined);
    });
    return promise;
  }

  override expire(): void {
    if (!this.#cancels) {
      this.fail(
        new NetworkError(`Cannot flush: ${this.timeoutMs} ms passed`, {
          code: "Timeout",
          operation: "flush",
        }),
      );
      return;
    }
    this.gaveUp = true;
    const { timeoutMs } = this;
    const message = `Cannot send: the sink was closed and ${timeoutMs} ms passed`;
    this.#queue.closeNow(new CloseReason(message));
    // When nothing was with the kernel, the queue is empty by now and has said so.
    if (!this.settled) this.succeed(undefined);
  }

  override abort(reason: unknown): void {
    this.fail(reason);
  }
}
