/**
 * Waits until a send queue is empty, within the budget of a half close or a graceful close. The
 * queue takes no more sends, so it does become empty.
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

  /**
   * Resolves when the queue is empty: because all bytes were sent, or because the half has failed.
   */
  protected override enqueue(): void {
    this.#queue.whenDrained(() => {
      if (!this.settled) this.succeed(undefined);
    });
  }

  override get loopReference(): LoopReference {
    return this.#queue.socket;
  }

  /** Cancels the remaining sends. */
  override expire(): void {
    const reason = new CloseReason(`the sink was closed and ${this.timeoutMs} ms passed`);
    this.#queue.closeNow(reason, true);
    // Without a flight, `closeNow` has emptied the queue and settled this call already.
    if (!this.settled) this.succeed(undefined);
  }

  override abort(reason: unknown): void {
    this.fail(reason);
  }
}
