/**
 * One direction of a ring: its own budget of operations in flight, its own order, its own gauge.
 *
 * Waiting receives can therefore never use up what sends need, whether the two lanes share a ring
 * or have one each. Resubmitted operations go before fresh ones: they hold resources already.
 *
 * Receives that found no read buffer stand in line. As many as there are buffers are admitted to
 * each turn, first come first served: to try them all would cost a failed operation each, and
 * whoever is tried first would win again and again.
 *
 * @module
 */
import { unreachable } from "../base/assert.ts";
import type { Operation } from "./operation.ts";
import type { Ring } from "./ring.ts";
import { WaitingList } from "./waiting_list.ts";

/** Where an operation waits for its turn: behind its like, before them, or for a read buffer. */
export type LanePlace = "fresh" | "again" | "line";

export class Lane {
  readonly ring: Ring;
  readonly inFlightMax: number;
  inFlight = 0;
  readonly #again = new WaitingList<Operation>();
  readonly #fresh = new WaitingList<Operation>();
  readonly #line = new WaitingList<Operation>();

  constructor(ring: Ring, inFlightMax: number) {
    this.ring = ring;
    this.inFlightMax = inFlightMax;
  }

  /** Operations with the kernel or waiting for it: the `pending_operations` gauge. */
  get pending(): number {
    return this.inFlight + this.#again.count + this.#fresh.count + this.#line.count;
  }

  /** True when somebody stands in line: who wants a read buffer now stands behind. */
  get crowded(): boolean {
    return this.#line.count > 0;
  }

  /** True when something waits and the budget allows it. */
  get stageable(): boolean {
    return this.inFlight < this.inFlightMax && (this.#again.count > 0 || this.#fresh.count > 0);
  }

  /** The same, and who stands in line counts as well: `admit` may let somebody in. */
  get admissible(): boolean {
    return this.inFlight < this.inFlightMax && this.pending > this.inFlight;
  }

  push(operation: Operation, place: LanePlace): void {
    switch (place) {
      case "fresh":
        return this.#fresh.push(operation);
      case "again":
        return this.#again.push(operation);
      case "line":
        return this.#line.push(operation);
      default:
        unreachable(place);
    }
  }

  /** The first `count` in line may go. */
  admit(count: number): void {
    for (let i = 0; i < count && this.#line.count > 0; i++) {
      this.#again.push(this.#line.shift() as Operation);
    }
  }

  shift(): Operation | null {
    return this.#again.shift() ?? this.#fresh.shift();
  }

  remove(operation: Operation): boolean {
    return this.#again.remove(operation) || this.#fresh.remove(operation) ||
      this.#line.remove(operation);
  }
}
