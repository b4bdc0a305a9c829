/**
 * The memory that the fake kernel may touch at this moment, and that the core must not use.
 *
 * A region is named by an operation (or is a provided buffer) from its submission until the core
 * was given the completion. While it lasts
 * - its bytes do not change, except by the kernel,
 * - what the kernel writes into overlaps nothing else that the kernel has,
 * - no pool slot that contains it is handed out or taken back.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SizeClass } from "../../src/buf/size_class.ts";
import type { SlabMemory } from "../../src/buf/slab.ts";
import type { Slot } from "../../src/buf/slot.ts";

/** Far from the ids of real slabs, which the same process may have. */
let nextSlab = 1_000_000;

/**
 * The byte that the kernel puts into memory that it may write. The core may neither change it nor
 * rely on it.
 */
const SCRIBBLE = 0xa5;
const scribbled = new Uint8Array(1 << 20).fill(SCRIBBLE);

export interface Region {
  slab: number;
  offset: number;
  length: number;
  /** The kernel writes here; else it only reads. */
  writes: boolean;
  /** For messages. */
  owner: string;
  /** The bytes as they must be; null when they are all scribbled over. */
  snapshot: Uint8Array | null;
}

const watches = new Map<number, MemoryWatch>();

export class MemoryWatch {
  /** Called with each broken rule. */
  readonly #complain: (text: string) => void;
  readonly #slabs = new Map<number, Uint8Array>();
  readonly #regions = new Set<Region>();
  /** Slots in use, of every class, also of private ones. */
  readonly live = new Set<Slot>();
  /** Counts changes of ownership. */
  changes = 0;

  constructor(complain: (text: string) => void) {
    this.#complain = complain;
    install();
  }

  mapSlab(sizeBytes: number): SlabMemory {
    const id = nextSlab++;
    const bytes = new Uint8Array(sizeBytes);
    this.#slabs.set(id, bytes);
    watches.set(id, this);
    return { id, bytes };
  }

  /** Ends the watch over all slabs. */
  close(): void {
    for (const id of this.#slabs.keys()) watches.delete(id);
  }

  get regionCount(): number {
    return this.#regions.size;
  }

  /** The bytes that (slab, offset, length) names, or null when any of them lies outside. */
  resolve(slab: number, offset: number, length: number): Uint8Array | null {
    const bytes = this.#slabs.get(slab);
    if (bytes === undefined || length === 0 || offset + length > bytes.length) return null;
    return bytes.subarray(offset, offset + length);
  }

  /** Notes that the kernel has this memory from now on. */
  lend(region: Omit<Region, "snapshot">): Region | null {
    const { slab, offset, length, writes, owner } = region;
    const bytes = this.resolve(slab, offset, length);
    if (bytes === null) {
      this.#complain(`${owner}: ${slab}/${offset}/${length} is out of bounds`);
      return null;
    }
    for (const other of this.#regions) {
      if (!writes && !other.writes) continue;
      if (overlaps(other, slab, offset, length)) {
        this.#complain(`${owner}: its memory is with the kernel already, for ${other.owner}`);
      }
    }
    if (writes) bytes.fill(SCRIBBLE);
    const lent = { ...region, snapshot: writes ? null : bytes.slice() };
    this.#regions.add(lent);
    this.changes++;
    return lent;
  }

  /** Checks that no code wrote to a region while the kernel had it. */
  verify(region: Region): void {
    const bytes = this.resolve(region.slab, region.offset, region.length) as Uint8Array;
    const wanted = region.snapshot ?? scribbled.subarray(0, region.length);
    if (Buffer.compare(bytes, wanted) !== 0) {
      this.#complain(`${region.owner}: its memory changed while the kernel had it`);
    }
  }

  giveBack(region: Region): void {
    this.#regions.delete(region);
    this.changes++;
  }

  taken(slot: Slot): void {
    if (this.live.has(slot)) this.#complain("a slot was handed out twice");
    this.live.add(slot);
    this.changes++;
    this.#checkFree(slot, "handed out");
  }

  put(slot: Slot): void {
    this.changes++;
    if (!this.live.delete(slot)) this.#complain("a slot was taken back twice");
    this.#checkFree(slot, "released");
  }

  #checkFree(slot: Slot, what: string): void {
    for (const region of this.#regions) {
      if (overlaps(region, slot.slab, slot.offset, slot.capacity)) {
        this.#complain(`${region.owner}: its memory was ${what} while in flight`);
      }
    }
  }
}

function overlaps(region: Region, slab: number, offset: number, length: number): boolean {
  return region.slab === slab && region.offset < offset + length &&
    offset < region.offset + region.length;
}

let installed = false;

/** Size classes are private to many owners, so all of them are watched where slots come and go. */
function install(): void {
  if (installed) return;
  installed = true;
  const { take, put } = SizeClass.prototype;
  SizeClass.prototype.take = function () {
    const slot = take.call(this);
    if (slot !== null) watches.get(slot.slab)?.taken(slot);
    return slot;
  };
  SizeClass.prototype.put = function (slot) {
    watches.get(slot.slab)?.put(slot);
    put.call(this, slot);
  };
}
