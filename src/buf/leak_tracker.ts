/**
 * The safety net under buffers that are dropped without release.
 *
 * A FinalizationRegistry over every handle would cost more than the whole send path, and nearly all
 * handles are released within a turn or two. For that reason each handle spends its first moments
 * in a nursery:
 *
 *   handle created -> nursery --(released meanwhile)--> removed
 *                             --(still open at a sweep)--> registered
 *                                     --(released)--> unregistered
 *                                     --(collected)--> reclaimed, counted
 *
 * A timer sweeps the nursery, {@link NURSERY_MS} after the first handle. A busy ring saves most
 * timers, because it reports when it becomes idle: where no handle is open, the nursery is emptied
 * at that moment instead. While no ring is busy, no report comes, and a new handle sets the timer.
 *
 * @module
 */
import { type BufferHandle, handleFields } from "./buffer_handle.ts";
import type { SlabSource } from "./slab.ts";
import type { HandleTracker, Slot } from "./slot.ts";

/** How long a handle stays in the nursery. */
const NURSERY_MS = 10;

/** Handles in the nursery: bounds both its memory and the length of one sweep (about 20 us). */
const NURSERY_COUNT_MAX = 4_096;

/** Of all pools of the thread: a program that starts many networks is told once. */
let hasWarned = false;

export class LeakTracker implements HandleTracker {
  readonly #source: SlabSource;
  readonly #registry = new FinalizationRegistry<Slot>((slot) => this.#reclaim(slot));
  readonly #nursery: (BufferHandle | null)[] = [];
  #count = 0;
  /** Handles that are open and not registered. */
  #unregisteredCount = 0;
  /** Rings that will call `onIdle`. */
  #busyCount = 0;
  #isTimerSet = false;
  /** Buffers that the garbage collector found. */
  leaked = 0;

  constructor(source: SlabSource) {
    this.#source = source;
  }

  add(handle: BufferHandle): void {
    this.#unregisteredCount++;
    this.#nursery[this.#count++] = handle;
    if (this.#count === NURSERY_COUNT_MAX) this.sweep();
    if (this.#busyCount === 0) this.#startTimer();
  }

  /** A handle that is not registered was released or moved. */
  removeUnregistered(): void {
    this.#unregisteredCount--;
  }

  /** A registered handle was released or moved. */
  unregister(handle: BufferHandle): void {
    handleFields.setRegistered(handle, false);
    this.#registry.unregister(handle);
  }

  /** The caller becomes busy, and promises one call of `onIdle`. */
  onBusy(): void {
    this.#busyCount++;
  }

  /** The caller becomes idle. Handles that are still open are swept later, by the timer. */
  onIdle(): void {
    this.#busyCount--;
    if (this.#unregisteredCount > 0) this.#startTimer();
    else this.#empty();
  }

  #startTimer(): void {
    if (this.#isTimerSet) return;
    this.#isTimerSet = true;
    this.#source.setTimer(() => {
      this.#isTimerSet = false;
      this.sweep();
    }, NURSERY_MS);
  }

  /** Empties the nursery, because no handle in it is open. No timer is needed then. */
  #empty(): void {
    for (let i = 0; i < this.#count; i++) this.#nursery[i] = null;
    this.#count = 0;
  }

  /** Registers every handle in the nursery that is still open, and empties the nursery. */
  sweep(): void {
    const nursery = this.#nursery;
    const count = this.#count;
    this.#count = 0;
    for (let i = 0; i < count; i++) {
      const handle = nursery[i] as BufferHandle;
      nursery[i] = null;
      const slot = handleFields.slot(handle);
      if (slot === null || handleFields.isRegistered(handle)) continue;
      handleFields.setRegistered(handle, true);
      this.#unregisteredCount--;
      this.#registry.register(handle, slot, handle);
    }
  }

  #reclaim(slot: Slot): void {
    this.leaked++;
    slot.release();
    if (hasWarned) return;
    hasWarned = true;
    this.#source.warn(
      "uringnet: a buffer was dropped without release() and reclaimed by the garbage collector; " +
        "use `using`, release(), or give it to send() " +
        "(reported once; buffer_pool_leaked_total counts)",
    );
  }
}
