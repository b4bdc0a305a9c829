/**
 * Buffers that the kernel can read and write, in power-of-two classes with a fixed count each.
 *
 *   alloc(100)  -> class 128, or plain memory when that class is empty or the size is too large
 *   tryAlloc(n) -> the same, but a NetworkError instead of plain memory
 *
 * Exhaustion never cascades into a larger class: one greedy size cannot starve the others.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";
import { LIMITS } from "../base/limits.ts";
import { NetworkError } from "../base/network_error.ts";
import { BufferPoolConfig, type BufferPoolFields } from "./buffer_pool_config.ts";
import { IoBuf } from "./io_buf.ts";
import { IoBufMut } from "./io_buf_mut.ts";
import { LeakTracker } from "./leak_tracker.ts";
import { SizeClass, spoil } from "./size_class.ts";
import type { SlabSource } from "./slab.ts";
import { Slot, type SlotHome } from "./slot.ts";

/** How memory is handed out. */
export interface AllocOptions {
  /**
   * Fills the whole capacity with zeros. Without it a buffer of the pool shows what was in it
   * before, which may be another peer's bytes. @default {false}
   */
  clear?: boolean;
}

/** Numbers of one class. */
export interface SizeClassStats {
  sizeBytes: number;
  allocated: number;
  available: number;
  allocations: number;
  exhausted: number;
}

export interface BufferPoolStats {
  classes: SizeClassStats[];
  oversized: number;
  leaked: number;
}

const NO_MEMORY = "the system has no memory to map";

/** Where plain memory ends in debug mode: filled as the pool's own is, and left to the runtime. */
const DEBUG_END: SlotHome = { tracker: null, put: spoil };

export class BufferPool {
  static {
    brand(this, "BufferPool");
  }

  readonly config: BufferPoolConfig;
  readonly #classes: SizeClass[];
  readonly #tracker: LeakTracker;
  readonly #minSize: number;
  readonly #minShift: number;
  readonly #plainHome: SlotHome | null;
  #oversized = 0;

  constructor(config: BufferPoolConfig | BufferPoolFields, source: SlabSource) {
    this.config = BufferPoolConfig.of(config);
    const { maxPerClass, debug } = this.config;
    this.#tracker = new LeakTracker(source);
    this.#plainHome = debug ? DEBUG_END : null;
    this.#classes = this.config.sizeClasses.map((sizeBytes) =>
      new SizeClass(sizeBytes, maxPerClass, debug, source, this.#tracker)
    );
    this.#minSize = this.config.minSize;
    this.#minShift = 31 - Math.clz32(this.config.minSize);
    if (this.config.prefill) this.#classes.forEach(BufferPool.#prefill);
  }

  /** What was asked for ahead must be there. */
  static #prefill(sizeClass: SizeClass): void {
    if (sizeClass.prefill()) return;
    const { countMax, sizeBytes } = sizeClass;
    throw new NetworkError(
      `Cannot prefill the pool with ${countMax} buffers of ${sizeBytes} bytes: ${NO_MEMORY}`,
      { code: "PoolExhausted", operation: "alloc" },
    );
  }

  /**
   * A writable buffer of `length` bytes, 0 to 4,294,967,295. Falls back to plain memory, which
   * works everywhere but is copied once more when sent.
   *
   * The contents are undefined: memory of the pool is used again, so that they may be bytes that
   * another peer sent or was sent. Write every byte before the buffer leaves the program, or ask
   * for `{ clear: true }`.
   *
   * Throws TypeError or RangeError for a wrong length, and RangeError when the runtime has no
   * memory for so many bytes.
   */
  alloc(length: number, options?: AllocOptions): IoBufMut {
    check.integer("length", length, 0, LIMITS.lengthMax);
    const clear = options !== undefined && BufferPool.#clears(options);
    if (length === 0) return this.handleMut(Slot.plain(new Uint8Array(0)), 0);
    const slot = this.tryTake(length);
    if (slot === null) return this.handleMut(this.#plain(length), length);
    if (clear) slot.bytes.fill(0);
    return this.handleMut(slot, length);
  }

  /** As `alloc`, but throws a NetworkError: "PoolExhausted" or "PoolOversized". */
  tryAlloc(length: number, options?: AllocOptions): IoBufMut {
    check.integer("length", length, 0, LIMITS.lengthMax);
    if (length === 0) return this.alloc(0, options);
    const clear = options !== undefined && BufferPool.#clears(options);
    const slot = this.tryTake(length);
    if (slot !== null) {
      if (clear) slot.bytes.fill(0);
      return this.handleMut(slot, length);
    }
    throw new NetworkError(`Cannot allocate ${length} bytes from the pool: ${this.#why(length)}`, {
      code: length > this.config.maxSize ? "PoolOversized" : "PoolExhausted",
      operation: "alloc",
    });
  }

  static #clears(options: AllocOptions): boolean {
    const { clear } = check.options("options", options, ["clear"]);
    return clear !== undefined && check.boolean("options.clear", clear);
  }

  /** Why there is no slot of this length. */
  #why(length: number): string {
    const sizeClass = this.classFor(length);
    if (sizeClass === null) return `larger than the largest class of ${this.config.maxSize} bytes`;
    if (sizeClass.available > 0) return NO_MEMORY;
    return `all ${sizeClass.countMax} buffers of its class are in use`;
  }

  /** Current numbers, one entry for each class. */
  stats(): BufferPoolStats {
    const classes = this.#classes.map((sizeClass) => ({
      sizeBytes: sizeClass.sizeBytes,
      allocated: sizeClass.allocated,
      available: sizeClass.available,
      allocations: sizeClass.allocations,
      exhausted: sizeClass.exhausted,
    }));
    return { classes, oversized: this.#oversized, leaked: this.#tracker.leaked };
  }

  /** @internal Kernel-visible memory of at least `length` bytes, or null. */
  tryTake(length: number): Slot | null {
    const index = this.#indexFor(length);
    if (index >= this.#classes.length) {
      this.#oversized++;
      return null;
    }
    return this.#classes[index].take();
  }

  /** @internal Memory of at least `length` bytes, the pool's when it has any. */
  take(length: number): Slot {
    return this.tryTake(length) ?? this.#plain(length);
  }

  /** Memory of the runtime, which is zero. */
  #plain(length: number): Slot {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(length);
    } catch (cause) {
      throw new RangeError(`Cannot allocate ${length} bytes: the runtime has no memory for them`, {
        cause,
      });
    }
    return Slot.plain(bytes, this.#plainHome);
  }

  /** @internal The class that serves `length`; null when it is too large. */
  classFor(length: number): SizeClass | null {
    return this.#classes[this.#indexFor(length)] ?? null;
  }

  /** @internal A handle that takes over one reference of `slot`. */
  handle(slot: Slot, start: number, length: number): IoBuf {
    return new IoBuf(slot, start, length);
  }

  /** @internal */
  handleMut(slot: Slot, length: number): IoBufMut {
    return new IoBufMut(slot, 0, length);
  }

  #indexFor(length: number): number {
    return length <= this.#minSize ? 0 : 32 - Math.clz32(length - 1) - this.#minShift;
  }

  /** @internal Watches over dropped handles. */
  get tracker(): LeakTracker {
    return this.#tracker;
  }

  /** @internal Puts what is still held under the garbage collector's watch now. */
  sweep(): void {
    this.#tracker.sweep();
  }
}
