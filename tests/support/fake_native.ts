/**
 * The library of the fake thread: slabs and rings on one fake kernel.
 *
 * @module
 */
import type { SlabMemory } from "../../src/buf/slab.ts";
import type { NativePort, RingOpenOptions, RingPort, SystemFacts } from "../../src/ring/port.ts";
import type { FakeKernel } from "./fake_kernel.ts";
import { DEFAULT_SIZES, FakeRing, type FakeRingSizes } from "./fake_ring.ts";

export class FakeNative implements NativePort {
  readonly kernel: FakeKernel;
  readonly rings: FakeRing[] = [];
  readonly warnings: string[] = [];
  /** Answers of `openRing` before it succeeds. */
  readonly refusals: number[] = [];
  readonly opened: RingOpenOptions[] = [];
  /** Whether memory may be refused. */
  scarce = false;
  readonly #sizes: FakeRingSizes;

  constructor(kernel: FakeKernel, sizes: Partial<FakeRingSizes> = {}) {
    this.kernel = kernel;
    this.#sizes = { ...DEFAULT_SIZES, ...sizes };
  }

  mapSlab(sizeBytes: number): SlabMemory | null {
    const { memory, faults } = this.kernel;
    return this.scarce && faults.strikes("unmappable") ? null : memory.mapSlab(sizeBytes);
  }

  /** The pool's own: it ends by itself, and the pool outlives a network. */
  setTimer(callback: () => void, delayMs: number): unknown {
    const { host } = this.kernel;
    return host.at(delayMs + host.lateness(), callback);
  }

  warn(message: string): void {
    this.warnings.push(message);
  }

  openRing(options: RingOpenOptions): RingPort | number {
    this.opened.push(options);
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return refusal;
    const ring = new FakeRing(this.kernel, options, this.#sizes);
    this.rings.push(ring);
    return ring;
  }

  system(): SystemFacts {
    return { kernel: "6.18.0-fake", disabled: "0", memlockBytes: -1 };
  }

  probe(): number {
    return 0b1111;
  }
}
