/**
 * A range of memory that waits to be sent. It owns one reference of its slot until it is dropped.
 *
 * @module
 */
import type { Slot } from "../buf/slot.ts";

export class Piece {
  slot: Slot;
  offset: number;
  length: number;

  /** Takes over one reference of `slot`. */
  constructor(slot: Slot, offset: number, length: number) {
    this.slot = slot;
    this.offset = offset;
    this.length = length;
  }

  /** Moves the bytes' home: they were copied to `offset` of another slot. */
  moveTo(slot: Slot, offset: number): void {
    const old = this.slot;
    this.slot = slot;
    this.offset = offset;
    old.release();
  }

  drop(): void {
    this.slot.release();
  }
}
