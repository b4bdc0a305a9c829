/**
 * Turns that follow each other in microtasks, during which no timer and no I/O of the runtime runs.
 * Their number is limited, and so is their time: turns in which many sockets close are long.
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";

export class TurnChain {
  #count = 0;
  /** Milliseconds at the first of these turns. */
  #sinceMs = 0;
  #isOver = false;

  /** Called when the runtime has had its turn. */
  restart(): void {
    this.#count = 0;
    this.#isOver = false;
  }

  /**
   * Called when a pump that rested goes on. The rest is not counted as time, but the turns before
   * the rest count: a chain of microtasks may let the pump rest, and no timer has run.
   */
  resume(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#isOver = false;
  }

  /** Called after each turn, with the time of the ring. */
  note(nowMs: number): void {
    if (this.#count++ === 0) this.#sinceMs = nowMs;
    else if (nowMs - this.#sinceMs >= LIMITS.chainedTurnsMs) this.#isOver = true;
  }

  /** Whether the next turn may follow in a microtask. */
  get mayGoOn(): boolean {
    return !this.#isOver && this.#count < LIMITS.chainedTurnCountMax;
  }
}
