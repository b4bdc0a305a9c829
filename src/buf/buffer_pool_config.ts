/**
 * The size of a pool: power-of-two classes from `minSize` to `maxSize`, with `maxPerClass` buffers
 * each.
 *
 * @module
 */
import { brand } from "../base/brand.ts";
import { check } from "../base/check.ts";

/**
 * The size of a pool, as plain fields. Every field is optional.
 *
 * @example
 * ```ts
 * import { BufferPool, type BufferPoolFields } from "@uringnet/uringnet";
 *
 * const fields: BufferPoolFields = { minSize: 256, maxSize: 4_096, budgetBytes: 1_000_000 };
 * console.log(new BufferPool(fields).config.maxBytes <= 1_000_000); // true
 * ```
 */
export interface BufferPoolFields {
  /**
   * Bytes of the smallest class: a power of two, 64 to 268,435,456.
   * @default {128}
   */
  minSize?: number;
  /**
   * Bytes of the largest class: a power of two, `minSize` to 268,435,456.
   * @default {65_536}
   */
  maxSize?: number;
  /**
   * Buffers of each class, 1 to 1,048,576.
   * @default {4_096}
   */
  maxPerClass?: number;
  /**
   * A strict ceiling in bytes for all classes together. Takes the place of `maxPerClass`.
   * @default {undefined}
   */
  budgetBytes?: number;
  /**
   * Creates every buffer at once instead of when it is first needed.
   * @default {false}
   */
  prefill?: boolean;
  /**
   * Fills released memory with 0xdb, so that a stale view shows.
   * @default {false}
   */
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

/**
 * The checked, frozen form of a caller's configuration. The fields are read once, because a
 * subclass may return other values the next time.
 * @internal
 */
export let resolvePoolConfig: (
  given: BufferPoolConfig | BufferPoolFields | undefined,
) => BufferPoolConfig;

/**
 * The size of a pool. Immutable: each `with` method returns another configuration. A wrong value
 * throws at once.
 *
 * @example
 * ```ts
 * import { BufferPoolConfig } from "@uringnet/uringnet";
 *
 * const config = BufferPoolConfig.forNetwork().withMaxSize(1_024).withMaxPerClass(16);
 * console.log(config.sizeClasses.join(), config.maxBytes); // 128,256,512,1024 30720
 * ```
 */
export class BufferPoolConfig {
  static {
    brand(this, "BufferPoolConfig");
    resolvePoolConfig = (given) => {
      const genuine = given instanceof BufferPoolConfig && #genuine in given &&
        Object.getPrototypeOf(given) === BufferPoolConfig.prototype;
      return genuine ? given : new BufferPoolConfig(given as BufferPoolFields);
    };
  }

  /** Bytes of the smallest class. */
  readonly minSize: number;
  /** Bytes of the largest class. */
  readonly maxSize: number;
  /** Buffers of each class. */
  readonly maxPerClass: number;
  /** The ceiling in bytes that `maxPerClass` was derived from, or null. Kept when sizes change. */
  readonly budgetBytes: number | null;
  /** Whether a pool creates every buffer at once. */
  readonly prefill: boolean;
  /** Whether a pool fills released memory with 0xdb. */
  readonly debug: boolean;
  /** Only an object that this constructor made has the field. */
  readonly #genuine = true;

  /**
   * Checks fields and makes a configuration of them.
   *
   * @param fields Fields that are left out are those of {@link BufferPoolConfig.forNetwork}.
   * @throws {TypeError} A field is unknown or has a wrong type.
   * @throws {RangeError} A value is out of range, or `budgetBytes` is too small for one buffer of
   * each class.
   */
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
    // Another configuration without a budget has null here.
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
   * The configuration of a network's pool: classes of 128 bytes to 64 KiB with 4,096 buffers each,
   * created when they are first needed.
   *
   * @param fields Fields that differ.
   * @returns A configuration.
   * @throws {TypeError} A field is unknown or has a wrong type.
   * @throws {RangeError} A value is out of range.
   */
  static forNetwork(fields: BufferPoolFields = {}): BufferPoolConfig {
    return new BufferPoolConfig(fields);
  }

  /**
   * The sizes of the classes.
   *
   * @returns Sizes in bytes, ascending.
   */
  get sizeClasses(): number[] {
    const sizes: number[] = [];
    for (let size = this.minSize; size <= this.maxSize; size *= 2) sizes.push(size);
    return sizes;
  }

  /**
   * The largest number of bytes that a pool takes: all classes together.
   *
   * @returns A size in bytes.
   */
  get maxBytes(): number {
    return this.#bytesOfOneEach() * this.maxPerClass;
  }

  /**
   * Makes a configuration with another smallest class.
   *
   * @param minSize Bytes: a power of two, 64 to `maxSize`.
   * @returns A configuration.
   * @throws {TypeError} `minSize` is not a number.
   * @throws {RangeError} `minSize` is not a power of two in range.
   */
  withMinSize(minSize: number): BufferPoolConfig {
    return this.#with({ minSize });
  }

  /**
   * Makes a configuration with another largest class.
   *
   * @param maxSize Bytes: a power of two, `minSize` to 268,435,456.
   * @returns A configuration.
   * @throws {TypeError} `maxSize` is not a number.
   * @throws {RangeError} `maxSize` is not a power of two in range.
   */
  withMaxSize(maxSize: number): BufferPoolConfig {
    return this.#with({ maxSize });
  }

  /**
   * Makes a configuration with another count of buffers, and without a budget.
   *
   * @param maxPerClass Buffers of each class, 1 to 1,048,576.
   * @returns A configuration.
   * @throws {TypeError} `maxPerClass` is not a number.
   * @throws {RangeError} `maxPerClass` is not an integer in range.
   */
  withMaxPerClass(maxPerClass: number): BufferPoolConfig {
    return this.#with({ maxPerClass });
  }

  /**
   * Makes a configuration with as many buffers of each class as fit into a budget.
   *
   * @param budgetBytes A strict ceiling in bytes for all classes together.
   * @returns A configuration.
   * @throws {TypeError} `budgetBytes` is not a number.
   * @throws {RangeError} The budget is too small for one buffer of each class.
   */
  withBudgetBytes(budgetBytes: number): BufferPoolConfig {
    return this.#with({ budgetBytes });
  }

  /**
   * Makes a configuration that creates every buffer at once, or not.
   *
   * @param prefill Defaults to true.
   * @returns A configuration.
   * @throws {TypeError} `prefill` is not a boolean.
   */
  withPrefill(prefill = true): BufferPoolConfig {
    return this.#with({ prefill });
  }

  /**
   * Makes a configuration that fills released memory with 0xdb, or not.
   *
   * @param debug Defaults to true.
   * @returns A configuration.
   * @throws {TypeError} `debug` is not a boolean.
   */
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
