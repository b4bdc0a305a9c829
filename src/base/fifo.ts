/**
 * A queue of objects that are linked through their own fields. Every step is O(1), also removal
 * from the middle: a budget that ends, or a signal that is aborted, takes a call out of the middle
 * of a queue, and a program may end 100,000 of them in any order.
 *
 *   head -> a <-> b <-> c     a.previous is c, the tail; c.next is null
 *
 * The head's `previous` is the tail, so that the queue itself has one field less: each connection
 * has two queues, and most of them are empty.
 *
 * Invariants
 * - An item stands in one queue at a time; its `previous` is null exactly while it is in none.
 * - An item that has left refers to no other item.
 *
 * @module
 */
import { assert } from "./assert.ts";

/** The fields belong to the queue in which the object stands. */
export interface Linked<T> {
  next: T | null;
  previous: T | null;
}

export class Fifo<T extends Linked<T>> {
  #head: T | null = null;
  #count = 0;

  get head(): T | null {
    return this.#head;
  }

  get count(): number {
    return this.#count;
  }

  push(item: T): void {
    assert(item.previous === null, "an item stands in one queue at a time");
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
    this.#count++;
  }

  shift(): T | null {
    const item = this.#head;
    if (item !== null) this.#unlinkHead(item);
    return item;
  }

  /** Takes `item` out, which stands in this queue or in none. False when it is in none. */
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
    this.#count--;
    return true;
  }

  #unlinkHead(item: T): void {
    const { next } = item;
    if (next !== null) next.previous = item.previous;
    this.#head = next;
    item.next = item.previous = null;
    this.#count--;
  }
}
