/**
 * Which provided buffers suit one connection, and what each completion says of it.
 *
 *   single      one receive, one buffer of `readBufferSize`, asked for when a call waits
 *   multishot   one receive that completes many times, small buffers, for connections whose
 *               messages are small and awaited one after the other
 *   bulk        as single, large buffers, for calls that take what there is where there is much
 *
 * A connection begins with single receives. After a row of small, awaited messages it takes a
 * multishot receive. It goes back to single ones when a message fills a small buffer, when bytes
 * pile up, or when buffers run out. After a single buffer that was filled while more was waiting,
 * it takes bulk receives, until those bring no more than single ones hold, or run out.
 *
 * No receive holds a buffer while the connection is idle. Unix sockets take no multishot receive:
 * kernels before 2026 can miss the end of a stream there.
 *
 * @module
 */
import { unreachable } from "../../base/assert.ts";
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

/** A receive into a provided buffer. */
export type Provided = "single" | "multishot" | "bulk";

/** The receive that a half has asked of the kernel: see `RecvHalf`. */
export type Reception = "none" | Provided | "direct" | "directToBuffer";

export class ReadSource {
  readonly #groups: ReadGroups;
  readonly #multishot: boolean;
  /**
   * Above zero: the small messages in a row that calls waited for. Below zero: large buffers suit,
   * until as many receives did not need one. One number keeps a connection small.
   */
  #trend = 0;
  /** The `takenCount` of the buffers when a flight last found none. */
  #takenBefore = -1;
  /** More bytes were waiting behind the last ones. */
  #hasMore = false;

  constructor(groups: ReadGroups, multishot: boolean) {
    this.#groups = groups;
    this.#multishot = multishot && groups.multishot !== null;
  }

  /** Flags of the next record: the kernel waits for the socket first, unless bytes are waiting. */
  get flags(): number {
    return this.#hasMore ? 0 : OP_FLAG_POLL_FIRST;
  }

  /**
   * A flight found no buffer; the next one is no multishot receive. True: for want of buffers,
   * because none is with the kernel, or other receives took some since the last time. That is no
   * failure, however often it happens. False: for no reason. Linux 6.1 reports failures before it
   * reports the flights that took the buffers, so one time proves nothing.
   */
  contended(reception: Reception): boolean {
    const group = this.#groupNamed(reception);
    if (group === null) return false;
    this.restart();
    const before = this.#takenBefore;
    this.#takenBefore = group.takenCount;
    return group.provided === 0 || group.takenCount !== before;
  }

  /** The receive that suits best; `once` when it must not bring more than it is asked for. */
  choose(once: boolean, lengthMax: number): Provided {
    const { single, bulk } = this.#groups;
    if (once) return "single";
    if (this.#multishot && this.#trend >= LIMITS.multishotAfterCount) return "multishot";
    // A call that takes less would pin a large buffer with a few bytes in it.
    const takesMuch = lengthMax > Math.max(single.sizeBytes, LIMITS.bulkFromBytes);
    return bulk !== null && this.#trend < 0 && takesMuch ? "bulk" : "single";
  }

  /** Counts a receive that will take a buffer. */
  request(provided: Provided): void {
    (this.#groupNamed(provided) as ProvidedBuffers).wanted++;
  }

  /** The receive is over, or will not begin. */
  withdraw(provided: Provided): void {
    (this.#groupNamed(provided) as ProvidedBuffers).wanted--;
  }

  /** Asks for `length` bytes, or up to `lengthMax` where the buffer is a large one. */
  write(
    writer: OpWriter,
    provided: Provided,
    fd: number,
    length: number,
    lengthMax: number,
  ): void {
    if (provided === "multishot") return writer.recvMultishot(fd, this.flags);
    const { group, sizeBytes } = this.#groupNamed(provided) as ProvidedBuffers;
    // The kernel refuses lengths from 2^31. A buffer brings no more than it holds anyway.
    const wanted = Math.min(
      provided === "single" ? length : Math.max(length, lengthMax),
      sizeBytes,
    );
    writer.recvSelect(fd, group, wanted, this.flags);
  }

  /** The buffer that a completion brought, or null. */
  take(reception: Reception, result: number, flags: number): Slot | null {
    this.#hasMore = (flags & CQE_SOCKET_NONEMPTY) !== 0;
    if ((flags & CQE_BUFFER) === 0) return null;
    const group = this.#groupNamed(reception);
    if (group === null) return null;
    return this.#groups.inHand = group.take(flags >>> CQE_BUFFER_SHIFT, Math.max(result, 0));
  }

  /** The buffer that was taken last has another owner now. */
  passOn(): void {
    this.#groups.inHand = null;
  }

  /**
   * The half broke while it looked at a completion with these flags: gives the buffer back that it
   * named, if it was not taken or has found no owner since.
   */
  reclaim(reception: Reception, flags: number): void {
    const current = this.#groupNamed(reception);
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
    else if (length === sizeBytes && this.#hasMore) this.#trend = Math.min(trend, TREND_FULL);
    else if (trend < 0 || (awaited && length < LIMITS.multishotBufferBytes)) {
      this.#trend = trend + 1;
    } else this.#trend = 0;
  }

  /** Back to single receives, until the next row of small messages, or the next large one. */
  restart(): void {
    this.#trend = 0;
  }

  /** The buffers of a reception; null when it is none of those with a provided buffer. */
  #groupNamed(reception: Reception): ProvidedBuffers | null {
    switch (reception) {
      case "single":
        return this.#groups.single;
      case "multishot":
        return this.#groups.multishot;
      case "bulk":
        return this.#groups.bulk;
      case "none":
      case "direct":
      case "directToBuffer":
        return null;
      default:
        return unreachable(reception);
    }
  }

  #groupOf(slot: Slot): ProvidedBuffers {
    const { single, multishot, bulk } = this.#groups;
    if (multishot !== null && multishot.serves(slot)) return multishot;
    return bulk !== null && bulk.serves(slot) ? bulk : single;
  }
}
