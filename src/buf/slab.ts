/**
 * Where buffers come from: memory that the kernel may touch, mapped once and never unmapped while
 * the process lives. The core knows it as an id and one view; the id and u32 offsets are all that
 * is ever handed down.
 *
 * @module
 */

export interface SlabMemory {
  /** Names the mapping in op records. */
  readonly id: number;
  /** The only view over the whole mapping; everything else is a subarray of it. */
  readonly bytes: Uint8Array;
}

/** Maps slabs and lends what a pool needs of its runtime. */
export interface SlabSource {
  /** Null when the system gives no more memory or address space. */
  mapSlab(sizeBytes: number): SlabMemory | null;
  /** Calls once after `delayMs`, without keeping the process alive. */
  setTimer(callback: () => void, delayMs: number): unknown;
  /** Tells the developer of a mistake in the program. */
  warn(message: string): void;
}
