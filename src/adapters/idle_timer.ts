/**
 * The timeout of a socket without traffic: one timer for each period, none for each chunk.
 *
 * Traffic only notes the time, from the clock of the network's last turn. When the timer fires
 * early, because something moved meanwhile, it is set again for the rest.
 *
 * @module
 */
import { clearTimeout, setTimeout } from "node:timers";

export class IdleTimer {
  readonly #now: () => number;
  readonly #expired: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #periodMs = 0;
  #lastActiveMs = 0;

  /** `expired` is called a period after the last traffic, and again only after some more. */
  constructor(now: () => number, expired: () => void) {
    this.#now = now;
    this.#expired = expired;
  }

  start(periodMs: number): void {
    this.stop();
    this.#periodMs = periodMs;
    this.touch();
  }

  /** Something moved. */
  touch(): void {
    this.#lastActiveMs = this.#now();
    if (this.#timer === null && this.#periodMs > 0) this.#set(this.#periodMs);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#periodMs = 0;
  }

  #set(delayMs: number): void {
    this.#timer = setTimeout(this.#fire, delayMs);
    // An idle socket does not keep the process alive for its timeout.
    this.#timer.unref();
  }

  readonly #fire = (): void => {
    this.#timer = null;
    const restMs = this.#lastActiveMs + this.#periodMs - this.#now();
    // Both clocks tick in milliseconds or finer: a fraction left over is none.
    if (restMs >= 1) {
      this.#set(restMs);
      return;
    }
    this.#expired();
  };
}
