/**
 * Waits in microtasks until the user's code has no more calls to make.
 *
 *   begin -> round: a call was made -> round ... -> two rounds without a call -> onQuiet
 *
 * All calls of a program in reaction to one batch then go to the kernel in one system call. A
 * program that takes message after message out of the read buffer and answers each has a limited
 * number of rounds: its first answers must not wait for its last.
 *
 * The runtime runs its ticks when no microtask is left. Turns that follow each other in microtasks
 * come before them, unless a caller asks for the opposite.
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";

/** Microtask rounds without a call that count as quiet: `await` chains take up to three. */
const QUIET_ROUND_COUNT = 2;

export class QuietRounds {
  readonly #activity: () => number;
  readonly #submit: () => void;
  readonly #onQuiet: () => void;
  #seen = 0;
  #quietCount = 0;
  /** Rounds that may still have calls in them. */
  #left = 0;
  /** Queues a tick; null while `onQuiet` need not wait for ticks. */
  #nextTick: ((callback: () => void) => void) | null = null;

  /** `activity` grows with each call. `submit` is called before `onQuiet` waits for ticks. */
  constructor(activity: () => number, submit: () => void, onQuiet: () => void) {
    this.#activity = activity;
    this.#submit = submit;
    this.#onQuiet = onQuiet;
  }

  /** Begins to wait. Not to be called again before `onQuiet`. */
  begin(): void {
    this.#seen = this.#activity();
    this.#left = LIMITS.gatherRoundCountMax;
    this.#quietCount = 0;
    queueMicrotask(this.#round);
  }

  /** The next `onQuiet` comes after all ticks of `nextTick` that are queued until it is quiet. */
  waitForTicks(nextTick: (callback: () => void) => void): void {
    this.#nextTick = nextTick;
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
      const nextTick = this.#nextTick;
      this.#nextTick = null;
      if (nextTick === null) return this.#onQuiet();
      nextTick(this.#onQuiet);
      // A tick of the program may take long, or end the process: the calls do not wait for it.
      this.#submit();
    }
  };
}
