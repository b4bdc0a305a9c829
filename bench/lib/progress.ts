/**
 * How far a run is and how long it will still take. On a terminal one line that changes; elsewhere
 * a plain line now and then.
 *
 * @module
 */
import process from "node:process";

/** How often a log gets a line. */
const LOG_EVERY_MS = 5_000;

/** 3725 -> "1 h 02 min", 65 -> "1 min 05 s" */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3_600)} h ${two(Math.floor(whole % 3_600 / 60))} min`;
}

/**
 * Estimates from what is done: steps have expected lengths, and take longer than that by a factor
 * that the finished ones show.
 */
export class Estimate {
  #expectedDone = 0;
  #tookDone = 0;
  #expectedLeft = 0;

  /** Steps that are to come take this long together. */
  expect(seconds: number): void {
    this.#expectedLeft += seconds;
  }

  /** A step is over; `took` is 0 when it turned out not to be needed. */
  done(expected: number, took: number): void {
    this.#expectedLeft = Math.max(0, this.#expectedLeft - expected);
    if (took === 0) return;
    this.#expectedDone += expected;
    this.#tookDone += took;
  }

  get secondsLeft(): number {
    const factor = this.#expectedDone === 0 ? 1 : this.#tookDone / this.#expectedDone;
    return this.#expectedLeft * factor;
  }
}

export class Progress {
  readonly #terminal = process.stdout.isTTY === true;
  #shownAt = -Infinity;
  #shown = false;

  show(text: string): void {
    if (this.#terminal) {
      const columns = process.stdout.columns ?? 80;
      process.stdout.write(`\r\x1b[K${text.slice(0, columns - 1)}`);
      this.#shown = true;
      return;
    }
    const now = performance.now();
    if (now - this.#shownAt < LOG_EVERY_MS) return;
    this.#shownAt = now;
    process.stdout.write(`${text}\n`);
  }

  /** Prints text that stays, in place of the line. */
  print(text: string): void {
    if (this.#shown) process.stdout.write("\r\x1b[K");
    this.#shown = false;
    process.stdout.write(`${text}\n`);
  }
}
