/**
 * Counts the links that are followed in the core's queues, which measures the cost of a walk
 * without a clock.
 *
 * @module
 */
import { Fifo, type Linked } from "../../src/base/fifo.ts";

// deno-lint-ignore no-explicit-any
type Item = Linked<any>;

export class LinkCounter implements Disposable {
  /** Links that were read since the counter was made, or set to 0. */
  count = 0;
  readonly #counted = new WeakSet<Item>();
  readonly #push = Fifo.prototype.push;

  constructor() {
    const { count, push } = { count: (item: Item) => this.#countLinks(item), push: this.#push };
    Fifo.prototype.push = function (item) {
      count(item);
      push.call(this, item);
    };
  }

  [Symbol.dispose](): void {
    Fifo.prototype.push = this.#push;
  }

  /** Replaces the links of an item by accessors. */
  #countLinks(item: Item): void {
    if (this.#counted.has(item)) return;
    this.#counted.add(item);
    for (const name of ["next", "previous"] as const) {
      let link = item[name];
      Object.defineProperty(item, name, {
        get: () => {
          this.count++;
          return link;
        },
        set: (to) => link = to,
      });
    }
  }
}
