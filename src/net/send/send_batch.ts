/**
 * Turns a prefix of the queue into one kernel operation: SEND for one range, SENDMSG for up to 32.
 *
 * - Adjacent ranges of memory become one iovec: many small sends that were written one behind the
 *   other, or messages that were received together, leave as one range.
 * - Other pieces below 2 KiB are gathered by copy when there are several; larger ones are sent in
 *   place.
 * - A caller's large arrays enter window by window, at most four windows at a time.
 * - A batch ends before a waiting flush, and after a fixed number of calls.
 * - Plain memory is copied into memory that the kernel can see.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";
import { tryTakeSlot } from "../../buf/buffer_pool.ts";
import { PLAIN_SLAB, type Slot } from "../../buf/slot.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { Ring } from "../../ring/ring.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import type { GatherBuffer } from "./gather_buffer.ts";
import type { Piece, SendCall } from "./send_call.ts";

/**
 * Bytes in one operation: enough to fill any socket buffer, and few enough to be fair to other
 * sockets.
 */
const BATCH_BYTES_MAX = 1 << 20;

const IOVEC_MAX = LIMITS.iovecBatchSize;

/** The half whose calls leave in the batch. */
export interface BatchOwner {
  readonly ring: Ring;
  readonly socket: { readonly fd: number; readonly context: NetworkContext };
  /** The first call of the queue. */
  readonly head: SendCall | null;
  /** The buffer in which small pieces are gathered. */
  readonly gather: GatherBuffer;
  /**
   * The batch cannot be built: because memory is short (null), or with the error of memory that was
   * transferred away.
   */
  refuse(error: unknown): void;
}

export class SendBatch {
  readonly #queue: BatchOwner;
  /** Bytes in the operation in flight. */
  bytes = 0;
  #block = -1;
  #count = 0;
  readonly #slabs: number[] = [];
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  /** Calls at the front of the queue that have bytes in this batch. */
  #callCount = 0;
  /** Whether a range found no room. No later range may be in this batch then. */
  #full = false;

  constructor(queue: BatchOwner) {
    this.#queue = queue;
  }

