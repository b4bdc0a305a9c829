/**
 * The waiting flushes of one sink. Each waits for the sends that were made before it.
 *
 *   sends:    a  b | c  d | e        flushes 0 and 1 were asked for behind b and d
 *             0  0 | 1  1 | 2        SendCall.flushesBefore
 *
 * Flush n is done when no remaining send has a number of n or less. Sends leave the queue in order,
 * or out of its middle, so this is the case when the first remaining send has a larger number. A
 * send that leaves costs one comparison, and a flush that times out or is aborted is simply
 * removed.
 *
 * The first flush makes the line, which is dropped when the queue is empty.
 *
 * @module
 */
import { Fifo } from "../../base/fifo.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { FlushCall } from "./flush_call.ts";
import type { SendCall } from "./send_call.ts";

export class FlushLine {
  /** Flushes that were asked for since the queue was last empty. */
  count = 0;
  readonly #waiting = new Fifo<FlushCall>();

  push(flush: FlushCall): void {
    flush.number = this.count++;
    this.#waiting.push(flush);
  }

  /** Removes a flush that timed out or was aborted. */
  remove(flush: FlushCall): void {
    this.#waiting.remove(flush);
  }

  /** Settles the flushes for which no send remains. `first` is the first remaining send. */
  advance(first: SendCall | null): void {
    for (let flush = this.#waiting.head; flush !== null; flush = this.#waiting.head) {
      if (first !== null && first.flushesBefore <= flush.number) return;
      this.#waiting.shift();
      flush.reach(null);
    }
  }

  /** Fails all flushes: the half has ended, and has dropped bytes for which each of them waits. */
  fail(reason: CloseReason): void {
    for (let flush = this.#waiting.shift(); flush !== null; flush = this.#waiting.shift()) {
      flush.reach(reason);
    }
  }
}
