/**
 * Turns that follow each other in microtasks, during which no timer and no I/O of the runtime runs.
 * Their number is limited, and so is their time: the reactions of a program may be long.
 *
 *   macrotask, doorbell -> restart -> turn, reactions, turn, reactions ... -> the limit: give way
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";

export class TurnChain {
  #count = 0;
  /** Milliseconds of the host's clock from which the time of the chain counts. */
  #sinceMs = 0;

  /** Called when the runtime has had its turn. */
  restart(nowMs: number): void {
    this.#count = 0;
    this.resume(nowMs);
  }

  /**
   * Called when a pump that rested goes on. The rest is not counted as time. The turns before the
   * rest count: a chain of microtasks may let the pump rest, and no timer has run.
   */
  resume(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** Called with each turn. */
  count(): void {
    this.#count++;
  }

  /** Whether another turn may follow. The first one always may. */
  mayGoOn(nowMs: number): boolean {
    if (this.#count === 0) return true;
    return this.#count < LIMITS.chainedTurnCountMax &&
      nowMs - this.#sinceMs < LIMITS.chainedTurnsMs;
  }
}
