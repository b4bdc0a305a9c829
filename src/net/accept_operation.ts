/**
 * One accept on the ring, or past it when a connection waits already. The kernel writes the peer's
 * address into a block that this operation owns until the connection is there.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import type { Lane } from "../ring/lane.ts";
import type { OpWriter } from "../ring/op_writer.ts";
import { Operation } from "../ring/operation.ts";
import { OP_FLAG_OF_ACCEPT } from "../ring/port.ts";
import { type PackedAddress, packedAddress } from "./packed_address.ts";

/** The word of the block with the address's length (behind `UR_ADDRESS_BYTES` in the shim). */
const LENGTH_WORD = 128 / 4;

/** A descriptor and its peer, or -errno and null. */
export interface Accepted {
  readonly result: number;
  readonly peer: PackedAddress | null;
}

export class AcceptOperation extends Operation {
  readonly #fd: number;
  readonly #done: (accepted: Accepted) => void;
  #block = -1;

  constructor(lane: Lane, fd: number, done: (accepted: Accepted) => void) {
    super(lane);
    this.#fd = fd;
    this.#done = done;
  }

  override get cancelFlags(): number {
    return OP_FLAG_OF_ACCEPT;
  }

  /** Takes a connection that waits already; null when none does. Only while idle. */
  takeWaiting(): Accepted | null {
    const { blocks, port } = this.lane.ring;
    this.#block = blocks.take();
    if (this.#block < 0) return null;
    const accepted = this.#readBlock(port.accept(this.#fd, this.#block));
    return accepted.result === -ERRNO.EAGAIN ? null : accepted;
  }

  override prepare(writer: OpWriter): boolean {
    this.#block = this.lane.ring.blocks.take();
    if (this.#block < 0) {
      // All blocks are with other listeners: to be tried again after a pause.
      queueMicrotask(() => this.#done({ result: -ERRNO.ENOBUFS, peer: null }));
      return false;
    }
    writer.accept(this.#fd, this.#block);
    return true;
  }

  override complete(result: number, _flags: number): void {
    this.#done(this.#readBlock(result));
  }

  #readBlock(result: number): Accepted {
    const { blocks } = this.lane.ring;
    const length = blocks.word(this.#block, LENGTH_WORD);
    const peer = result < 0 ? null : packedAddress.read(blocks, this.#block, length);
    blocks.put(this.#block);
    this.#block = -1;
    return { result, peer };
  }
}
