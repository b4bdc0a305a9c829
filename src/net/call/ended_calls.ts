/**
 * Calls that have ended together with many others, and whose callers hear of it in turns with the
 * event loop.
 *
 *   a half ends -> its calls leave their queue -> told: some halves in each round of the event loop
 *                                             \-> told: the half is used again
 *
 * The handlers of ended calls cost 16 us for each with cold caches, and the errors are a part of
 * that. A network that closes ends the calls of thousands of connections at a time, and their
 * handlers would keep the event loop for as long as all of them take.
 *
 * The end itself takes place at once, for all connections in one step. So nothing that the first
 * handlers do, such as a half close, can change the result of a call whose turn has not come: the
 * call is in no queue any more, and neither bytes nor the end of a peer, a budget or a signal reach
 * it. A call that is not told yet keeps the process alive as a pending call does.
 *
 * @module
 */
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { Rounds } from "../../base/rounds.ts";

/**
 * The moment at which the callers of ended calls hear of it. "inRounds" is for ends of many halves
 * at a time.
 */
export type Telling = "atOnce" | "inRounds";

/** The ended calls of one half. */
export interface EndedQueue {
  /** Fails the calls, in order. Never throws. */
  tell(): void;
}

export class EndedCalls {
  /** In the order in which the halves have ended. */
  readonly #queues = new Map<object, EndedQueue>();
  readonly #rounds: Rounds;

  constructor(host: Host) {
    this.#rounds = new Rounds(host, () => this.tellSome(), () => this.#queues.size);
  }

  /** The number of halves whose calls have not been told. */
  get count(): number {
    return this.#queues.size;
  }

  /** Tells the calls of `half` soon. Once for each half. */
  add(half: object, calls: EndedQueue): void {
    this.#queues.set(half, calls);
    this.#rounds.begin();
  }

  /** Tells the calls of `half` now, if it has some: a later call must not end before them. */
  tell(half: object): void {
    const calls = this.#queues.get(half);
    if (calls === undefined) return;
    this.#queues.delete(half);
    calls.tell();
    this.#rounds.noteServed();
  }

  /** Tells the calls of as many halves as one round of the event loop has time for. */
  tellSome(): void {
    let count = 0;
    for (const half of this.#queues.keys()) {
      if (count++ === LIMITS.toldCountMax) return;
      this.tell(half);
    }
  }

  /** Resolves when all calls have been told. */
  emptied(): Promise<void> {
    return this.#rounds.emptied();
  }
}
