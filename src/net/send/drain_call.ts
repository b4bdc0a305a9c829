/**
 * Waiting for a send queue to run empty: `flush`, half close, graceful close.
 *
 * @module
 */
import { Call } from "../call/call.ts";
import { CloseReason } from "../call/close_reason.ts";
import type { LoopReference } from "../call/loop_reference.ts";
import { flushClosed, flushTimeout } from "./send_error.ts";
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

  /**
   * Settles when the queue is empty, or when it has failed. Who closes has what was wanted then;
   * who flushes is told when bytes were dropped.
   */
  start(): Promise<void> {
    const promise = this.promise<void>();
    this.begin();
    this.#queue.whenDrained((lost) => {
      if (this.settled) return;
      if (lost === null || this.#cancels) this.succeed(undefined);
      else this.fail(flushClosed(this.#queue.socket.peerName, lost));
    });
    return promise;
  }

  override get loopReference(): LoopReference {
    return this.#queue.socket;
  }

  override expire(): void {
    if (!this.#cancels) {
      this.fail(flushTimeout(this.#queue.socket.peerName, this.timeoutMs));
      return;
    }
    this.gaveUp = true;
    this.#queue.closeNow(new CloseReason(`the sink was closed and ${this.timeoutMs} ms passed`));
    // When nothing was with the kernel, the queue is empty by now and has said so.
    if (!this.settled) this.succeed(undefined);
  }

  override abort(reason: unknown): void {
    this.fail(reason);
  }
}
