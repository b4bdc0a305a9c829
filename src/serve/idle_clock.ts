/**
 * The clock of idle connections. It stands still while the program blocks the thread, because bytes
 * that arrive meanwhile are received only afterwards, perhaps after the next check.
 *
 * @module
 */

/** The number of checks of idle connections within one idle time. */
const LOOKS = 4;

export class IdleClock {
  /** The time between two checks. */
  readonly lookMs: number;
  #ms = 0;
  #readMs: number;

  constructor(idleTimeoutMs: number, nowMs: number) {
    this.lookMs = Math.ceil(idleTimeoutMs / LOOKS);
    this.#readMs = nowMs;
  }

  /** Counts at most two checks, so that at least one more follows the end of a long block. */
  read(nowMs: number): number {
    this.#ms += Math.min(nowMs - this.#readMs, 2 * this.lookMs);
    this.#readMs = nowMs;
    return this.#ms;
  }
}
