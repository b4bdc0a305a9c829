/**
 * One `send`: its bytes, in the order in which they leave, and the number that the kernel has
 * taken.
 *
 *   pieces first..count: memory that is ready   source: a caller's array, read window by window
 *
 * @module
 */
import type { Linked } from "../../base/fifo.ts";
import { PLAIN_SLAB, Slot } from "../../buf/slot.ts";
import type { ByteSource } from "./byte_source.ts";
import { Call } from "../call/call.ts";
import type { LoopReference } from "../call/loop_reference.ts";

/** The reason for which a call ends while the kernel has its bytes. */
export type SendEnding = { kind: "timeout" } | { kind: "abort"; reason: unknown };

/** The half that serves the call. */
export interface SendCallOwner {
  readonly socket: LoopReference & { readonly peerName: string };
  push(call: SendCall): void;
  endCall(call: SendCall, ending: SendEnding): void;
}

/** Pieces that a settled call keeps for its next use. */
const KEPT_PIECE_COUNT = 64;

/** The slot of an unused piece. */
const NO_SLOT = Slot.plain(new Uint8Array(0));

/**
 * A range of memory that waits to be sent. A piece owns one reference of its slot until it is
 * dropped. Pieces are reused by their call: an empty one refers to {@link NO_SLOT}.
 */
class Piece {
  slot: Slot = NO_SLOT;
  offset = 0;
  length = 0;

  /** Takes over one reference of `slot`. */
  set(slot: Slot, offset: number, length: number): void {
    this.slot = slot;
    this.offset = offset;
    this.length = length;
  }

  /** Whether the bytes lie right behind those of `other`. */
  follows(other: Piece): boolean {
    return this.slot === other.slot && this.offset === other.offset + other.length;
  }

  /** Notes that the bytes were copied to `offset` of another slot. */
  moveTo(slot: Slot, offset: number): void {
    const old = this.slot;
    this.slot = slot;
    this.offset = offset;
    old.release();
  }

  drop(): void {
    const { slot } = this;
    this.slot = NO_SLOT;
    this.length = 0;
    slot.release();
  }
}

export type { Piece };

export class SendCall extends Call implements Linked<SendCall> {
  next: SendCall | null = null;
  previous: SendCall | null = null;
  /** Null while the call is spare: a spare call keeps no closed connection in memory. */
  #queue: SendCallOwner | null;
  /** Reused from call to call: only those from `first` to `count` are in use. */
  readonly #pieces: Piece[] = [new Piece()];
  /** The index of the first piece that is not sent. */
  first = 0;
  /** One past the last piece. */
  count = 0;
  source: ByteSource | null = null;
  totalBytes = 0;
  sentBytes = 0;
  /** Whether the kernel has bytes of this call. */
  isInFlight = false;
  ending: SendEnding | null = null;
  /**
   * The number of flushes of this queue that were called before this send, and so do not wait for
   * it.
   */
  flushesBefore = 0;

  constructor(queue: SendCallOwner) {
    super();
    this.#queue = queue;
  }

  /** Makes a settled call ready for the next `send`, of any connection. */
  renew(queue: SendCallOwner): void {
    this.#queue = queue;
    this.totalBytes = this.sentBytes = 0;
  }

  /**
   * Drops what a settled call refers to, before it becomes spare. The next use may be one without
   * options, which the budget of this use must not end.
   */
  retire(): void {
    this.forgetOptions();
    this.#queue = null;
    this.ending = null;
  }

