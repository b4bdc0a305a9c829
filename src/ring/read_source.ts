/**
 * Chooses the provided buffers that suit one connection, by the completions seen so far.
 *
 *   single      one receive, one buffer of `readBufferSize`, submitted when a call waits
 *   multishot   one receive that completes many times, small buffers, for connections whose
 *               messages are small and awaited one after the other
 *   bulk        like single, with large buffers, for `recvSome` on connections with much data
 *
 * A connection begins with single receives. After a row of small, awaited messages it gets a
 * multishot receive. It goes back to single receives when a message fills a small buffer, when
 * bytes pile up, or when buffers run out. After a single buffer that was filled while more bytes
 * waited, it gets bulk receives, until these bring no more than a single buffer holds, or until
 * bulk buffers run out. While the network does nothing but receive a stream, it gets bulk receives
 * for which the kernel gathers bytes (`StreamFlow`).
 *
 * The receives of a ring share one source. The state of each connection is in the receiving half
 * itself (`ReadState`), because an object of its own would cost 64 bytes for each connection.
 *
 * No receive holds a buffer while the connection is idle. Unix sockets take no multishot receive:
 * kernels before 2026 can miss the end of a stream there.
 *
 * @module
 */
import { unreachable } from "../base/assert.ts";
import { LIMITS } from "../base/limits.ts";
import type { Slot } from "../buf/slot.ts";
import type { OpWriter } from "./op_writer.ts";
import {
  CQE_BUFFER,
  CQE_BUFFER_SHIFT,
  CQE_SOCKET_NONEMPTY,
  OP_FLAG_GATHER,
  OP_FLAG_POLL_FIRST,
} from "./port.ts";
import type { ProvidedBuffers } from "./provided_buffers.ts";
import type { ReadGroups } from "./read_groups.ts";

/** Trends below zero: after a single buffer that was filled, and after many large receives. */
const TREND_FULL = -2;
const TREND_BULK = -4;

/** A receive into a provided buffer. */
export type Provided = "single" | "multishot" | "bulk";

/** The receive that a half has submitted: see `RecvHalf`. */
export type Reception = "none" | Provided | "direct" | "directToBuffer";

/** State that few connections need, made when first needed. */
export interface RareReadState {
  /** The `takenCount` of the buffers when a flight last found no buffer. */
  takenBefore: number;
  /** The bytes that the receive in flight has to gather; 0 when it does not gather. */
  gatherBytes: number;
}

/** The part of a receiving half that only its source reads and writes. */
export interface ReadState {
  /**
   * Twice the trend, plus 1 when more bytes waited behind the last received ones. One number keeps
   * a connection small.
   *
   * A trend above zero is the number of small messages in a row for which calls waited. Below zero,
   * large buffers suit, until as many receives did not need one.
   */
  readTrend: number;
  rareReads: RareReadState | null;
}

function trendOf(state: ReadState): number {
  return state.readTrend >> 1;
}

function setTrend(state: ReadState, trend: number): void {
  state.readTrend = trend * 2 + (state.readTrend & 1);
}

function hasMore(state: ReadState): boolean {
  return (state.readTrend & 1) !== 0;
}

function rareOf(state: ReadState): RareReadState {
  return state.rareReads ??= { takenBefore: -1, gatherBytes: 0 };
}

export class ReadSource {
  readonly #groups: ReadGroups;

  constructor(groups: ReadGroups) {
    this.#groups = groups;
  }

