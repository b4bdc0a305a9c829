/**
 * How long to look again before going to sleep. Waking through the event loop costs about 25 us; a
 * reply that comes sooner than that is cheaper to wait for.
 *
 * Policy: a hit makes the budget a quarter larger, a miss an eighth smaller, and a wake-up that
 * came quickly after falling asleep half as large again, between the base budget's floor and the
 * largest budget.
 *
 * @module
 */

export interface SpinConfig {
  /** Budget at the start and lower bound of growth, microseconds. */
  budgetUs: number;
  maxBudgetUs: number;
  /** A sleep shorter than this should have been spun. */
  quickWakeUs: number;
}

/** The budget shrinks to this part of the configured one when spinning keeps missing. */
const FLOOR_PART = 1 / 16;

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
    this.#budgetUs = Math.max(this.#budgetUs * 0.875, this.#config.budgetUs * FLOOR_PART);
  }

  /** Called with the length of a sleep that a wake-up ended. */
  woke(sleptUs: number): void {
    if (this.#config === null || sleptUs >= this.#config.quickWakeUs) return;
    const base = Math.max(this.#budgetUs, this.#config.budgetUs / 2);
    this.#budgetUs = Math.min(base * 1.5, this.#config.maxBudgetUs);
  }
}
