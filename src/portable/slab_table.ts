/**
 * Slabs of plain JavaScript memory, by number.
 *
 * The table does not keep a slab alive: each slot has a view of it, and an operation holds its
 * slots. Slabs of another source, such as a pool that was made before the network, are registered
 * under their number in that source. The table's own numbers lie above those.
 *
 * @module
 */
import type { SlabMemory } from "../buf/slab.ts";
import { RUNTIME_SLAB_FIRST } from "../buf/slot.ts";

export class SlabTable {
  readonly #slabs = new Map<number, WeakRef<Uint8Array>>();
  readonly #collected = new FinalizationRegistry<number>((id) => this.#forget(id));
  #next = RUNTIME_SLAB_FIRST;
  /** The slab of the last lookup, because most operations name the same slab. */
  #lastId = -1;
  #last: WeakRef<Uint8Array> | null = null;

  /** Maps new memory, filled with zeros. Null when there is no memory. */
  map(sizeBytes: number): SlabMemory | null {
    let memory: ArrayBuffer;
    try {
      memory = new ArrayBuffer(sizeBytes);
    } catch {
      return null;
    }
    const id = this.#next++;
    this.lend(id, memory);
    return { id, bytes: new Uint8Array(memory) };
  }

  /** Registers memory that another source has numbered. */
  lend(id: number, memory: ArrayBuffer): void {
    this.#slabs.set(id, new WeakRef(viewOf(memory)));
    if (this.#lastId === id) this.#last = null;
    this.#collected.register(memory, id);
  }

  /** The memory of a slab; null when it was collected or never existed. */
  find(id: number): Uint8Array | null {
    if (id !== this.#lastId || this.#last === null) {
      this.#lastId = id;
      this.#last = this.#slabs.get(id) ?? null;
    }
    return this.#last?.deref() ?? null;
  }

  #forget(id: number): void {
    // The number may belong to another slab by now, when the other source has reused it.
    if (this.#slabs.get(id)?.deref() !== undefined) return;
    this.#slabs.delete(id);
    if (this.#lastId === id) this.#last = null;
  }
}

const views = new WeakMap<ArrayBuffer, Uint8Array>();

/**
 * One view for the life of the memory. The table refers to the view weakly, and the memory keeps it
 * alive.
 */
function viewOf(memory: ArrayBuffer): Uint8Array {
  const known = views.get(memory);
  if (known !== undefined) return known;
  const made = new Uint8Array(memory);
  views.set(memory, made);
  return made;
}
