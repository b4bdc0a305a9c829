/**
 * Receiving directly into a result, without the read buffer. Memory is taken slot by slot, and each
 * receive asks for the missing bytes only.
 *
 * @module
 */
import { tryTakeSlot } from "../../buf/buffer_pool.ts";
import { newIoBuf } from "../../buf/io_buf.ts";
import { appendChunk } from "../../buf/io_bufs.ts";
import type { Slot } from "../../buf/slot.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import type { ReadBuffer } from "./read_buffer.ts";
import type { ReadState } from "../../ring/read_source.ts";
import type { RecvCall } from "./recv_call.ts";

export class DirectRead {
  readonly #context: NetworkContext;
  #slot: Slot | null = null;
  #filled = 0;
  /** Whether the pool had no memory. The next receive then takes a provided buffer. */
  starved = false;

  constructor(context: NetworkContext) {
    this.#context = context;
  }

  /**
   * Writes the record for up to `missing` bytes. Returns false when there is no memory for it now.
   */
  prepare(writer: OpWriter, fd: number, missing: number, state: ReadState): boolean {
    const slot = this.#slot ?? this.#take(missing);
    if (slot === null) {
      this.starved = true;
      return false;
    }
    this.#slot = slot;
    const length = Math.min(missing, slot.capacity - this.#filled);
    const flags = this.#context.readSource.flagsFor(length, state);
    writer.recv(fd, slot.slab, slot.offset + this.#filled, length, flags);
    return true;
  }

  /**
   * The flight has received `count` bytes for the call. They become a chunk of the result. The slot
   * is kept while it has room and bytes are missing.
   */
  toResult(count: number, call: RecvCall): void {
    const slot = this.#slot;
    if (slot === null) return;
    const start = this.#filled;
    this.#filled += count;
    if (count > 0) {
      slot.retain();
      if (call.result !== null) appendChunk(call.result, newIoBuf(slot, start, count));
    }
    if (this.#filled === slot.capacity || call.remaining === 0) this.drop();
  }

  /** The flight has received `count` bytes after its call has left. */
  toBuffer(count: number, buffer: ReadBuffer): void {
    const slot = this.#slot;
    if (slot === null) return;
    const start = this.#filled;
    this.#filled += count;
    if (count > 0) buffer.pushCopy(slot, start, this.#filled);
    this.drop();
  }

  /**
   * Keeps the memory of this flight for good, because the kernel may write to it at any later time.
   */
  detain(): void {
    this.#slot?.retain();
  }

  /** Releases the memory. Only while no receive is in flight. */
  drop(): void {
    this.#slot?.release();
    this.#slot = null;
    this.#filled = 0;
  }

  #take(missing: number): Slot | null {
    const { pool } = this.#context;
    this.#filled = 0;
    return tryTakeSlot(pool, Math.min(missing, pool.config.maxSize));
  }
}