  /**
   * Flags of the record of a receive of up to `length` bytes: the kernel waits for the socket
   * first, unless bytes are waiting. In a stream it waits for many bytes.
   */
  flagsFor(length: number, state: ReadState): number {
    if (hasMore(state)) return 0;
    if (!this.#groups.stream.flows) return OP_FLAG_POLL_FIRST;
    rareOf(state).gatherBytes = Math.min(length, LIMITS.streamGatherBytesMin);
    return OP_FLAG_POLL_FIRST | OP_FLAG_GATHER;
  }

  /**
   * A flight found no buffer; the next one is not a multishot receive. Returns true for a shortage:
   * the kernel has no buffer, or other receives took some since the last time. A shortage is not a
   * failure, however often it happens. Returns false when there is no such reason. Linux 6.1
   * reports failures before the flights that took the buffers, so a single time proves nothing.
   */
  contended(reception: Reception, state: ReadState): boolean {
    const group = this.#groupNamed(reception);
    if (group === null) return false;
    this.restart(state);
    this.#groups.stream.interrupt();
    const rare = rareOf(state);
    const before = rare.takenBefore;
    rare.takenBefore = group.takenCount;
    return group.provided === 0 || group.takenCount !== before;
  }

  /** The receive that suits best. `once` excludes a multishot receive. */
  choose(once: boolean, lengthMax: number, state: ReadState): Provided {
    const { single, multishot, bulk } = this.#groups;
    if (once) return "single";
    const trend = trendOf(state);
    if (multishot !== null && trend >= LIMITS.multishotAfterCount) return "multishot";
    // A call that takes less would occupy a large buffer with a few bytes.
    const takesMuch = lengthMax > Math.max(single.sizeBytes, LIMITS.bulkFromBytes);
    const hasMuch = trend < 0 || this.#groups.stream.flows;
    return bulk !== null && hasMuch && takesMuch ? "bulk" : "single";
  }

  /** Counts a receive that will take a buffer. */
  request(provided: Provided): void {
    (this.#groupNamed(provided) as ProvidedBuffers).wanted++;
  }

  /** Counts a receive that has ended, or that will not begin. */
  withdraw(provided: Provided): void {
    (this.#groupNamed(provided) as ProvidedBuffers).wanted--;
  }

  /** Writes a receive of `length` bytes, or of up to `lengthMax` into a large buffer. */
  write(
    writer: OpWriter,
    provided: Provided,
    fd: number,
    length: number,
    lengthMax: number,
    state: ReadState,
  ): void {
    if (provided === "multishot") {
      return writer.recvMultishot(fd, hasMore(state) ? 0 : OP_FLAG_POLL_FIRST);
    }
    const { group, sizeBytes } = this.#groupNamed(provided) as ProvidedBuffers;
    // The kernel refuses lengths from 2^31. A buffer brings no more than it holds anyway.
    const wanted = Math.min(
      provided === "single" ? length : Math.max(length, lengthMax),
      sizeBytes,
    );
    writer.recvSelect(fd, group, wanted, this.flagsFor(wanted, state));
  }

  /** The buffer of a completion, or null. */
  take(reception: Reception, result: number, flags: number, state: ReadState): Slot | null {
    const more = (flags & CQE_SOCKET_NONEMPTY) !== 0 ? 1 : 0;
    state.readTrend = (state.readTrend & ~1) | more;
    if (result > 0) this.#noteStream(result, state);
    if ((flags & CQE_BUFFER) === 0) return null;
    const group = this.#groupNamed(reception);
    if (group === null) return null;
    this.#groups.noteTaken(state, group, flags);
    return this.#groups.inHand = group.take(flags >>> CQE_BUFFER_SHIFT, Math.max(result, 0));
  }

  /** Notes that the buffer that was taken last has another owner now. */
  passOn(): void {
    this.#groups.inHand = null;
  }

  /**
   * Called when the half broke while it handled a completion with these flags. Gives back the
   * buffer of the completion, if it was not taken or has no owner yet.
   */
  reclaim(reception: Reception, flags: number, state: ReadState): void {
    // A half that broke after `take` may have another reception by now, from another group. The
    // kernel still has that group's buffer of the same number.
    const current = this.#groups.takenFrom(state, flags) ?? this.#groupNamed(reception);
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

  /** Notes that `length` bytes came, and whether a call waited for them. */
  note(length: number, awaited: boolean, state: ReadState): void {
    const { sizeBytes } = this.#groups.single;
    const trend = trendOf(state);
    if (length > sizeBytes) setTrend(state, Math.max(Math.min(trend, 0) - 1, TREND_BULK));
    else if (length === sizeBytes && hasMore(state)) setTrend(state, Math.min(trend, TREND_FULL));
    else if (trend < 0 || (awaited && length < LIMITS.multishotBufferBytes)) {
      // Without a limit, the number would overflow after a billion messages.
      setTrend(state, Math.min(trend + 1, LIMITS.multishotAfterCount));
    } else setTrend(state, 0);
  }

  /**
   * Goes back to single receives, until the next row of small messages, or the next large message.
   */
  restart(state: ReadState): void {
    setTrend(state, 0);
  }

  /**
   * A receive that gathered and brought little was not alone, or its stream is slow: for the next
   * bytes of the stream it is cheaper not to wait.
   */
  #noteStream(length: number, { rareReads }: ReadState): void {
    const { stream } = this.#groups;
    if (rareReads !== null && length < rareReads.gatherBytes) stream.interrupt();
    else stream.received(length);
    if (rareReads !== null) rareReads.gatherBytes = 0;
  }

  /** The buffers of a reception; null for a reception without provided buffers. */
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
