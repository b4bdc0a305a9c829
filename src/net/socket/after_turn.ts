/**
 * Consumers that a turn has something for: they run in one microtask, after the turn.
 *
 *   complete() -> add(item) ... -> the turn ends -> microtask: item.deliver(), in order of arrival
 *
 * - User code never runs inside a turn. What it submits joins the next one: the pump takes that
 *   turn only after a quiet round of microtasks, and this microtask is queued before the pump's.
 * - An item that throws ends its own delivery. The error is reported as uncaught, as one from any
 *   callback of the runtime; the items behind it run in a microtask of their own.
 *
 * @module
 */

export interface Deliverable {
  deliver(): void;
}

export class AfterTurn {
  #items: Deliverable[] = [];
  /** The array of the delivery before, to be filled while the other one is worked through. */
  #spare: Deliverable[] = [];
  #scheduled = false;

  /** Delivers to `item` soon. An item is added once until its delivery. */
  add(item: Deliverable): void {
    this.#items.push(item);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#run);
  }

  readonly #run = (): void => {
    const items = this.#items;
    this.#items = this.#spare;
    this.#scheduled = false;
    let at = 0;
    try {
      while (at < items.length) items[at++].deliver();
    } finally {
      // Only after an error anything is left. Items that were added meanwhile came later.
      if (at < items.length) this.#putBack(items.slice(at));
      items.length = 0;
      this.#spare = items;
    }
  };

  #putBack(rest: readonly Deliverable[]): void {
    const later = this.#items.splice(0);
    for (const item of rest) this.add(item);
    for (const item of later) this.add(item);
  }
}
