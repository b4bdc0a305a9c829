/**
 * That one call waits no longer than until a signal is aborted.
 *
 * @module
 */
import { SignalWatch } from "./signal_watch.ts";

export class Patience {
  /** The watch's own. */
  next: Patience | null = null;
  previous: Patience | null = null;
  readonly #watch: SignalWatch;
  readonly #call: { abort(reason: unknown): void };
  #waits = false;

  constructor(signal: AbortSignal, call: { abort(reason: unknown): void }) {
    this.#watch = SignalWatch.of(signal);
    this.#call = call;
  }

  begin(): void {
    this.#watch.add(this);
    this.#waits = true;
  }

  /** The call waits no more. Does nothing when it did not. */
  end(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#watch.remove(this);
  }

  /** The signal was aborted. */
  lose(reason: unknown): void {
    this.end();
    this.#call.abort(reason);
  }
}
