/**
 * Writes op records into the region that the shim reads, eight words each:
 *
 *   word   0        1     2           3   4           5       6       7
 *          op code  slot  generation  fd  slab/block  offset  length  flags
 *
 * @module
 */
import { BLOCK_NONE } from "./port.ts";

/** Codes of op records: `enum ur_opcode` of `ffi/shim.h`. */
export const OP_CODE = Object.freeze({
  nop: 0,
  recv: 1,
  recvSelect: 2,
  send: 3,
  sendmsg: 4,
  accept: 5,
  connect: 6,
  cancel: 7,
  provide: 8,
  recvMultishot: 9,
  poll: 10,
});

/** Events that a poll asks for and completes with: `UR_POLL_` of `ffi/shim.h`. */
export const POLL_EVENT = Object.freeze({
  in: 0x01,
  out: 0x04,
  /** Always reported. */
  error: 0x08,
  /** Always reported: both halves have ended, for example after a reset. */
  hangUp: 0x10,
  /** FIN has come; bytes may wait before it. */
  peerFinished: 0x2000,
});

export class OpWriter {
  readonly #ops: Uint32Array;
  readonly #capacity: number;
  #count = 0;
  #slot = 0;
  #generation = 0;

  constructor(ops: Uint32Array, capacity: number) {
    this.#ops = ops;
    this.#capacity = capacity;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.#capacity;
  }

  clear(): void {
    this.#count = 0;
  }

  /** Drops the records behind the first `count`. */
  rewind(count: number): void {
    this.#count = count;
  }

  /** Sets the slot and the generation of the next record. */
  address(slot: number, generation: number): void {
    this.#slot = slot;
    this.#generation = generation;
  }

  recv(fd: number, slab: number, offset: number, length: number, flags: number): void {
    this.#write(OP_CODE.recv, fd, slab, offset, length, flags);
  }

  recvSelect(fd: number, group: number, length: number, flags: number): void {
    this.#write(OP_CODE.recvSelect, fd, group, 0, length, flags);
  }

  recvMultishot(fd: number, flags: number): void {
    this.#write(OP_CODE.recvMultishot, fd, 0, 0, 0, flags);
  }

  send(fd: number, slab: number, offset: number, length: number): void {
    this.#write(OP_CODE.send, fd, slab, offset, length, 0);
  }

  sendmsg(fd: number, block: number, iovecCount: number): void {
    this.#write(OP_CODE.sendmsg, fd, block, 0, iovecCount, 0);
  }

  /** The block gets the address of the peer; -1 for none. */
  accept(fd: number, block: number): void {
    this.#write(OP_CODE.accept, fd, block < 0 ? BLOCK_NONE : block, 0, 0, 0);
  }

  connect(fd: number, block: number, addressBytes: number): void {
    this.#write(OP_CODE.connect, fd, block, 0, addressBytes, 0);
  }

  /**
   * Writes a poll. It completes with the asked-for and always reported events that have occurred.
   */
  poll(fd: number, events: number): void {
    this.#write(OP_CODE.poll, fd, 0, 0, events, 0);
  }

  cancel(slot: number, generation: number, flags: number): void {
    this.address(0, 0);
    this.#write(OP_CODE.cancel, 0, 0, slot, generation, flags);
  }

  provide(group: number, buffer: number, slab: number, offset: number, length: number): void {
    this.address(buffer, 0);
    this.#write(OP_CODE.provide, group, slab, offset, length, 0);
  }

  #write(
    code: number,
    fd: number,
    slab: number,
    offset: number,
    length: number,
    flags: number,
  ): void {
    const ops = this.#ops;
    const at = this.#count++ * 8;
    ops[at] = code;
    ops[at + 1] = this.#slot;
    ops[at + 2] = this.#generation;
    ops[at + 3] = fd;
    ops[at + 4] = slab;
    ops[at + 5] = offset;
    ops[at + 6] = length;
    ops[at + 7] = flags;
  }
}
