/**
 * Buffers that the kernel can read and write, in power-of-two classes with a fixed count each.
 *
 *   alloc(100)  -> class 128, or plain memory when that class is empty or the size is too large
 *   tryAlloc(n) -> the same, but a NetworkError instead of plain memory
 *
 * Exhaustion never cascades into a larger class: one greedy size cannot starve the others.
 *
 * The rest of the library takes slots, which have no handle, through the functions that stand
 * before the class. They read private fields, so that a subclass of the pool cannot interfere.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";
import { LIMITS } from "../base/limits.ts";
import { NetworkError } from "../base/network_error.ts";
import {
  BufferPoolConfig,
  type BufferPoolFields,
  resolvePoolConfig,
} from "./buffer_pool_config.ts";
import { type IoBufMut, newIoBufMut } from "./io_buf_mut.ts";
import { LeakTracker } from "./leak_tracker.ts";
import { poison, SizeClass } from "./size_class.ts";
import { defaultSlabSource, type SlabSource } from "./slab.ts";
import { Slot, type SlotHome } from "./slot.ts";

/**
 * How a pool hands out memory.
 *
 * @example
 * ```ts
 * import { type AllocOptions, BufferPool } from "@uringnet/uringnet";
 *
 * const options: AllocOptions = { clear: true };
 * using buffer = new BufferPool().alloc(3, options);
 * console.log(buffer.bytes.join()); // 0,0,0
 * ```
 */
export interface AllocOptions {
  /**
   * Fills the whole capacity with zeros. Without it, a buffer of the pool shows its former
   * contents, which may be bytes of another peer.
   * @default {false}
   */
  clear?: boolean;
}

/** Numbers of one size class of a pool. */
export interface SizeClassStats {
  /** The size of each buffer in bytes. */
  sizeBytes: number;
  /** Buffers in use. */
  allocated: number;
  /** Buffers that can still be taken. */
  available: number;
  /** Buffers that were taken since the pool was made. */
  allocations: number;
  /** Requests that found the class empty since the pool was made. */
  exhausted: number;
}

/** Numbers of a pool. */
export interface BufferPoolStats {
  /** One entry for each size class, by ascending size. */
  classes: SizeClassStats[];
  /** Requests above the largest class since the pool was made. */
  oversized: number;
  /** Buffers that the garbage collector reclaimed since the pool was made. */
  leaked: number;
}

const NO_MEMORY = "the system has no memory to map";

/**
 * The owner of plain memory in debug mode, which is filled on release like the pool's own, and then
 * left to the runtime.
 */
const DEBUG_HOME: SlotHome = { tracker: null, put: poison };

/**
 * Whether the kernel can see the pool's memory, as io_uring needs.
 * @internal
 */
export let isVisiblePool: (pool: BufferPool) => boolean;

/**
 * A pool whose slabs come from `source`.
 * @internal
 */
export let openPool: (
  config: BufferPoolConfig | BufferPoolFields,
  source: SlabSource,
) => BufferPool;

/**
 * Kernel-visible memory of at least `length` bytes, or null. The caller gets one reference.
 * @internal
 */
export let tryTakeSlot: (pool: BufferPool, length: number) => Slot | null;

/**
 * Memory of at least `length` bytes, the pool's when it has any. The caller gets one reference.
 * @internal
 */
export let takeSlot: (pool: BufferPool, length: number) => Slot;

/**
 * The class that serves `length`. Null when the length is too large.
 * @internal
 */
export let sizeClassFor: (pool: BufferPool, length: number) => SizeClass | null;

/**
 * The tracker of the handles on the pool's buffers.
 * @internal
 */
export let leakTrackerOf: (pool: BufferPool) => LeakTracker;

/**
 * A pool of buffers that the kernel can read and write. Each network has one. A program makes its
 * own pool to share it between several networks of one thread, or to have buffers before there is a
 * network.
 *
 * @example
 * ```ts
 * import { BufferPool, Network } from "@uringnet/uringnet";
 *
 * const pool = new BufferPool({ maxPerClass: 64 });
 * await using network = await Network.start({ pool });
 * using buffer = network.pool.alloc(100);
 * console.log(buffer.capacity, buffer.pooled); // 128 true
 * ```
 */
export class BufferPool {
  readonly #isVisible: boolean;
  /** The slab source of the pool that `openPool` makes at the moment. */
  static #source: SlabSource | null = null;

  static {
    brand(this, "BufferPool");
    openPool = (config, source) => {
      // Getters of the caller's fields run before the source is set.
      const resolved = resolvePoolConfig(config);
      BufferPool.#source = source;
      return new BufferPool(resolved);
    };
    isVisiblePool = (pool) => pool.#isVisible;
    tryTakeSlot = (pool, length) => pool.#tryTake(length);
    takeSlot = (pool, length) => pool.#tryTake(length) ?? pool.#plain(length);
    sizeClassFor = (pool, length) => pool.#classes[pool.#indexFor(length)] ?? null;
    leakTrackerOf = (pool) => pool.#tracker;
  }

