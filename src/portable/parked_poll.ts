/**
 * The poll of one connection: waits for events of its end, and moves no byte. The poll completes
 * once for each event, and goes on until it is cancelled.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { CQE_MORE } from "../ring/port.ts";
import { POLL_EVENT } from "../ring/op_writer.ts";

/** Takes the completions. Implemented by the ring. */
interface PollCompletions {
  complete(slot: number, generation: number, result: number, flags: number): void;
}

export class ParkedPoll {
  readonly #to: PollCompletions;
  #slot = -1;
  #generation = 0;
  #events = 0;
  #reported = 0;

  constructor(to: PollCompletions) {
    this.#to = to;
  }

  park(slot: number, generation: number, events: number): void {
    this.#slot = slot;
    this.#generation = generation;
    this.#events = events | POLL_EVENT.error | POLL_EVENT.hangUp;
    this.#reported = 0;
  }

  /** Completes with the events that the poll asks for, or that are always reported. */
  serve(events: number): void {
    const found = events & this.#events;
    if (this.#slot < 0 || (found & ~this.#reported) === 0) return;
    this.#reported |= found;
    this.#to.complete(this.#slot, this.#generation, found, CQE_MORE);
  }

  /** Cancels the poll of this slot. Returns whether it waited here. */
  cancel(slot: number, generation: number): boolean {
    if (this.#slot !== slot || this.#generation !== generation) return false;
    this.#slot = -1;
    this.#to.complete(slot, generation, -ERRNO.ECANCELED, 0);
    return true;
  }
}
