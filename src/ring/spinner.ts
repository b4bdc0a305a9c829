/**
 * How long a thread looks for completions before it sleeps. A sleep costs CPU time and latency, and
 * so does a spin. The controller measures the cost and the gain of its spins.
 *
 *   a wait begins --budget--> spin --+--> hit: a completion came after so many microseconds
 *                                    +--> miss: none came; the thread sleeps
 *                 --0-------> sleep -----> woke: slept for so many microseconds
 *
 * - Spinning pays while the time that spins cost, for each hit, is at most `budgetUs`. Both sides
 *   are moving averages over about {@link MEMORY} spins, misses included.
 * - While spinning pays, a spin lasts for twice the usual wait of a hit, but at least `budgetUs`
 *   and at most `maxBudgetUs`.
 * - While it does not pay, quick wakeups are a sign that waits may have become short: after a
 *   number of them one spin is tried. A trial that hits is followed by another at the next wait. A
 *   trial that misses doubles the number, up to {@link TRIAL_GAP_MAX}.
 *
 * So a steady wait of 20 us is always spun for, one of 200 us costs one trial in 64 quick wakeups,
 * and a thread with 100 messages per second stops spinning after six of them.
 *
 * @module
 */

import { COUNT, type Meter } from "../base/meter.ts";

/**
 * How long a thread looks for completions before it sleeps. All values are microseconds, 0 to
 * 10,000.
 */
export interface SpinConfig {
  /**
   * The time that a spin may cost for each wait that it shortens, and the shortest spin; 0: none.
   * The default is 50.
   */
  budgetUs: number;
  /** The longest spin, at least `budgetUs`. The default is 300. */
  maxBudgetUs: number;
  /** A sleep that is shorter than this is a reason to try a spin again. The default is 150. */
  quickWakeUs: number;
}

/** The number of spins that the averages remember. */
const MEMORY = 8;

/** Quick wakeups before a trial, at first and after trials that missed. */
const TRIAL_GAP_MIN = 4;
const TRIAL_GAP_MAX = 64;

export class Spinner {
  readonly #config: SpinConfig | null;
  readonly #counts: Float64Array;
  /** Averages: microseconds of a spin, the part of spins that hit, and the wait of a hit. */
  #spentUs = 0;
  #hitPart = 1;
  #hitUs = 0;
  #quickWakeups = 0;
  #trialGap = TRIAL_GAP_MIN;

  /** Spins, and their time, are counted in `meter`. */
  constructor(config: SpinConfig | null, meter: Meter) {
    this.#counts = meter.counts;
    this.#config = config === null || config.budgetUs === 0 ? null : config;
  }

  /** Whether there are spins. If so, each turn takes the time. */
  get enabled(): boolean {
    return this.#config !== null;
  }

  /** Microseconds to spin in the wait that begins. With 0 the thread sleeps at once. */
  get budgetUs(): number {
    const config = this.#config;
    if (config === null) return 0;
    if (this.pays) return Math.min(Math.max(config.budgetUs, 2 * this.#hitUs), config.maxBudgetUs);
    return this.#quickWakeups >= this.#trialGap ? config.budgetUs : 0;
  }

  /** Whether spins cost no more than they gain. */
  get pays(): boolean {
    const config = this.#config;
    return config !== null && this.#spentUs <= this.#hitPart * config.budgetUs;
  }

  /** Called when a completion ended a spin, after `waitedUs` microseconds. */
  hit(waitedUs: number): void {
    this.#hitUs += (waitedUs - this.#hitUs) / MEMORY;
    this.#counts[COUNT.spinHits]++;
    this.#spun(waitedUs, 1);
    this.#trialGap = TRIAL_GAP_MIN;
    this.#quickWakeups = TRIAL_GAP_MIN;
  }

  /** Called when a spin of this length found no completion. */
  miss(spentUs: number): void {
    this.#counts[COUNT.spinMisses]++;
    this.#spun(spentUs, 0);
    if (this.pays) return;
    this.#trialGap = Math.min(2 * this.#trialGap, TRIAL_GAP_MAX);
    this.#quickWakeups = 0;
  }

  /** Called when a wakeup ended a sleep of this length. */
  woke(sleptUs: number): void {
    if (this.#config !== null && sleptUs < this.#config.quickWakeUs) this.#quickWakeups++;
  }

  #spun(us: number, hits: 0 | 1): void {
    this.#counts[COUNT.spinSeconds] += us / 1e6;
    this.#spentUs += (us - this.#spentUs) / MEMORY;
    this.#hitPart += (hits - this.#hitPart) / MEMORY;
  }
}