  /** The size of the pool. */
  readonly config: BufferPoolConfig;
  readonly #classes: SizeClass[];
  readonly #tracker: LeakTracker;
  readonly #minSize: number;
  readonly #minShift: number;
  readonly #plainHome: SlotHome | null;
  #oversized = 0;

  /**
   * Makes a pool. Loads the shared library, if that has not happened in this thread, unless
   * io_uring cannot be used: the pool then serves portable networks only.
   *
   * @param config The size of the pool. Defaults to {@link BufferPoolConfig.forNetwork}.
   * @throws {NetworkError} `"Unsupported"`: `URINGNET_BACKEND` names io_uring, which does not work.
   * `"PoolExhausted"`: the system has no memory for the buffers that `prefill` wants.
   * @throws {TypeError} A field of the configuration is unknown or has a wrong type.
   * @throws {RangeError} A value of the configuration is out of range.
   */
  constructor(config: BufferPoolConfig | BufferPoolFields = BufferPoolConfig.forNetwork()) {
    const given = BufferPool.#source;
    BufferPool.#source = null;
    this.config = resolvePoolConfig(config);
    const source = given ?? defaultSlabSource();
    this.#isVisible = source.visible !== false;
    const { maxPerClass, debug } = this.config;
    this.#tracker = new LeakTracker(source);
    this.#plainHome = debug ? DEBUG_HOME : null;
    this.#classes = this.config.sizeClasses.map((sizeBytes) =>
      new SizeClass(sizeBytes, maxPerClass, debug, source, this.#tracker)
    );
    this.#minSize = this.config.minSize;
    this.#minShift = 31 - Math.clz32(this.config.minSize);
    if (this.config.prefill) this.#classes.forEach(BufferPool.#prefill);
  }

  static #prefill(sizeClass: SizeClass): void {
    if (sizeClass.prefill()) return;
    const { countMax, sizeBytes } = sizeClass;
    throw new NetworkError(
      `Cannot prefill the pool with ${countMax} buffers of ${sizeBytes} bytes: ${NO_MEMORY}`,
      { code: "PoolExhausted", operation: "alloc" },
    );
  }

  /**
   * Takes a writable buffer. Falls back to plain memory, which works everywhere and is copied once
   * more when sent.
   *
   * The contents are undefined: the pool reuses memory, so they may be bytes that another peer has
   * sent or received. Write every byte before the buffer leaves the program, or ask for `{ clear:
   * true }`.
   *
   * @param length The length in bytes, 0 to 4,294,967,295.
   * @param options See {@link AllocOptions}.
   * @returns A buffer of `length` bytes.
   * @throws {TypeError} `length` is not a number, or an option is unknown or has a wrong type.
   * @throws {RangeError} `length` is not an integer in range, or the runtime has no memory for so
   * many bytes.
   */
  alloc(length: number, options?: AllocOptions): IoBufMut {
    check.integer("length", length, 0, LIMITS.lengthMax);
    const clear = options !== undefined && BufferPool.#clears(options);
    if (length === 0) return newIoBufMut(Slot.plain(new Uint8Array(0)), 0);
    const slot = this.#tryTake(length);
    if (slot === null) return newIoBufMut(this.#plain(length), length);
    if (clear) slot.bytes.fill(0);
    return newIoBufMut(slot, length);
  }

  /**
   * Takes a writable buffer of the pool, as `alloc` does, but never plain memory.
   *
   * @param length The length in bytes, 0 to 4,294,967,295.
   * @param options See {@link AllocOptions}.
   * @returns A buffer of `length` bytes.
   * @throws {NetworkError} `"PoolExhausted"`: all buffers of the class are in use, or the system
   * has no memory for another one. `"PoolOversized"`: `length` is above the largest class.
   * @throws {TypeError} `length` is not a number, or an option is unknown or has a wrong type.
   * @throws {RangeError} `length` is not an integer in range.
   */
  tryAlloc(length: number, options?: AllocOptions): IoBufMut {
    check.integer("length", length, 0, LIMITS.lengthMax);
    if (length === 0) return this.alloc(0, options);
    const clear = options !== undefined && BufferPool.#clears(options);
    const slot = this.#tryTake(length);
    if (slot !== null) {
      if (clear) slot.bytes.fill(0);
      return newIoBufMut(slot, length);
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

  /** The reason why there is no slot of this length. */
  #why(length: number): string {
    const sizeClass = this.#classes[this.#indexFor(length)];
    if (sizeClass === undefined) {
      return `larger than the largest class of ${this.config.maxSize} bytes`;
    }
    if (sizeClass.available > 0) return NO_MEMORY;
    return `all ${sizeClass.countMax} buffers of its class are in use`;
  }

  /**
   * Reads the current numbers.
   *
   * @returns New objects with plain numbers.
   */
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

  #tryTake(length: number): Slot | null {
    const index = this.#indexFor(length);
    if (index >= this.#classes.length) {
      this.#oversized++;
      return null;
    }
    return this.#classes[index].take();
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

  #indexFor(length: number): number {
    return length <= this.#minSize ? 0 : 32 - Math.clz32(length - 1) - this.#minShift;
  }
}
