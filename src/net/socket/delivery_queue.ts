/**
 * The consumers to which a turn has something to deliver. They run in one microtask, after the
 * turn.
 *
 *   complete() -> add(item) ... -> the turn ends -> microtask: item.deliver(), in order of arrival
 *
 * - User code never runs inside a turn. The operations that a consumer submits join the next turn:
 *   the pump takes that turn only after a quiet round of microtasks, and the microtask of this
 *   queue is queued before the pump's.
 * - An item that throws ends its own delivery. The runtime reports the error as uncaught, as it
 *   does for any callback. The items behind the failed one run in a microtask of their own.
 *
 * @module
 */
import { queueMicrotask } from "../../base/queue_microtask.ts";

export interface Deliverable {
  deliver(): void;
}

export class DeliveryQueue {
  #items: Deliverable[] = [];
  /** The array of the previous delivery, which is filled while the other array is delivered. */
  #spare: Deliverable[] = [];
  #isScheduled = false;

  /** Delivers to `item` soon. An item is added once until its delivery. */
  add(item: Deliverable): void {
    this.#items.push(item);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(this.#run);
  }

  readonly #run = (): void => {
    const items = this.#items;
    this.#items = this.#spare;
    this.#isScheduled = false;
    let at = 0;
    try {
      while (at < items.length) items[at++].deliver();
    } finally {
      // Items remain only after an error. Items that were added meanwhile come behind them.
      if (at < items.length) this.#putBack(items.slice(at));
      items.length = 0;
      this.#spare = items;
    }
  };

  #putBack(remaining: readonly Deliverable[]): void {
    const later = this.#items.splice(0);
    for (const item of remaining) this.add(item);
    for (const item of later) this.add(item);
  }
}
