/**
 * Completions that no turn has collected yet, in their order, as four numbers each.
 *
 * @module
 */

const WORDS = 4;

export class CompletionQueue {
  #words: number[] = [];
  /** The number of words that were collected already. */
  #at = 0;

  get count(): number {
    return (this.#words.length - this.#at) / WORDS;
  }

  push(slot: number, generation: number, result: number, flags: number): void {
    this.#words.push(slot, generation, result, flags);
  }

  /** Moves the oldest completions to `target`, at most `countMax`, and returns their number. */
  moveTo(target: Int32Array, countMax: number): number {
    const count = Math.min(this.count, countMax);
    const end = this.#at + count * WORDS;
    for (let at = this.#at, to = 0; at < end; at++, to++) target[to] = this.#words[at];
    this.#at = end;
    if (end === this.#words.length) {
      this.#words.length = 0;
      this.#at = 0;
    }
    return count;
  }
}
