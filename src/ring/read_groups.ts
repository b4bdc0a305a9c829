/**
 * The read buffers of one ring, in groups for different kinds of receives.
 *
 *   single      `readBufferSize` each: one receive, one buffer
 *   multishot   8 KiB: receives that complete many times, for small messages
 *   bulk        256 KiB: for connections whose bytes come faster than single buffers take them
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";
import type { Meter } from "../base/meter.ts";
import { type BufferPool, leakTrackerOf, sizeClassFor } from "../buf/buffer_pool.ts";
import { SizeClass } from "../buf/size_class.ts";
import type { SlabSource } from "../buf/slab.ts";
import type { Slot } from "../buf/slot.ts";
import type { OpWriter } from "./op_writer.ts";
import type { RingPort } from "./port.ts";
import { ProvidedBuffers } from "./provided_buffers.ts";
import { StreamFlow } from "./stream_flow.ts";

/** The source of read buffers. */
export interface ReadMemory {
  pool: BufferPool;
  source: SlabSource;
  /** Of a single receive. */
  sizeBytes: number;
}

export class ReadGroups {
  readonly single: ProvidedBuffers;
  readonly stream: StreamFlow;
  /** Null where receives complete only once, and where single buffers are not larger. */
  readonly multishot: ProvidedBuffers | null;
  /** The buffer of the current completion, until it has an owner again. */
  inHand: Slot | null = null;
  /** Null where single buffers are as large, and where the pool has a budget. */
  readonly bulk: ProvidedBuffers | null;

  /**
   * The last receive of this turn that took a buffer, its group, and the flags of its completion.
   */
  #takenBy: object | null = null;
  #takenGroup: ProvidedBuffers | null = null;
  #takenFlags = 0;

  constructor(port: RingPort, memory: ReadMemory, meter: Meter) {
    this.stream = new StreamFlow(meter);
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
    // There is no reserve: when all bulk buffers are in use, receives use single buffers.
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

  /** The number of receives in flight, or in the next turn, that choose a buffer. */
  get wanted(): number {
    return this.single.wanted + (this.multishot?.wanted ?? 0) + (this.bulk?.wanted ?? 0);
  }

  /** Notes that a receive takes the buffer that a completion with these flags names. */
  noteTaken(receive: object, group: ProvidedBuffers, flags: number): void {
    this.#takenBy = receive;
    this.#takenGroup = group;
    this.#takenFlags = flags;
  }

  /** The group from which the receive took that buffer in this turn; null when it took none. */
  takenFrom(receive: object, flags: number): ProvidedBuffers | null {
    return this.#takenBy === receive && this.#takenFlags === flags ? this.#takenGroup : null;
  }

  /** Writes as many provide records as are useful and fit. */
  stage(writer: OpWriter): void {
    this.#takenBy = this.#takenGroup = null;
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

  /**
   * The class of bulk buffers: the network's own where the pool has none of this size, made when
   * first needed.
   */
  static #bulkClass({ pool, source }: ReadMemory): SizeClass | null {
    const { bulkBufferBytes, bulkBufferCount } = LIMITS;
    const shared = sizeClassFor(pool, bulkBufferBytes);
    // Buffers of the network would exceed the budget, which is a strict ceiling.
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
