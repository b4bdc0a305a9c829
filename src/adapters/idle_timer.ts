/**
 * The timeout of a socket without traffic: one timer for each period, none for each chunk.
 *
 *   stopped --start()--> running --expired()--> quiet --touch()--> running --stop()--> stopped
 *
 * - Traffic only notes the time, from the clock of the network's last turn. When the timer fires
 *   early, because something moved meanwhile, it is set again for the remaining time.
 * - `stop` leaves the timer where it is, and `start` uses it when it does not fire too late: a
 *   server of `node:http` starts and stops a timeout with each request.
 * - `release` clears it: nothing of a socket that is gone is left.
 *
 * @module
 */
import { clearTimeout, setTimeout } from "node:timers";

export class IdleTimer {
  readonly #now: () => number;
  readonly #expired: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** 0 while there is no timeout. */
  #periodMs = 0;
  #firesAtMs = 0;
  #lastActiveMs = 0;

  /** `expired` is called a period after the last traffic, and again only after some more. */
  constructor(now: () => number, expired: () => void) {
    this.#now = now;
    this.#expired = expired;
  }

  start(periodMs: number): void {
    this.#periodMs = periodMs;
    this.#lastActiveMs = this.#now();
    if (this.#timer !== null && this.#firesAtMs <= this.#lastActiveMs + periodMs) return;
    this.#clear();
    this.#set(periodMs);
  }

  /** Something moved. */
  touch(): void {
    this.#lastActiveMs = this.#now();
    if (this.#timer === null && this.#periodMs > 0) this.#set(this.#periodMs);
  }

  /** No timeout until the next `start`. */
  stop(): void {
    this.#periodMs = 0;
  }

  /** The socket is gone. */
  release(): void {
    this.stop();
    this.#clear();
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #set(delayMs: number): void {
    this.#firesAtMs = this.#now() + delayMs;
    this.#timer = setTimeout(this.#fire, delayMs);
    // An idle socket does not keep the process alive for its timeout.
    this.#timer.unref();
  }

  readonly #fire = (): void => {
    this.#timer = null;
    if (this.#periodMs === 0) return;
    const remainingMs = this.#lastActiveMs + this.#periodMs - this.#now();
    // Both clocks tick in milliseconds or finer: a remaining fraction counts as none.
    if (remainingMs >= 1) {
      this.#set(remainingMs);
      return;
    }
    this.#expired();
  };
}
