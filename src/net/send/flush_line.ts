/**
 * The flushes of one sink that wait, each behind the sends that were made before it.
 *
 *   sends:    a  b | c  d | e        flushes 0 and 1 were asked for behind b and d
 *             0  0 | 1  1 | 2        SendCall.flushesBefore
 *
 * Flush n has what it waits for when no send is left whose number is n or less. As sends leave a
 * queue in order, or out of its middle, that is when the first one left has a larger number. So a
 * send that leaves costs one comparison, and a flush that gives up leaves nothing behind.
 *
 * The line is made by the first flush and forgotten when the queue is empty.
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

  /** A flush has given up. */
  remove(flush: FlushCall): void {
    this.#waiting.remove(flush);
  }

  /** Settles the flushes that no send keeps waiting any more; `first` is the first one left. */
  advance(first: SendCall | null): void {
    for (let flush = this.#waiting.head; flush !== null; flush = this.#waiting.head) {
      if (first !== null && first.flushesBefore <= flush.number) return;
      this.#waiting.shift();
      flush.reach(null);
    }
  }

  /** The half has ended, and a part of what each of them waits for is dropped. */
  fail(reason: CloseReason): void {
    for (let flush = this.#waiting.shift(); flush !== null; flush = this.#waiting.shift()) {
      flush.reach(reason);
    }
  }
}
