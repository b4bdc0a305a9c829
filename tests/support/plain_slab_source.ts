/**
 * A slab source for tests without a ring: plain memory, timers that are run by hand, warnings kept.
 *
 * @module
 */
import type { SlabMemory, SlabSource } from "../../src/buf/slab.ts";

interface PlainTimer {
  callback: () => void;
  delayMs: number;
}

export class PlainSlabSource implements SlabSource {
  readonly slabs: SlabMemory[] = [];
  readonly warnings: string[] = [];
  timers: PlainTimer[] = [];

  /** Slabs that there is memory for. */
  slabCountMax = Infinity;

  mapSlab(sizeBytes: number): SlabMemory | null {
    if (this.slabs.length >= this.slabCountMax) return null;
    const slab = { id: this.slabs.length, bytes: new Uint8Array(sizeBytes) };
    this.slabs.push(slab);
    return slab;
  }

  setTimer(callback: () => void, delayMs: number): void {
    this.timers.push({ callback, delayMs });
  }

  warn(message: string): void {
    this.warnings.push(message);
  }

  /** Runs the timers that are set now; returns how many there were. */
  runTimers(): number {
    const due = this.timers;
    this.timers = [];
    for (const { callback } of due) callback();
    return due.length;
  }
}
