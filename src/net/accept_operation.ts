/**
 * One accept on the ring. The kernel writes the peer's address into a block that this operation
 * owns until the connection is there.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import type { Lane } from "../ring/lane.ts";
import type { OpWriter } from "../ring/op_writer.ts";
import { Operation } from "../ring/operation.ts";
import { OP_FLAG_OF_ACCEPT } from "../ring/port.ts";
import { readSockaddr, type SocketAddress, type UnixAddress } from "./address.ts";

/** Where the address's length stands in the block (`UR_ADDRESS_BYTES` in the shim). */
const LENGTH_OFFSET = 128;

export type AcceptDone = (result: number, peer: SocketAddress | UnixAddress | null) => void;

export class AcceptOperation extends Operation {
  readonly #fd: number;
  readonly #done: AcceptDone;
  #block = -1;

  constructor(lane: Lane, fd: number, done: AcceptDone) {
    super(lane);
    this.#fd = fd;
    this.#done = done;
  }

  override get cancelFlags(): number {
    return OP_FLAG_OF_ACCEPT;
  }

  override prepare(writer: OpWriter): boolean {
    this.#block = this.lane.ring.blocks.take();
    if (this.#block < 0) {
      // All blocks are with other listeners: to be tried again after a pause.
      queueMicrotask(() => this.#done(-ERRNO.ENOBUFS, null));
      return false;
    }
    writer.accept(this.#fd, this.#block);
    return true;
  }

  override complete(result: number, _flags: number): void {
    const { blocks } = this.lane.ring;
    const bytes = blocks.bytes(this.#block);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = view.getUint32(LENGTH_OFFSET, true);
    const peer = result < 0 ? null : readSockaddr(bytes, length);
    blocks.put(this.#block);
    this.#block = -1;
    this.#done(result, peer);
  }
}
