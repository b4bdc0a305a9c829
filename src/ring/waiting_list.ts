/**
 * Operations that wait for a turn, first come first served. Every step is O(1) on average,
 * including removal from the middle, because a program may cancel many waiting operations in any
 * order.
 *
 *   places  0    1    2    3    4    5           an operation knows its place; one that is removed
 *           .    a    -    b    -    c           leaves a gap, which `shift` passes over
 *                ^ first                ^ end
 *
 * The list is a circular array and has no links: an operation needs one number instead of two
 * references, and each connection has two operations.
 *
 * Invariants
 * - The first place is taken unless the list is empty, because gaps at the front are skipped at
 *   once.
 * - A full array grows when less than half of it is gaps; otherwise the gaps are closed. So the
 *   array stays below four times the largest number of operations that waited since it was last
 *   small.
 * - An empty list keeps an array of `LIMITS.waitingPlacesKept` places at most.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { LIMITS } from "../base/limits.ts";

/** An operation that can wait, in one list at a time. */
export interface Waiting {
  /**
   * The place of the operation in its list, which only the list reads. Without a meaning while the
   * operation is in no list.
   */
  place: number;
}

const CAPACITY_MIN = 16;

export class WaitingList<T extends Waiting> {
  #items: (T | null)[] = new Array<T | null>(CAPACITY_MIN).fill(null);
  /** Capacity minus one: the capacity is a power of two. */
  #mask = CAPACITY_MIN - 1;
  /** Places are 32-bit numbers that wrap. */
  #first = 0;
  #end = 0;
  #count = 0;

  /** The number of waiting operations. */
  get count(): number {
    return this.#count;
  }

  /** Places in the array, for tests of its bound. */
  get capacity(): number {
    return this.#mask + 1;
  }

  push(item: T): void {
    if (((this.#end - this.#first) | 0) > this.#mask) this.#makeRoom();
    item.place = this.#end;
    this.#items[this.#end & this.#mask] = item;
    this.#end = (this.#end + 1) | 0;
    this.#count++;
  }

  shift(): T | null {
    if (this.#count === 0) return null;
    const item = this.#items[this.#first & this.#mask] as T;
    this.#vacate(this.#first);
    return item;
  }

  /** Removes an operation. Returns false when it does not wait here. */
  remove(item: T): boolean {
    if (this.#items[item.place & this.#mask] !== item) return false;
    this.#vacate(item.place);
    return true;
  }

  #vacate(place: number): void {
    this.#items[place & this.#mask] = null;
    this.#count--;
    if (this.#count === 0) {
      this.#first = this.#end;
      if (this.#mask >= LIMITS.waitingPlacesKept) this.#resize(CAPACITY_MIN);
    } else if (place === this.#first) {
      do {
        this.#first = (this.#first + 1) | 0;
      } while (this.#items[this.#first & this.#mask] === null);
    }
  }

  /** Closes the gaps when they are at least half of the places; otherwise doubles the array. */
  #makeRoom(): void {
    const capacity = this.#mask + 1;
    this.#resize(this.#count * 2 > capacity ? capacity * 2 : capacity);
  }

  #resize(capacity: number): void {
    const items = new Array<T | null>(capacity).fill(null);
    let count = 0;
    for (let place = this.#first; place !== this.#end; place = (place + 1) | 0) {
      const item = this.#items[place & this.#mask];
      if (item === null) continue;
      item.place = count;
      items[count++] = item;
    }
    assert(count === this.#count, "every operation that waits has a place");
    this.#items = items;
    this.#mask = capacity - 1;
    this.#first = 0;
    this.#end = count;
  }
}
