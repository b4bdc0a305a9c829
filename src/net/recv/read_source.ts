/**
 * Where the bytes of one connection come from when they go through read buffers.
 *
 *   single: one receive, one buffer of `readBufferSize`, asked for when a call waits
 *   watch:  one receive that completes many times, small buffers, for connections whose
 *           messages are small and awaited one after the other
 *   bulk:   as single, large buffers, for calls that take what there is where there is much
 *
 * A connection begins with single receives. After a row of small, awaited messages it watches; it
 * goes back when a message fills a small buffer, when bytes pile up, or when buffers run out. After
 * a single buffer that was filled while more was waiting it takes large ones, until those bring no
 * more than single ones hold, or run out.
 *
 * None holds a buffer while the connection is idle. Unix sockets never watch: kernels before 2026
 * can miss the end of a stream there.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";
import type { Slot } from "../../buf/slot.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import {
  CQE_BUFFER,
  CQE_BUFFER_SHIFT,
  CQE_SOCKET_NONEMPTY,
  OP_FLAG_POLL_FIRST,
} from "../../ring/port.ts";
import type { ProvidedBuffers } from "../../ring/provided_buffers.ts";
import type { ReadGroups } from "../../ring/read_groups.ts";

/** Trends below zero: after a single buffer that was full, and after many large receives. */
const TREND_FULL = -2;
const TREND_BULK = -4;

export class ReadSource {
  readonly #groups: ReadGroups;
  readonly #watches: boolean;
  /** Where the flight's buffers come from; null when it needs none. */
  #current: ProvidedBuffers | null = null;
  /**
   * Above zero: small messages in a row that a call waited for. Below: large buffers suit, until so
   * many receives have not been worth one. A number, as connections are to be small.
   */
  #trend = 0;
  /** What the buffers' `takenCount` was when a flight last found none. */
  #takenBefore = -1;
  /** More was waiting behind what came last. */
  #more = false;

  constructor(groups: ReadGroups, watches: boolean) {
    this.#groups = groups;
    this.#watches = watches && groups.watch !== null;
  }

  /** Of the next record: nothing is tried before the socket is ready, unless it is known to be. */
  get flags(): number {
    return this.#more ? 0 : OP_FLAG_POLL_FIRST;
  }

  /** The next flight, or the one that is under way, uses a read buffer. */
  get wanted(): boolean {
    return this.#current !== null;
  }

  get watching(): boolean {
    return this.#current !== null && this.#current === this.#groups.watch;
  }

  /** The buffer is one of those for which receives stand in line. */
  get single(): boolean {
    return this.#current === this.#groups.single;
  }

  /**
   * A flight found no buffer; the next one does not watch. True: for want of buffers, as none is
   * with the kernel or others took some since the last time, which is no failure however often it
   * happens. False: for no reason. Linux 6.1 tells of failures before it tells who took the
   * buffers, so one time proves nothing.
   */
  contended(): boolean {
    const current = this.#current;
    if (current === null) return false;
    this.restart();
    const before = this.#takenBefore;
    this.#takenBefore = current.takenCount;
    return current.provided === 0 || current.takenCount !== before;
  }

  /** The next flight takes a buffer; `once` when it must not bring more than it is asked for. */
  want(once: boolean, lengthMax: number): void {
    this.#current = (once ? null : this.#special(lengthMax)) ?? this.#groups.single;
    this.#current.wanted++;
  }

  /** Null: a single receive suits best. */
  #special(lengthMax: number): ProvidedBuffers | null {
    const { single, watch, bulk } = this.#groups;
    if (this.#watches && this.#trend >= LIMITS.multishotAfterCount) return watch;
    // Whoever takes less would pin a large buffer with a few bytes in it.
    const takesMuch = lengthMax > Math.max(single.sizeBytes, LIMITS.bulkFromBytes);
    return this.#trend < 0 && takesMuch ? bulk : null;
  }

  /** The flight is over, or will not be. */
  unwant(): void {
    if (this.#current === null) return;
    this.#current.wanted--;
    this.#current = null;
  }

  /** Asks for `length` bytes, or up to `lengthMax` where the buffer is a large one. */
  write(writer: OpWriter, fd: number, length: number, lengthMax: number): void {
    const { group, sizeBytes } = this.#current as ProvidedBuffers;
    if (this.watching) return writer.recvMultishot(fd, this.flags);
    // The kernel refuses lengths from 2^31. A buffer brings no more than it holds anyway.
    const wanted = Math.min(this.single ? length : Math.max(length, lengthMax), sizeBytes);
    writer.recvSelect(fd, group, wanted, this.flags);
  }

  /** The buffer that a completion brought, or null. */
  take(result: number, flags: number): Slot | null {
    this.#more = (flags & CQE_SOCKET_NONEMPTY) !== 0;
    if ((flags & CQE_BUFFER) === 0 || this.#current === null) return null;
    const slot = this.#current.take(flags >>> CQE_BUFFER_SHIFT, Math.max(result, 0));
    return this.#groups.inHand = slot;
  }

  /** The buffer that was taken last has another owner now. */
  passOn(): void {
    this.#groups.inHand = null;
  }

  /**
   * The half broke while it looked at a completion with these flags: gives the buffer back that it
   * named, if it was not taken or has found no owner since.
   */
  reclaim(flags: number): void {
    const current = this.#current;
    const id = flags >>> CQE_BUFFER_SHIFT;
    if ((flags & CQE_BUFFER) !== 0 && current !== null && current.holds(id)) {
      current.giveBack(current.take(id, 0));
    } else if (this.#groups.inHand !== null) {
      this.giveBack(this.#groups.inHand);
    }
  }

  /** Whether the buffer may go to the user. */
  mayLend(slot: Slot): boolean {
    return this.#groupOf(slot).mayLend(slot);
  }

  giveBack(slot: Slot): void {
    this.#groups.inHand = null;
    this.#groupOf(slot).giveBack(slot);
  }

  /** `length` bytes came, and a call did or did not wait for them. */
  note(length: number, awaited: boolean): void {
    const { sizeBytes } = this.#groups.single;
    const trend = this.#trend;
    if (length > sizeBytes) this.#trend = Math.max(Math.min(trend, 0) - 1, TREND_BULK);
    else if (length === sizeBytes && this.#more) this.#trend = Math.min(trend, TREND_FULL);
    else if (trend < 0 || (awaited && length < LIMITS.multishotBufferBytes)) {
      this.#trend = trend + 1;
    } else this.#trend = 0;
  }

  /** Back to single receives, until the next row of small messages, or the next large one. */
  restart(): void {
    this.#trend = 0;
  }

  #groupOf(slot: Slot): ProvidedBuffers {
    const { single, watch, bulk } = this.#groups;
    if (watch !== null && watch.serves(slot)) return watch;
    return bulk !== null && bulk.serves(slot) ? bulk : single;
  }
}
