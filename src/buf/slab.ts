/**
 * The memory of buffers, which the kernel may touch. It is mapped once and never unmapped while the
 * process lives. The core knows a slab as an id and one view. The id and u32 offsets are all that
 * the core hands down to C.
 *
 * @module
 */

export interface SlabMemory {
  /** Names the mapping in op records. */
  readonly id: number;
  /** The only view over the whole mapping; everything else is a subarray of it. */
  readonly bytes: Uint8Array;
}

/** Maps slabs, and offers the parts of the runtime that a pool needs. */
export interface SlabSource {
  /** False when the kernel cannot see the memory: only portable networks can use it. */
  readonly visible?: boolean;
  /** Maps a slab. Null when the system gives no more memory or address space. */
  mapSlab(sizeBytes: number): SlabMemory | null;
  /** Calls `callback` once after `delayMs`, without keeping the process alive. */
  setTimer(callback: () => void, delayMs: number): unknown;
  /** Reports a mistake in the program to the developer. */
  warn(message: string): void;
}

let openDefault: (() => SlabSource) | null = null;

/**
 * Sets the source of slabs for pools that the program makes itself. Called by `mod.ts`, which knows
 * the native library.
 */
export function setDefaultSlabSource(open: () => SlabSource): void {
  openDefault = open;
}

/** The slab source of this thread. Throws a NetworkError "Unsupported" where there is none. */
export function defaultSlabSource(): SlabSource {
  if (openDefault === null) throw new Error("No slab source: mod.ts was not loaded");
  return openDefault();
}
