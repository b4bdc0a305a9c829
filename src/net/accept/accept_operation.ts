/**
 * One accept on the ring, or a direct accept without the ring when a connection already waits in
 * the backlog. The kernel writes the peer's address into a block, which the operation owns until
 * its completion. An accept may wait for ever, so the accepts of many listeners leave blocks for
 * other operations: further ones have no block, and the address is asked for afterwards.
 *
 * A direct accept of a shared socket could keep the thread: another process may take the connection
 * between the moment at which it is seen and the accept, which then waits for the next one. A
 * shared backlog is looked into by an accept on the ring with a cancel right behind it.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { LIMITS } from "../../base/limits.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { Operation, OperationOwner } from "../../ring/operation.ts";
import { OP_FLAG_OF_ACCEPT } from "../../ring/port.ts";
import type { Ring } from "../../ring/ring.ts";
import { type PackedAddress, packedAddress } from "../address/packed_address.ts";
import { unknownAddress } from "../address/sockaddr.ts";
import { endpoint, REMOTE_END } from "../socket/endpoint.ts";
import type { BoundSocket } from "./bound_socket.ts";

/**
 * The index of the word in the block that has the length of the address (after `UR_ADDRESS_BYTES`).
 */
const LENGTH_WORD = 128 / 4;

/** A descriptor and the address of its peer, or -errno and null. */
export interface Accepted {
  readonly result: number;
  readonly peer: PackedAddress | null;
}

/** The receiver of the result of each flight. */
export interface AcceptOwner {
  accepted(accepted: Accepted): void;
  /** An error inside the library has ended the flight. */
  broken(cause: unknown): void;
}

export class AcceptOperation implements OperationOwner {
  readonly #ring: Ring;
  readonly #operation: Operation;
  readonly #fd: number;
  readonly #family: number;
  readonly #owner: AcceptOwner;
  #block = -1;
  /** Whether the owner has taken over the descriptor of the completion, to use or to close it. */
  isClaimed = false;
  #lookCount = 0;
  #isLook = false;

  constructor(ring: Ring, { fd, family }: BoundSocket, owner: AcceptOwner) {
    this.#ring = ring;
    this.#operation = ring.acquire(ring.recvLane, this);
    this.#fd = fd;
    this.#family = family;
    this.#owner = owner;
  }

  get isIdle(): boolean {
    return this.#operation.isIdle;
  }

  submit(): void {
    this.#isLook = false;
    this.#ring.submit(this.#operation);
  }

  /** Whether the last flight, or the one under way, is a look. */
  get isLook(): boolean {
    return this.#isLook;
  }

  /** Accepts a connection that waits already; ECANCELED when the backlog is empty. */
  look(): void {
    this.#isLook = true;
    this.#lookCount++;
    this.#ring.submit(this.#operation);
  }

  cancel(): void {
    this.#ring.cancel(this.#operation);
  }

  /** Gives the idle operation back to the ring. */
  release(): void {
    this.#ring.release(this.#operation);
  }

  detain(): void {}

  get cancelFlags(): number {
    return OP_FLAG_OF_ACCEPT;
  }

  /**
   * Takes a connection from the backlog; null when the backlog is empty. Only while idle, and not
   * for a shared socket.
   */
  takeWaiting(): Accepted | null {
    const { blocks, port } = this.#ring;
    this.#block = blocks.take();
    if (this.#block < 0) return null;
    const result = port.accept(this.#fd, this.#block);
    try {
      const accepted = this.#readBlock(result);
      return result === -ERRNO.EAGAIN ? null : accepted;
    } catch (error) {
      if (result >= 0) port.closeDescriptor(result);
      throw error;
    }
  }

  prepare(writer: OpWriter): boolean {
    this.isClaimed = false;
    this.#block = this.#ring.blocks.take(LIMITS.blocksKeptByAccepts);
    writer.accept(this.#fd, this.#block);
    if (this.#isLook) this.#endLook(writer);
    return true;
  }

  /**
   * Cancels the accept in the same system call, because a process that waits for a connection gets
   * the only wakeup for it. Cancels again what has not landed after the turn.
   */
  #endLook(writer: OpWriter): void {
    const { slot, generation } = this.#operation;
    if (!writer.full) writer.cancel(slot, generation, this.cancelFlags);
    const number = this.#lookCount;
    this.#ring.defer(this, () => {
      if (this.#isLook && number === this.#lookCount) this.cancel();
    });
  }

  complete(result: number, _flags: number): void {
    this.#owner.accepted(this.#block < 0 ? this.#askPeer(result) : this.#readBlock(result));
  }

  fail(cause: unknown, result: number, _flags: number): void {
    const { blocks, port } = this.#ring;
    // If the operation was submitted again before the error, the block belongs to the next flight.
    if (this.#block >= 0 && this.isIdle) {
      blocks.put(this.#block);
      this.#block = -1;
    }
    if (result >= 0 && !this.isClaimed) port.closeDescriptor(result);
    this.#owner.broken(cause);
  }

  /** The kernel cannot name a peer that has reset the connection meanwhile. */
  #askPeer(result: number): Accepted {
    if (result < 0) return { result, peer: null };
    return {
      result,
      peer: endpoint(this.#ring, result, REMOTE_END) ?? unknownAddress(this.#family),
    };
  }

  #readBlock(result: number): Accepted {
    const { blocks } = this.#ring;
    const block = this.#block;
    this.#block = -1;
    try {
      const length = blocks.word(block, LENGTH_WORD);
      return { result, peer: result < 0 ? null : packedAddress.read(blocks, block, length) };
    } finally {
      blocks.put(block);
    }
  }
}
