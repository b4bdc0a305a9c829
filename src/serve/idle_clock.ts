/**
 * The clock of idle connections. While the program blocks the thread, the clock counts little, and
 * the check that follows is late: bytes that have arrived meanwhile are received only afterwards,
 * perhaps after that check, which therefore spares a connection whose time is over.
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
  #dueMs = 0;

  constructor(readonly idleTimeoutMs: number, nowMs: number) {
    this.lookMs = Math.ceil(idleTimeoutMs / LOOKS);
    this.#readMs = nowMs;
  }

  /** Called when the next check is set, one `lookMs` ahead. */
  set(nowMs: number): void {
    this.#dueMs = nowMs + this.lookMs;
  }

  /** Whether the program may have blocked the thread before a check at this time. */
  isLate(nowMs: number): boolean {
    return nowMs - this.#dueMs > this.lookMs / 2;
  }

  /** Counts at most the time of two checks. */
  read(nowMs: number): number {
    this.#ms += Math.min(nowMs - this.#readMs, 2 * this.lookMs);
    this.#readMs = nowMs;
    return this.#ms;
  }
}
