/**
 * A queue of objects that are linked through their own fields. Every step is O(1), removal from the
 * middle included: a budget that ends or a signal that is aborted removes a call from the middle of
 * a queue, and a program may end 100,000 calls in any order.
 *
 *   head -> a <-> b <-> c     a.previous is c, the tail; c.next is null
 *
 * The head's `previous` is the tail, so a queue has one field. An object that is a queue, such as a
 * half of a connection, extends the class and needs no second object.
 *
 * Invariants
 * - An item is in at most one queue; its `previous` is null exactly while the item is in no queue.
 * - An item outside of a queue refers to no other item.
 *
 * @module
 */
import { assert } from "./assert.ts";

/** An object that can be in one queue. Only that queue writes the fields. */
export interface Linked<T> {
  next: T | null;
  previous: T | null;
}

export class Fifo<T extends Linked<T>> {
  #head: T | null = null;

  get head(): T | null {
    return this.#head;
  }

  get tail(): T | null {
    return this.#head === null ? null : this.#head.previous;
  }

  push(item: T): void {
    assert(item.previous === null, "an item is in one queue at a time");
    const head = this.#head;
    if (head === null) {
      this.#head = item;
      item.previous = item;
    } else {
      const tail = head.previous as T;
      tail.next = item;
      item.previous = tail;
      head.previous = item;
    }
  }

  shift(): T | null {
    const item = this.#head;
    if (item !== null) this.#unlinkHead(item);
    return item;
  }

  /** Removes `item`, which is in this queue or in no queue. False when it is in no queue. */
  remove(item: T): boolean {
    const { previous, next } = item;
    if (previous === null) return false;
    if (item === this.#head) {
      this.#unlinkHead(item);
      return true;
    }
    previous.next = next;
    if (next !== null) next.previous = previous;
    else (this.#head as T).previous = previous;
    item.next = item.previous = null;
    return true;
  }

  #unlinkHead(item: T): void {
    const { next } = item;
    if (next !== null) next.previous = item.previous;
    this.#head = next;
    item.next = item.previous = null;
  }
}
