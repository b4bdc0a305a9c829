/**
 * The poll of one connection: waits for events of its end, and moves no byte.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { POLL_EVENT } from "../ring/op_writer.ts";

/** Takes the completion; the ring. */
interface PollCompletions {
  complete(slot: number, generation: number, result: number, flags: number): void;
}

export class ParkedPoll {
  readonly #to: PollCompletions;
  #slot = -1;
  #generation = 0;
  #events = 0;

  constructor(to: PollCompletions) {
    this.#to = to;
  }

  park(slot: number, generation: number, events: number): void {
    this.#slot = slot;
    this.#generation = generation;
    this.#events = events | POLL_EVENT.error | POLL_EVENT.hangUp;
  }

  /** Completes with those of the events that the poll asks for, or that come unasked. */
  serve(events: number): void {
    const found = events & this.#events;
    if (this.#slot >= 0 && found !== 0) this.#finish(found);
  }

  /** Whether the poll of this slot waited here, and is cancelled now. */
  cancel(slot: number, generation: number): boolean {
    if (this.#slot !== slot || this.#generation !== generation) return false;
    this.#finish(-ERRNO.ECANCELED);
    return true;
  }

  #finish(result: number): void {
    const slot = this.#slot;
    this.#slot = -1;
    this.#to.complete(slot, this.#generation, result, 0);
  }
}
