/**
 * A range of memory that waits to be sent. It owns one reference of its slot until it is dropped.
 *
 * Pieces are reused by their call: an empty one refers to {@link NO_SLOT}.
 *
 * @module
 */
import { Slot } from "../../buf/slot.ts";

/** What an unused piece refers to. */
const NO_SLOT = Slot.plain(new Uint8Array(0));

export class Piece {
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

  /** Moves the bytes' home: they were copied to `offset` of another slot. */
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
