/**
 * One direction of a ring, with its own budget of operations in flight, its own order and its own
 * gauge.
 *
 * So waiting receives can never use up the budget of sends, whether the two lanes share a ring or
 * have one each. Resubmitted operations go before fresh ones, because they hold resources already.
 *
 * Receives that found no provided buffer wait in a queue of their own. Each turn admits as many of
 * them as there are buffers, first come first served. Submitting all of them would cost a failed
 * operation for most, and the same receives would always be first.
 *
 * @module
 */
import { unreachable } from "../base/assert.ts";
import { type Waiting, WaitingList } from "./waiting_list.ts";

/** The queue in which an operation waits for its turn. */
export type LaneQueue = "fresh" | "resubmitted" | "awaitingBuffer";

export class Lane<T extends Waiting> {
  readonly inFlightMax: number;
  inFlight = 0;
  /** Idle operations that have no owner, for the next owner. */
  readonly spare: T[] = [];
  readonly #resubmitted = new WaitingList<T>();
  readonly #fresh = new WaitingList<T>();
  readonly #awaitingBuffer = new WaitingList<T>();

  constructor(inFlightMax: number) {
    this.inFlightMax = inFlightMax;
  }

  /** The number of operations in flight or waiting for a turn: the `pending_operations` gauge. */
  get pending(): number {
    return this.inFlight + this.#resubmitted.count + this.#fresh.count + this.#awaitingBuffer.count;
  }

  /** Whether receives wait for a provided buffer. The next receive then waits behind them. */
  get hasBufferQueue(): boolean {
    return this.#awaitingBuffer.count > 0;
  }

  /** Whether an operation waits that needs no buffer, and the budget allows it. */
  get canStage(): boolean {
    return this.inFlight < this.inFlightMax &&
      (this.#resubmitted.count > 0 || this.#fresh.count > 0);
  }

  /**
   * The same, including receives that wait for a buffer, because `admit` may let some of them go.
   */
  get canAdmit(): boolean {
    return this.inFlight < this.inFlightMax && this.pending > this.inFlight;
  }

  push(operation: T, queue: LaneQueue): void {
    switch (queue) {
      case "fresh":
        return this.#fresh.push(operation);
      case "resubmitted":
        return this.#resubmitted.push(operation);
      case "awaitingBuffer":
        return this.#awaitingBuffer.push(operation);
      default:
        unreachable(queue);
    }
  }

  /** Moves the first `count` receives that wait for a buffer to the next turn. */
  admit(count: number): void {
    for (let i = 0; i < count && this.#awaitingBuffer.count > 0; i++) {
      this.#resubmitted.push(this.#awaitingBuffer.shift() as T);
    }
  }

  shift(): T | null {
    return this.#resubmitted.shift() ?? this.#fresh.shift();
  }

  remove(operation: T): boolean {
    return this.#resubmitted.remove(operation) || this.#fresh.remove(operation) ||
      this.#awaitingBuffer.remove(operation);
  }
}