  override get loopReference(): LoopReference {
    return (this.#queue as SendCallOwner).socket;
  }

  override expire(): void {
    (this.#queue as SendCallOwner).endCall(this, { kind: "timeout" });
  }

  protected override enqueue(): void {
    (this.#queue as SendCallOwner).push(this);
  }

  override abort(reason: unknown): void {
    (this.#queue as SendCallOwner).endCall(this, { kind: "abort", reason });
  }

  /** The other end, for messages. */
  get peerName(): string {
    return (this.#queue as SendCallOwner).socket.peerName;
  }

  get done(): boolean {
    return this.sentBytes === this.totalBytes;
  }

  /** Whether the call is one range that the kernel can see, with no call behind it. */
  get alone(): boolean {
    return this.next === null && this.source === null && this.count - this.first === 1 &&
      !this.settled && this.firstPiece.slot.slab !== PLAIN_SLAB;
  }

  get firstPiece(): Piece {
    return this.#pieces[this.first];
  }

  /** The piece at an index from `first` to `count`. */
  pieceAt(index: number): Piece {
    return this.#pieces[index];
  }

  /**
   * The piece that leaves after the one at `index`, of this call or of the next one; null when
   * unknown.
   */
  pieceAfter(index: number): Piece | null {
    if (index + 1 < this.count) return this.#pieces[index + 1];
    const { next } = this;
    if (this.source !== null || next === null || next.first === next.count) return null;
    return next.firstPiece;
  }

  /** Adds a range at the end; takes over one reference of `slot`. */
  add(slot: Slot, offset: number, length: number): Piece {
    const index = this.count++;
    if (index === this.#pieces.length) this.#pieces.push(new Piece());
    const piece = this.#pieces[index];
    piece.set(slot, offset, length);
    return piece;
  }

  /**
   * The same, except that a range directly behind the last one extends it: parts of one buffer that
   * are sent together leave as one range. Only before the kernel has any byte of this call.
   */
  join(slot: Slot, offset: number, length: number): void {
    const piece = this.add(slot, offset, length);
    const last = this.count - 2;
    if (last < this.first || !piece.follows(this.#pieces[last])) return;
    this.#pieces[last].length += length;
    piece.drop();
    this.count--;
  }

  /**
   * Lengthens the last piece by bytes that lie right behind it. Returns false when they do not.
   * Only while the kernel has no byte of this call.
   */
  lengthen(slot: Slot, offset: number, length: number): boolean {
    if (this.source !== null || this.first === this.count) return false;
    const piece = this.#pieces[this.count - 1];
    if (piece.slot !== slot || piece.offset + piece.length !== offset) return false;
    piece.length += length;
    this.totalBytes += length;
    return true;
  }

  /**
   * Cuts the piece at `index`: its first `length` bytes stay, and the rest becomes the next piece.
   */
  cut(index: number, length: number): void {
    const piece = this.#pieces[index];
    const rest = new Piece();
    piece.slot.retain();
    rest.set(piece.slot, piece.offset + length, piece.length - length);
    piece.length = length;
    this.#pieces.splice(index + 1, 0, rest);
    this.count++;
  }

  /**
   * Counts bytes as sent and drops completed pieces. Returns the number of bytes that belong to
   * later calls.
   */
  consume(count: number): number {
    let remaining = count;
    while (remaining > 0 && this.first < this.count) {
      const piece = this.#pieces[this.first];
      const taken = Math.min(remaining, piece.length);
      piece.offset += taken;
      piece.length -= taken;
      this.sentBytes += taken;
      remaining -= taken;
      if (piece.length > 0) break;
      piece.drop();
      this.first++;
    }
    if (this.first === this.count) this.#forgetPieces();
    return remaining;
  }

  /** Keeps the memory of this call for good, because the kernel may read it at any later time. */
  override detain(): void {
    if (!this.isInFlight) return;
    for (let i = this.first; i < this.count; i++) this.#pieces[i].slot.retain();
  }

  /** Drops the remaining pieces. */
  dropPieces(): void {
    for (let i = this.first; i < this.count; i++) this.#pieces[i].drop();
    this.#forgetPieces();
    this.source = null;
  }

  #forgetPieces(): void {
    this.first = this.count = 0;
    if (this.#pieces.length > KEPT_PIECE_COUNT) this.#pieces.length = KEPT_PIECE_COUNT;
  }
}
