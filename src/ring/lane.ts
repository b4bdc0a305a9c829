/**
 * One direction of a ring: its own budget of operations in flight, its own order, its own gauge.
 *
 * Waiting receives can therefore never use up what sends need, whether the two lanes share a ring
 * or have one each. Resubmitted operations go before fresh ones: they hold resources already.
 *
 * @module
 */
import { Fifo } from "../base/fifo.ts";
import type { Operation } from "./operation.ts";
import type { Ring } from "./ring.ts";

export class Lane {
  readonly ring: Ring;
  readonly inFlightMax: number;
  inFlight = 0;
  readonly #again = new Fifo<Operation>();
  readonly #fresh = new Fifo<Operation>();

  constructor(ring: Ring, inFlightMax: number) {
    this.ring = ring;
    this.inFlightMax = inFlightMax;
  }

  /** Operations with the kernel or waiting for it: the `pending_operations` gauge. */
  get pending(): number {
    return this.inFlight + this.#again.count + this.#fresh.count;
  }

  /** True when something waits and the budget allows it. */
  get stageable(): boolean {
    return this.inFlight < this.inFlightMax && (this.#again.count > 0 || this.#fresh.count > 0);
  }

  push(operation: Operation, again: boolean): void {
    if (again) this.#again.push(operation);
    else this.#fresh.push(operation);
  }

  shift(): Operation | null {
    return this.#again.shift() ?? this.#fresh.shift();
  }

  remove(operation: Operation): boolean {
    return this.#again.remove(operation) || this.#fresh.remove(operation);
  }
}
