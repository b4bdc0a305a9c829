/**
 * Random choices that can be repeated.
 *
 * Not fast-check: most choices depend on what has happened so far (which connection is open, what
 * has arrived), so a shortened list of choices is another scenario and not a smaller one.
 *
 * @module
 */
import { randomSeed } from "./seed.ts";

/** Repeatable random numbers (sfc32): the same seed gives the same sequence everywhere. */
export class Random {
  readonly seed: number;
  #a = 0x9e3779b9;
  #b = 0x243f6a88;
  #c: number;
  #counter = 1;

  constructor(seed: number = randomSeed()) {
    this.seed = seed >>> 0;
    this.#c = this.seed;
    for (let round = 0; round < 15; round++) this.next();
  }

  /** A u32. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** From 0, below 1. */
  float(): number {
    return this.next() / 0x1_0000_0000;
  }

  /** An integer from `min` to `max`, both possible. */
  int(min: number, max: number): number {
    return min + Math.floor(this.float() * (max - min + 1));
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("Cannot pick from nothing");
    return items[this.int(0, items.length - 1)];
  }

  /** The same items in another order, in a new array. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items];
    for (let index = shuffled.length - 1; index > 0; index--) {
      const other = this.int(0, index);
      [shuffled[index], shuffled[other]] = [shuffled[other], shuffled[index]];
    }
    return shuffled;
  }

  /** That many random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.next() >>> 24;
    return bytes;
  }

  /** A generator of its own, so that one consumer's draws do not shift another's. */
  fork(): Random {
    return new Random(this.next());
  }
}