  /**
   * Writes the record. Returns false when there are no bytes to send, or no memory to send them
   * from.
   */
  prepare(writer: OpWriter): boolean {
    this.bytes = this.#count = this.#callCount = 0;
    this.#full = false;
    let windows = 0;
    const first = this.#queue.head;
    for (let call = first; call !== null; call = call.next) {
      if (call.settled || this.#callCount === LIMITS.batchCallCountMax) break;
      // The operation completes only when all of it is taken, and a flush must not wait for later
      // sends.
      if (call.flushesBefore !== (first as SendCall).flushesBefore) break;
      const fits = this.#addPieces(call);
      if (fits) windows = this.#addWindows(call, windows);
      if (call.isInFlight) this.#callCount++;
      if (!fits || call.source !== null) break;
    }
    if (this.#count === 0) return false;
    this.#write(writer);
    return true;
  }

  /**
   * Called when the operation has landed. Returns the number of calls that had bytes in the batch.
   */
  land(): number {
    const count = this.#callCount;
    this.#callCount = 0;
    if (this.#block >= 0) this.#queue.ring.blocks.put(this.#block);
    this.#block = -1;
    let call = this.#queue.head;
    for (let i = 0; i < count && call !== null; i++, call = call.next) {
      call.isInFlight = false;
    }
    return count;
  }

  /** Adds a call's pieces. Returns false when the batch is full. */
  #addPieces(call: SendCall): boolean {
    for (let i = call.first; i < call.count; i++) {
      if (this.bytes >= BATCH_BYTES_MAX) return false;
      const piece = call.pieceAt(i);
      if (!this.#makeVisible(call, i, piece)) return false;
      if (!this.#addRange(piece)) return false;
      call.isInFlight = true;
    }
    return true;
  }

  /** Makes the bytes of a piece visible to the kernel, and gathers small pieces. */
  #makeVisible(call: SendCall, index: number, piece: Piece): boolean {
    const plain = piece.slot.slab === PLAIN_SLAB;
    if (!plain && this.#mayStay(call, index, piece)) return true;
    if (piece.slot.gone) return this.#lost(piece);
    const { gather } = this.#queue;
    const { maxSize } = this.#queue.socket.context.pool.config;
    const length = Math.min(piece.length, LIMITS.copyWindowBytes, maxSize);
    const slot = gather.room(length);
    if (slot === null) return plain ? this.#moveToReserve(call, index, piece) : true;
    const at = gather.end;
    slot.bytes.set(piece.slot.bytes.subarray(piece.offset, piece.offset + length), at);
    gather.commit(length);
    if (length < piece.length) call.cut(index, length);
    piece.moveTo(slot, at);
    return true;
  }

  /** Fails the call of a buffer whose memory was transferred away while it was queued. */
  #lost(piece: Piece): false {
    // The batch goes out as it is; the next batch starts at the call and fails the call.
    if (this.#count === 0) {
      this.#queue.refuse(
        new TypeError(
          `Cannot send: the memory of a buffer of ${piece.length} bytes was transferred away ` +
            "while its send was pending",
        ),
      );
    }
    return false;
  }

  /**
   * Whether a piece may be sent in place: the kernel can see it, and it is large, alone, or
   * adjacent to one of its neighbours.
   */
  #mayStay(call: SendCall, index: number, piece: Piece): boolean {
    if (piece.length >= LIMITS.gatherCopyBytes || this.#extends(piece)) return true;
    const next = call.pieceAfter(index);
    if (next === null && this.#count === 0 && call.source === null) return true;
    if (next !== null && next.follows(piece)) return true;
    return piece.slot === this.#queue.gather.slot;
  }

  /**
   * The pool is empty: copies into one buffer of the network's reserve, which is freed when this
   * batch lands.
   */
  #moveToReserve(call: SendCall, index: number, piece: Piece): boolean {
    // One buffer for each batch: a send that its peer does not read must not hold the whole
    // reserve.
    if (this.#count > 0) return false;
    const slot = this.#queue.socket.context.reserve.take();
    if (slot === null) {
      this.#queue.refuse(null);
      return false;
    }
    const length = Math.min(piece.length, slot.capacity);
    slot.bytes.set(piece.slot.bytes.subarray(piece.offset, piece.offset + length));
    if (length < piece.length) call.cut(index, length);
    piece.moveTo(slot, 0);
    return true;
  }

  /**
   * Copies windows of the call's source into memory that the kernel can see. Returns the number of
   * windows in use.
   */
  #addWindows(call: SendCall, used: number): number {
    let windows = used;
    while (call.source !== null && windows < LIMITS.copyWindowCount) {
      const { pool, reserve } = this.#queue.socket.context;
      const windowBytes = Math.min(LIMITS.copyWindowBytes, pool.config.maxSize);
      const wanted = Math.min(call.source.remaining, windowBytes);
      const slot = tryTakeSlot(pool, wanted) ?? (this.#count === 0 ? reserve.take() : null);
      if (slot === null) {
        if (this.#count === 0) this.#queue.refuse(null);
        break;
      }
      if (!this.#fillWindow(call, slot)) break;
      windows++;
    }
    return windows;
  }

  #fillWindow(call: SendCall, slot: Slot): boolean {
    const source = call.source;
    if (source === null) return false;
    let length = 0;
    try {
      length = source.read(slot.bytes, 0, Math.min(slot.capacity, LIMITS.copyWindowBytes));
    } catch (error) {
      slot.release();
      // The batch goes out as it is; the next batch starts at the call and fails the call.
      if (this.#count === 0) this.#queue.refuse(error);
      return false;
    }
    if (source.remaining === 0) call.source = null;
    if (!this.#addRange(call.add(slot, 0, length))) return false;
    call.isInFlight = true;
    return true;
  }

  /** Whether a piece continues the last range. */
  #extends(piece: Piece): boolean {
    const last = this.#count - 1;
    return last >= 0 && this.#slabs[last] === piece.slot.slab &&
      this.#offsets[last] + this.#lengths[last] === piece.slot.offset + piece.offset;
  }

  #addRange(piece: Piece): boolean {
    if (this.#full) return false;
    if (this.#extends(piece)) {
      this.#lengths[this.#count - 1] += piece.length;
    } else {
      this.#full = this.#count === IOVEC_MAX;
      if (this.#full) return false;
      this.#slabs[this.#count] = piece.slot.slab;
      this.#offsets[this.#count] = piece.slot.offset + piece.offset;
      this.#lengths[this.#count] = piece.length;
      this.#count++;
    }
    this.bytes += piece.length;
    return true;
  }

  #write(writer: OpWriter): void {
    const { ring } = this.#queue;
    const fd = this.#queue.socket.fd;
    if (this.#count > 1) this.#block = ring.blocks.take(LIMITS.blocksKeptBySends);
    if (this.#block < 0) {
      // There is one range, or no block is free: sends the first range alone, and the rest with the
      // next batch.
      this.bytes = this.#lengths[0];
      ring.meter.sendIovecs.observe(1);
      writer.send(fd, this.#slabs[0], this.#offsets[0], this.#lengths[0]);
      return;
    }
    for (let i = 0; i < this.#count; i++) {
      const [slab, offset, length] = [this.#slabs[i], this.#offsets[i], this.#lengths[i]];
      ring.blocks.writeTriple(this.#block, i, slab, offset, length);
    }
    ring.meter.sendIovecs.observe(this.#count);
    writer.sendmsg(fd, this.#block, this.#count);
  }
}
