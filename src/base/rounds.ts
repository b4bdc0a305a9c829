/**
 * Rounds of the event loop that serve a long queue: one macrotask at a time, so that the runtime's
 * timers and I/O run between two rounds.
 *
 *   begin -> macrotask: a part of the queue -> more is queued: macrotask ... -> nothing is queued
 *
 * The queue itself belongs to the owner, who may serve parts of it in other ways as well.
 *
 * @module
 */
import type { Host } from "./host.ts";

export class Rounds {
  readonly #host: Host;
  readonly #serve: () => void;
  readonly #count: () => number;
  #isScheduled = false;
  #emptied: PromiseWithResolvers<void> | null = null;

  /** `serve` takes as much off the queue as one round has time for, of `count` entries. */
  constructor(host: Host, serve: () => void, count: () => number) {
    this.#host = host;
    this.#serve = serve;
    this.#count = count;
  }

  /** Called when an entry was queued. */
  begin(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#host.setMacrotask(this.#run);
  }

  /** Called when an entry has left the queue, for any reason. */
  noteServed(): void {
    if (this.#emptied === null || this.#count() > 0) return;
    this.#emptied.resolve();
    this.#emptied = null;
  }

  /** Resolves when nothing is queued. */
  async emptied(): Promise<void> {
    while (this.#count() > 0) {
      await (this.#emptied ??= Promise.withResolvers<void>()).promise;
    }
  }

  readonly #run = (): void => {
    this.#isScheduled = false;
    this.#serve();
    if (this.#count() > 0) this.begin();
  };
}
