/**
 * One `send`: its bytes, in the order in which they leave, and how many the kernel took.
 *
 *   pieces[first..] : memory that is ready     source : a caller's array, copied window by window
 *
 * @module
 */
import type { Linked } from "../base/fifo.ts";
import { ByteSource } from "./byte_source.ts";
import { Call } from "./call.ts";
import type { Piece } from "./piece.ts";
import type { SendQueue } from "./send_queue.ts";

/** Why a call whose bytes are with the kernel ends when the kernel answers. */
export type SendEnding = { kind: "timeout" } | { kind: "abort"; reason: unknown };

export class SendCall extends Call implements Linked<SendCall> {
  next: SendCall | null = null;
  readonly #queue: SendQueue;
  readonly pieces: Piece[] = [];
  /** Index of the first piece that is not sent. */
  first = 0;
  source: ByteSource | null = null;
  totalBytes = 0;
  sentBytes = 0;
  /** Bytes of this call are with the kernel. */
  flying = false;
  ending: SendEnding | null = null;

  constructor(queue: SendQueue) {
    super();
    this.#queue = queue;
  }

  override expire(): void {
    this.#queue.endCall(this, { kind: "timeout" });
  }

  override abort(reason: unknown): void {
    this.#queue.endCall(this, { kind: "abort", reason });
  }

  get done(): boolean {
    return this.sentBytes === this.totalBytes;
  }

  add(piece: Piece): void {
    this.pieces.push(piece);
  }

  /** Counts bytes as sent and drops the pieces they filled; returns how many belonged to others. */
  consume(count: number): number {
    let rest = count;
    while (rest > 0 && this.first < this.pieces.length) {
      const piece = this.pieces[this.first];
      const taken = Math.min(rest, piece.length);
      piece.offset += taken;
      piece.length -= taken;
      this.sentBytes += taken;
      rest -= taken;
      if (piece.length > 0) break;
      piece.drop();
      this.first++;
    }
    if (this.first === this.pieces.length && this.first > 0) {
      this.pieces.length = 0;
      this.first = 0;
    }
    return rest;
  }

  /** Drops what is left. */
  dropPieces(): void {
    for (let i = this.first; i < this.pieces.length; i++) this.pieces[i].drop();
    this.pieces.length = 0;
    this.first = 0;
    this.source = null;
  }
}
