/**
 * One `send`: its bytes, in the order in which they leave, and how many the kernel took.
 *
 *   pieces first..count: memory that is ready   source: a caller's array, read window by window
 *
 * @module
 */
import type { Linked } from "../../base/fifo.ts";
import { PLAIN_SLAB, type Slot } from "../../buf/slot.ts";
import type { ByteSource } from "./byte_source.ts";
import { Call } from "../call/call.ts";
import type { LoopReference } from "../call/loop_reference.ts";
import { Piece } from "./piece.ts";
import type { SendEnding } from "./send_ending.ts";
import type { SendQueue } from "./send_queue.ts";

/** Pieces that a settled call keeps for its next use. */
const KEPT_PIECE_COUNT = 64;

export class SendCall extends Call implements Linked<SendCall> {
  next: SendCall | null = null;
  previous: SendCall | null = null;
  #queue: SendQueue;
  /** Reused from call to call: only `first` up to `count` are in use. */
  readonly #pieces: Piece[] = [new Piece()];
  /** Index of the first piece that is not sent. */
  first = 0;
  /** One past the last piece. */
  count = 0;
  source: ByteSource | null = null;
  totalBytes = 0;
  sentBytes = 0;
  /** Bytes of this call are with the kernel. */
  flying = false;
  ending: SendEnding | null = null;
  /** Flushes of this queue that were asked for before this call: those do not wait for it. */
  flushesBefore = 0;

  constructor(queue: SendQueue) {
    super();
    this.#queue = queue;
  }

  /** Makes a settled call ready for the next `send`, of any connection. */
  renew(queue: SendQueue): void {
    this.#queue = queue;
    this.totalBytes = this.sentBytes = 0;
    this.ending = null;
  }

  override get loopReference(): LoopReference {
    return this.#queue.socket;
  }

  override expire(): void {
    this.#queue.endCall(this, { kind: "timeout" });
  }

  override abort(reason: unknown): void {
    this.#queue.endCall(this, { kind: "abort", reason });
  }

  /** The other end, for messages. */
  get peerName(): string {
    return this.#queue.socket.peerName;
  }

  get done(): boolean {
    return this.sentBytes === this.totalBytes;
  }

  /** Nothing but one range that the kernel can see, and no call behind this one. */
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

  /** The piece that leaves after the one at an index, this call's or the next one's, if known. */
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
   * The same, but a range right behind the last one makes that longer: parts of one buffer that are
   * sent together leave as one. Only before anything of this call is with the kernel.
   */
  join(slot: Slot, offset: number, length: number): void {
    const piece = this.add(slot, offset, length);
    const last = this.count - 2;
    if (last < this.first || !piece.follows(this.#pieces[last])) return;
    this.#pieces[last].length += length;
    piece.drop();
    this.count--;
  }

  /** Cuts the piece at `index`: its first `length` bytes stay, the rest becomes the next piece. */
  cut(index: number, length: number): void {
    const piece = this.#pieces[index];
    const rest = new Piece();
    piece.slot.retain();
    rest.set(piece.slot, piece.offset + length, piece.length - length);
    piece.length = length;
    this.#pieces.splice(index + 1, 0, rest);
    this.count++;
  }

  /** Counts bytes as sent and drops the pieces they filled; returns how many belonged to others. */
  consume(count: number): number {
    let rest = count;
    while (rest > 0 && this.first < this.count) {
      const piece = this.#pieces[this.first];
      const taken = Math.min(rest, piece.length);
      piece.offset += taken;
      piece.length -= taken;
      this.sentBytes += taken;
      rest -= taken;
      if (piece.length > 0) break;
      piece.drop();
      this.first++;
    }
    if (this.first === this.count) this.#forgetPieces();
    return rest;
  }

  /** The kernel may read what it was given of this call at any later time. */
  override detain(): void {
    if (!this.flying) return;
    for (let i = this.first; i < this.count; i++) this.#pieces[i].slot.retain();
  }

  /** Drops what is left. */
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
