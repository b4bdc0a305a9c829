/**
 * The timeout of a socket without traffic: one timer for each period, none for each chunk.
 *
 *   stopped --start()--> running --expired()--> quiet --touch()--> running --stop()--> stopped
 *
 * - Traffic only notes the time, from the clock of the network's last turn. When there was traffic
 *   since the timer was set, the timer is set again for the remaining time.
 * - `stop` leaves the timer running, and `start` uses it unless it would fire too late: a server of
 *   `node:http` starts and stops a timeout with each request.
 * - `release` clears the timer, so that nothing remains of a destroyed socket.
 * - The end of a period has the context of the last `start`, as in Node, and not that of the call
 *   that has set the timer: requests that share a connection share the timer.
 *
 * @module
 */
import { clearTimeout, setTimeout } from "node:timers";
import { type AsyncScope, asyncScope } from "./async_scope.ts";

export class IdleTimer {
  readonly #now: () => number;
  readonly #expired: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** 0 while there is no timeout. */
  #periodMs = 0;
  #firesAtMs = 0;
  #lastActiveMs = 0;
  /** That of the last `start`; null while there is no timeout, as it holds objects of a request. */
  #scope: AsyncScope | null = null;

  /**
   * `expired` is called one period after the last traffic, and again only after further traffic.
   */
  constructor(now: () => number, expired: () => void) {
    this.#now = now;
    this.#expired = expired;
  }

  start(periodMs: number): void {
    this.#periodMs = periodMs;
    this.#scope = asyncScope.capture();
    this.#lastActiveMs = this.#now();
    if (this.#timer !== null && this.#firesAtMs <= this.#lastActiveMs + periodMs) return;
    this.#clear();
    this.#set(periodMs);
  }

  /** Notes traffic. */
  touch(): void {
    this.#lastActiveMs = this.#now();
    if (this.#timer === null && this.#periodMs > 0) this.#set(this.#periodMs);
  }

  /** Turns the timeout off until the next `start`. */
  stop(): void {
    this.#periodMs = 0;
    this.#scope = null;
  }

  /** Called when the socket is destroyed. */
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
    // The timeout of an idle socket does not keep the process alive.
    this.#timer.unref();
  }

  readonly #fire = (): void => {
    this.#timer = null;
    if (this.#periodMs === 0) return;
    const remainingMs = this.#lastActiveMs + this.#periodMs - this.#now();
    // Both clocks have a resolution of a millisecond or finer. A remaining fraction counts as zero.
    if (remainingMs >= 1) {
      this.#set(remainingMs);
      return;
    }
    this.#scope?.run(this.#expired);
  };
}
