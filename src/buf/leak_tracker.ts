/**
 * The safety net under buffers that are dropped without release.
 *
 * Watching every handle with a FinalizationRegistry would cost more than the whole send path, and
 * nearly all handles are released within a turn or two. So handles rest in a nursery first:
 *
 *   handle made -> nursery --(released meanwhile)--> forgotten
 *                          --(still held after a while)--> watched by the registry
 *                                      --(dropped)--> reclaimed, counted
 *
 * The nursery holds its handles strongly for at most {@link NURSERY_MS}, or until it is full.
 *
 * @module
 */
import type { SlabSource } from "./slab.ts";
import type { Slot } from "./slot.ts";

/** How long a handle rests unwatched. */
const NURSERY_MS = 10;

/** Handles in the nursery: bounds both its memory and the length of one sweep (about 20 us). */
const NURSERY_COUNT_MAX = 4_096;

/** What the tracker needs of a handle. */
export interface Tracked {
  /** The memory it still holds, or null when released or moved. */
  heldSlot(): Slot | null;
  watched: boolean;
}

export class LeakTracker {
  readonly #source: SlabSource;
  readonly #registry = new FinalizationRegistry<Slot>((slot) => this.#reclaim(slot));
  readonly #nursery: (Tracked | null)[] = [];
  #count = 0;
  /** Handles that are held and not watched. */
  #live = 0;
  #keepers = 0;
  #timed = false;
  #warned = false;
  leaked = 0;

  constructor(source: SlabSource) {
    this.#source = source;
  }

  add(handle: Tracked): void {
    this.#live++;
    this.#nursery[this.#count++] = handle;
    if (this.#count === NURSERY_COUNT_MAX) this.sweep();
    if (this.#keepers === 0) this.#startTimer();
  }

  /** A handle that is not watched was released or moved. */
  dropped(): void {
    this.#live--;
  }

  /** Somebody promises to call `settle` when handles were made and the thread becomes idle. */
  keep(): void {
    this.#keepers++;
  }

  /** The end of that promise. */
  unkeep(): void {
    this.#keepers--;
    this.settle();
  }

  /** The thread becomes idle: what is still held is looked at once more, later. */
  settle(): void {
    if (this.#live > 0) this.#startTimer();
    else this.#empty();
  }

  #startTimer(): void {
    if (this.#timed) return;
    this.#timed = true;
    this.#source.setTimer(() => {
      this.#timed = false;
      this.sweep();
    }, NURSERY_MS);
  }

  /** Nothing in the nursery is held: no timer is needed to find that out. */
  #empty(): void {
    for (let i = 0; i < this.#count; i++) this.#nursery[i] = null;
    this.#count = 0;
  }

  /** Moves what is still held from the nursery to the registry. */
  sweep(): void {
    const nursery = this.#nursery;
    const count = this.#count;
    this.#count = 0;
    for (let i = 0; i < count; i++) {
      const handle = nursery[i] as Tracked;
      nursery[i] = null;
      const slot = handle.heldSlot();
      if (slot === null || handle.watched) continue;
      handle.watched = true;
      this.#live--;
      this.#registry.register(handle, slot, handle);
    }
  }

  /** A watched handle was released after all. */
  forget(handle: Tracked): void {
    handle.watched = false;
    this.#registry.unregister(handle);
  }

  #reclaim(slot: Slot): void {
    this.leaked++;
    slot.release();
    if (this.#warned) return;
    this.#warned = true;
    this.#source.warn(
      "uringnet: a buffer was dropped without release() and reclaimed by the garbage collector; " +
        "use `using`, release(), or give it to send() (said once; buffer_pool_leaked_total counts)",
    );
  }
}
