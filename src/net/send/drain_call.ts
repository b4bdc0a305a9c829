/**
 * Waiting for a send queue to run empty, within the budget of a close: half close and graceful
 * close. No send is taken any more, so the queue does run empty.
 *
 * @module
 */
import { Call } from "../call/call.ts";
import { CloseReason } from "../call/close_reason.ts";
import type { LoopReference } from "../call/loop_reference.ts";
import type { SendHalf } from "./send_half.ts";

export class DrainCall extends Call {
  readonly #queue: SendHalf;
  constructor(queue: SendHalf) {
    super();
    this.#queue = queue;
  }

  /** Resolves when the queue is empty: because all was sent, or because the half has failed. */
  protected override enqueue(): void {
    this.#queue.whenDrained(() => {
      if (!this.settled) this.succeed(undefined);
    });
  }

  override get loopReference(): LoopReference {
    return this.#queue.socket;
  }

  /** Cancels what is left. */
  override expire(): void {
    const reason = new CloseReason(`the sink was closed and ${this.timeoutMs} ms passed`);
    this.#queue.closeNow(reason, true);
    // When nothing was with the kernel, the queue is empty by now and has said so.
    if (!this.settled) this.succeed(undefined);
  }

  override abort(reason: unknown): void {
    this.fail(reason);
  }
}
