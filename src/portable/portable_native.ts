/**
 * The port of the core over `node:net` and plain memory: no library, no foreign call, no thread.
 *
 * @module
 */
import process from "node:process";
import type { Host } from "../base/host.ts";
import { markAsUntransferable } from "../base/untransferable.ts";
import type { SlabMemory } from "../buf/slab.ts";
import type { NativePort, RingOpenOptions, RingPort, SystemFacts } from "../ring/port.ts";
import type { Macrotask } from "./portable_doorbell.ts";
import { PortableRing } from "./portable_ring.ts";
import { SlabTable } from "./slab_table.ts";

export class PortableNative implements NativePort {
  readonly #slabs = new SlabTable();
  readonly #host: Host;
  readonly #macrotask: Macrotask;

  constructor(host: Host, macrotask: Macrotask) {
    this.#host = host;
    this.#macrotask = macrotask;
  }

  mapSlab(sizeBytes: number): SlabMemory | null {
    const slab = this.#slabs.map(sizeBytes);
    // A view that is transferred, for example to a byte stream, would take the memory of all
    // others.
    if (slab !== null) markAsUntransferable(slab.bytes.buffer);
    return slab;
  }

  /** Registers memory of another source under that source's number, so that its pools work here. */
  lend(slab: SlabMemory): void {
    this.#slabs.lend(slab.id, slab.bytes.buffer as ArrayBuffer);
  }

  openRing(_options?: RingOpenOptions): RingPort {
    return new PortableRing(this.#slabs, this.#macrotask);
  }

  system(): SystemFacts {
    return { kernel: process.platform, disabled: "", memlockBytes: -1 };
  }

  /** None of the kernel's features. */
  probe(): number {
    return 0;
  }

  setTimer(callback: () => void, delayMs: number): unknown {
    return this.#host.setTimer(callback, delayMs);
  }

  warn(message: string): void {
    this.#host.warn(message);
  }
}
