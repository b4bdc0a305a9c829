/**
 * How long to look again before going to sleep. Waking through the event loop costs about 25 us; a
 * reply that comes sooner than that is cheaper to wait for.
 *
 * Policy: a hit makes the budget a quarter larger, up to the largest one; a miss makes it an eighth
 * smaller, and below a quarter of the base there is no spinning at all: one look through the event
 * loop costs more than that. A wake-up that came quickly after falling asleep makes it half as
 * large again, and brings it back.
 *
 * @module
 */

/**
 * How long a thread looks for completions before it sleeps. All values are microseconds, 0 to
 * 10,000.
 */
export interface SpinConfig {
  /** The budget at the start. The default is 50. */
  budgetUs: number;
  /** The largest budget, at least `budgetUs`. The default is 300. */
  maxBudgetUs: number;
  /** A sleep that is shorter than this makes the budget grow. The default is 150. */
  quickWakeUs: number;
}

/** Below this part of the configured budget spinning ends until a quick wake-up. */
const FLOOR_PART = 1 / 4;

export class Spinner {
  readonly #config: SpinConfig | null;
  #budgetUs: number;

  constructor(config: SpinConfig | null) {
    this.#config = config;
    this.#budgetUs = config?.budgetUs ?? 0;
  }

  /** Microseconds to spin for; 0 when spinning is off. */
  get budgetUs(): number {
    return this.#budgetUs;
  }

  hit(): void {
    if (this.#config === null) return;
    this.#budgetUs = Math.min(this.#budgetUs * 1.25, this.#config.maxBudgetUs);
  }

  miss(): void {
    if (this.#config === null) return;
    const smaller = this.#budgetUs * 0.875;
    this.#budgetUs = smaller < this.#config.budgetUs * FLOOR_PART ? 0 : smaller;
  }

  /** Called with the length of a sleep that a wake-up ended. */
  woke(sleptUs: number): void {
    if (this.#config === null || sleptUs >= this.#config.quickWakeUs) return;
    const base = Math.max(this.#budgetUs, this.#config.budgetUs / 2);
    this.#budgetUs = Math.min(base * 1.5, this.#config.maxBudgetUs);
  }
}
