/**
 * A pause of a server that accepts no connection: it is full, or an accept has failed.
 *
 * The server still wants its next peer. So for the life of the process a pause counts as a pending
 * `accept` of the listener, and not at all after `unref()`.
 *
 * @module
 */
import type { LoopReference } from "../net/call/loop_reference.ts";

export class AcceptPause {
  /** That of the listener. */
  readonly #reference: LoopReference;
  #end: (() => void) | null = null;

  constructor(reference: LoopReference) {
    this.#reference = reference;
  }

  /** Waits for `end`, or until `pauseMs` have passed. */
  async wait(pauseMs: number | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#end = resolve;
    const { host } = this.#reference.context;
    const timer = pauseMs === null ? null : host.setTimer(resolve, pauseMs);
    this.#reference.addCall();
    await promise;
    this.#reference.removeCall();
    timer?.cancel();
  }

  /** Ends the pause, if there is one: a connection or the listener has ended, or a drain begins. */
  end(): void {
    this.#end?.();
    this.#end = null;
  }
}
