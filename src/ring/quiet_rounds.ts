/**
 * Waits in microtasks until the user's code has no more calls to make.
 *
 *   begin -> round: a call was made -> round ... -> two rounds without a call -> onQuiet
 *
 * All calls of a program in reaction to one batch then go to the kernel in one system call. A
 * program that takes message after message out of the read buffer and answers each has a limited
 * number of rounds: its first answers must not wait for its last.
 *
 * @module
 */
import { queueMicrotask } from "../base/queue_microtask.ts";
import { LIMITS } from "../base/limits.ts";

/** Microtask rounds without a call that count as quiet: `await` chains take up to three. */
const QUIET_ROUND_COUNT = 2;

export class QuietRounds {
  readonly #activity: () => number;
  readonly #onQuiet: () => void;
  #seen = 0;
  #quietCount = 0;
  /** Rounds that may still have calls in them. */
  #left = 0;

  /** `activity` grows with each call. */
  constructor(activity: () => number, onQuiet: () => void) {
    this.#activity = activity;
    this.#onQuiet = onQuiet;
  }

  /** Begins to wait. Not to be called again before `onQuiet`. */
  begin(): void {
    this.#seen = this.#activity();
    this.#left = LIMITS.gatherRoundCountMax;
    this.#quietCount = 0;
    queueMicrotask(this.#round);
  }

  readonly #round = (): void => {
    const activity = this.#activity();
    if (activity !== this.#seen && --this.#left > 0) {
      this.#seen = activity;
      this.#quietCount = 0;
      queueMicrotask(this.#round);
    } else if (++this.#quietCount < QUIET_ROUND_COUNT) {
      queueMicrotask(this.#round);
    } else {
      this.#onQuiet();
    }
  };
}
