/**
 * How large a pool is: power-of-two classes from `minSize` to `maxSize`, `maxPerClass` buffers
 * each.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";

export interface BufferPoolFields {
  /** Bytes of the smallest class; a power of two. */
  minSize?: number;
  /** Bytes of the largest class; a power of two. */
  maxSize?: number;
  /** Buffers of each class. */
  maxPerClass?: number;
  /** A strict ceiling for all classes together; takes the place of `maxPerClass`. */
  budgetBytes?: number;
  /** Creates every buffer at once instead of when first needed. */
  prefill?: boolean;
  /** Fills released memory with a pattern, so that a stale view is seen. */
  debug?: boolean;
}

const KNOWN = ["minSize", "maxSize", "maxPerClass", "budgetBytes", "prefill", "debug"];

const SIZE_MIN = 64;
const SIZE_MAX = 1 << 28;
const COUNT_MAX = 1 << 20;

function powerOfTwo(field: string, value: unknown): number {
  const size = check.integer(field, value, SIZE_MIN, SIZE_MAX);
  if ((size & (size - 1)) !== 0) {
    throw new RangeError(`Cannot use "${field}": wanted a power of two, given ${size}`);
  }
  return size;
}

/** Immutable; each `with` method returns another one. Wrong values throw at once. */
export class BufferPoolConfig {
  static {
    brand(this, "BufferPoolConfig");
  }

  readonly minSize: number;
  readonly maxSize: number;
  readonly maxPerClass: number;
  /** The ceiling that `maxPerClass` was derived from, or null. Kept when sizes change. */
  readonly budgetBytes: number | null;
  readonly prefill: boolean;
  readonly debug: boolean;
  /** Not to be had without the constructor. */
  readonly #genuine = true;

  /** Fields that are left out are those of {@link BufferPoolConfig.forNetwork}. */
  constructor(fields: BufferPoolFields = {}) {
    const given = check.options("pool", fields, KNOWN) as BufferPoolFields;
    const { minSize = 128, maxSize = 65_536, maxPerClass = 4_096 } = given;
    const { prefill = false, debug = false } = given;
    this.minSize = powerOfTwo("pool.minSize", minSize);
    this.maxSize = powerOfTwo("pool.maxSize", maxSize);
    if (this.maxSize < this.minSize) {
      throw new RangeError(
        `Cannot use "pool.maxSize": wanted at least minSize (${this.minSize}), ` +
          `given ${this.maxSize}`,
      );
    }
    check.integer("pool.maxPerClass", maxPerClass, 1, COUNT_MAX);
    // Null is what another configuration has where it has none.
    const budgetBytes = fields instanceof BufferPoolConfig && given.budgetBytes === null
      ? undefined
      : given.budgetBytes;
    this.budgetBytes = budgetBytes ?? null;
    this.maxPerClass = budgetBytes === undefined ? maxPerClass : this.#countFor(budgetBytes);
    this.prefill = check.boolean("pool.prefill", prefill);
    this.debug = check.boolean("pool.debug", debug);
    if (new.target === BufferPoolConfig) Object.freeze(this);
  }

  /**
   * @internal The checked, frozen form of what a caller gave. A subclass may answer differently
   * from one time to the next, so its fields are read once.
   */
  static of(given: BufferPoolConfig | BufferPoolFields | undefined): BufferPoolConfig {
    const genuine = given instanceof BufferPoolConfig && #genuine in given &&
      Object.getPrototypeOf(given) === BufferPoolConfig.prototype;
    return genuine ? given : new BufferPoolConfig(given as BufferPoolFields);
  }

  /** 128 bytes to 64 KiB, 4,096 each, created when first needed. */
  static forNetwork(fields: BufferPoolFields = {}): BufferPoolConfig {
    return new BufferPoolConfig(fields);
  }

  /** Sizes of the classes, ascending. */
  get sizeClasses(): number[] {
    const sizes: number[] = [];
    for (let size = this.minSize; size <= this.maxSize; size *= 2) sizes.push(size);
    return sizes;
  }

  /** Bytes of all classes together: what the pool takes at most. */
  get maxBytes(): number {
    return this.#bytesOfOneEach() * this.maxPerClass;
  }

  withMinSize(minSize: number): BufferPoolConfig {
    return this.#with({ minSize });
  }

  withMaxSize(maxSize: number): BufferPoolConfig {
    return this.#with({ maxSize });
  }

  withMaxPerClass(maxPerClass: number): BufferPoolConfig {
    return this.#with({ maxPerClass });
  }

  /** As many of each class as fit into `budgetBytes`; throws when not even one of each does. */
  withBudgetBytes(budgetBytes: number): BufferPoolConfig {
    return this.#with({ budgetBytes });
  }

  withPrefill(prefill = true): BufferPoolConfig {
    return this.#with({ prefill });
  }

  withDebug(debug = true): BufferPoolConfig {
    return this.#with({ debug });
  }

  #with(fields: BufferPoolFields): BufferPoolConfig {
    const { minSize, maxSize, maxPerClass, budgetBytes, prefill, debug } = this;
    const counted = budgetBytes === null || Object.hasOwn(fields, "maxPerClass");
    const count = counted ? { maxPerClass } : { budgetBytes };
    return new BufferPoolConfig({ minSize, maxSize, prefill, debug, ...count, ...fields });
  }

  #bytesOfOneEach(): number {
    return 2 * this.maxSize - this.minSize;
  }

  #countFor(budgetBytes: number): number {
    const least = this.#bytesOfOneEach();
    check.integer("pool.budgetBytes", budgetBytes, least, Number.MAX_SAFE_INTEGER);
    return Math.min(Math.floor(budgetBytes / least), COUNT_MAX);
  }
}
