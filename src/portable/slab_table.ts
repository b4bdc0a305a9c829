/**
 * Slabs of plain JavaScript memory, by number.
 *
 * The table does not keep a slab alive: each slot has a view of it, and an operation holds its
 * slots. Slabs of another source, such as a pool that was made before the network, are lent to the
 * table under the number that they have there; numbers of its own begin above those.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { SlabMemory } from "../buf/slab.ts";

/** The shim numbers its slabs from 0, and has fewer than this. */
const FIRST_OWN = 1 << 24;

export class SlabTable {
  readonly #slabs = new Map<number, WeakRef<Buffer>>();
  readonly #collected = new FinalizationRegistry<number>((id) => this.#forget(id));
  #next = FIRST_OWN;
  /** The slab that was asked for last: most operations name the same one. */
  #lastId = -1;
  #last: WeakRef<Buffer> | null = null;

  /** New memory, filled with zeros; null when there is none. */
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

  /** Notes memory that another source has numbered. */
  lend(id: number, memory: ArrayBuffer): void {
    this.#slabs.set(id, new WeakRef(bufferOf(memory)));
    if (this.#lastId === id) this.#last = null;
    this.#collected.register(memory, id);
  }

  /** The memory of a slab, or null: it is gone, or was never there. */
  find(id: number): Buffer | null {
    if (id !== this.#lastId || this.#last === null) {
      this.#lastId = id;
      this.#last = this.#slabs.get(id) ?? null;
    }
    return this.#last?.deref() ?? null;
  }

  #forget(id: number): void {
    // The number may be another slab's by now, where the other source uses it again.
    if (this.#slabs.get(id)?.deref() !== undefined) return;
    this.#slabs.delete(id);
    if (this.#lastId === id) this.#last = null;
  }
}

const buffers = new WeakMap<ArrayBuffer, Buffer>();

/** One view for the life of the memory: the table refers to the view, and the memory keeps it. */
function bufferOf(memory: ArrayBuffer): Buffer {
  const known = buffers.get(memory);
  if (known !== undefined) return known;
  const made = Buffer.from(memory);
  buffers.set(memory, made);
  return made;
}
