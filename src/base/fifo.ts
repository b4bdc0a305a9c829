/**
 * A queue of objects linked through their own `next` field: no allocation, O(1) at both ends. An
 * object stands in one queue at a time. Removal from the middle is O(n): it serves timeouts and
 * aborts, which are rare.
 *
 * @module
 */

export interface Linked<T> {
  next: T | null;
}

export class Fifo<T extends Linked<T>> {
  #head: T | null = null;
  #tail: T | null = null;
  #count = 0;

  get head(): T | null {
    return this.#head;
  }

  get count(): number {
    return this.#count;
  }

  push(item: T): void {
    item.next = null;
    if (this.#tail === null) this.#head = item;
    else this.#tail.next = item;
    this.#tail = item;
    this.#count++;
  }

  shift(): T | null {
    const item = this.#head;
    if (item === null) return null;
    this.#head = item.next;
    if (this.#head === null) this.#tail = null;
    item.next = null;
    this.#count--;
    return item;
  }

  unshift(item: T): void {
    item.next = this.#head;
    this.#head = item;
    if (this.#tail === null) this.#tail = item;
    this.#count++;
  }

  /** Takes `item` out, wherever it stands. False when it is not here. */
  remove(item: T): boolean {
    let before: T | null = null;
    for (let at = this.#head; at !== null; before = at, at = at.next) {
      if (at !== item) continue;
      if (before === null) this.#head = item.next;
      else before.next = item.next;
      if (this.#tail === item) this.#tail = before;
      item.next = null;
      this.#count--;
      return true;
    }
    return false;
  }
}
