/**
 * The read buffers of one ring, in groups by what they suit.
 *
 *   single      `readBufferSize` each: one receive, one buffer
 *   multishot   8 KiB: receives that complete many times, for small messages
 *   bulk        256 KiB: for connections whose bytes come faster than single buffers take them
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";
import { type BufferPool, leakTrackerOf, sizeClassFor } from "../buf/buffer_pool.ts";
import { SizeClass } from "../buf/size_class.ts";
import type { SlabSource } from "../buf/slab.ts";
import type { Slot } from "../buf/slot.ts";
import type { OpWriter } from "./op_writer.ts";
import type { RingPort } from "./port.ts";
import { ProvidedBuffers } from "./provided_buffers.ts";

/** Where read buffers come from. */
export interface ReadMemory {
  pool: BufferPool;
  source: SlabSource;
  /** Of a single receive. */
  sizeBytes: number;
}

export class ReadGroups {
  readonly single: ProvidedBuffers;
  /** Null where receives complete once, and where single buffers are no larger. */
  readonly multishot: ProvidedBuffers | null;
  /** The buffer that a completion brought, until it has an owner again. */
  inHand: Slot | null = null;
  /** Null where single buffers are as large, and where a budget has no room for them. */
  readonly bulk: ProvidedBuffers | null;

  constructor(port: RingPort, memory: ReadMemory) {
    const { pool, source, sizeBytes } = memory;
    const common = { source, countMax: port.bufferCount };
    const { multishotBufferBytes, multishotExtraCount, bulkBufferBytes } = LIMITS;
    const lent = { ...common, reserveCount: LIMITS.reserveBufferCount };
    this.single = new ProvidedBuffers({
      ...lent,
      group: 0,
      shared: sizeClassFor(pool, sizeBytes),
      sizeBytes,
      extraCount: 0,
    });
    const isMultishot = port.multishot && sizeBytes > multishotBufferBytes;
    this.multishot = !isMultishot ? null : new ProvidedBuffers({
      ...lent,
      group: 1,
      shared: sizeClassFor(pool, multishotBufferBytes),
      sizeBytes: multishotBufferBytes,
      extraCount: multishotExtraCount,
    });
    // Without a reserve: when they are all in use, there are still the single ones.
    const large = sizeBytes >= bulkBufferBytes ? null : ReadGroups.#bulkClass(memory);
    this.bulk = large === null ? null : new ProvidedBuffers({
      ...common,
      group: 2,
      shared: large,
      sizeBytes: bulkBufferBytes,
      extraCount: 0,
      reserveCount: 0,
    });
  }

  /** Receives that are with the kernel, or about to be, and choose a buffer. */
  get wanted(): number {
    return this.single.wanted + (this.multishot?.wanted ?? 0) + (this.bulk?.wanted ?? 0);
  }

  /** Writes as many provide records as are useful and fit. */
  stage(writer: OpWriter): void {
    this.single.stage(writer);
    if (this.multishot !== null) this.multishot.stage(writer);
    if (this.bulk !== null) this.bulk.stage(writer);
  }

  /** Gives everything back; only after the ring is closed. */
  release(): void {
    this.single.release();
    this.multishot?.release();
    this.bulk?.release();
  }

  /** The network's own where the pool's buffers are smaller; made when first needed. */
  static #bulkClass({ pool, source }: ReadMemory): SizeClass | null {
    const { bulkBufferBytes, bulkBufferCount } = LIMITS;
    const shared = sizeClassFor(pool, bulkBufferBytes);
    // They would be beyond the budget, which is a strict ceiling.
    if (shared !== null || pool.config.budgetBytes !== null) return shared;
    return new SizeClass(
      bulkBufferBytes,
      bulkBufferCount,
      pool.config.debug,
      source,
      leakTrackerOf(pool),
    );
  }
}
