/**
 * One connect on the ring. The operation owns the block with the address until its completion.
 *
 *   idle -> prepare: a block is free -> in flight -> complete: the block is put back -> idle
 *             ^ |   no block is free
 *             | v
 *            pause
 *
 * @module
 */
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { Operation, OperationOwner } from "../../ring/operation.ts";
import type { Ring } from "../../ring/ring.ts";
import type { SocketAddress, UnixAddress } from "../address/address.ts";
import { writeSockaddr } from "../address/sockaddr.ts";

/** The receiver of the result of the flight. */
export interface ConnectOwner {
  landed(result: number): void;
  /** An error inside the library has ended the flight. */
  broken(cause: unknown): void;
}

export class ConnectOperation implements OperationOwner {
  readonly #ring: Ring;
  readonly #operation: Operation;
  readonly #fd: number;
  readonly #address: SocketAddress | UnixAddress;
  readonly #owner: ConnectOwner;
  #block = -1;
  #pause: HostTimer | null = null;

  constructor(
    ring: Ring,
    fd: number,
    address: SocketAddress | UnixAddress,
    owner: ConnectOwner,
  ) {
    this.#ring = ring;
    this.#operation = ring.acquire(ring.recvLane, this);
    this.#fd = fd;
    this.#address = address;
    this.#owner = owner;
  }

  get cancelFlags(): number {
    return 0;
  }

  submit(): void {
    this.#ring.submit(this.#operation);
  }

  /** Returns true when the operation is idle, and false when `landed` will be called. */
  cancel(): boolean {
    return this.#ring.cancel(this.#operation);
  }

  /** Gives the idle operation back to the ring. */
  release(): void {
    this.#ring.release(this.#operation);
  }

  detain(): void {}

  prepare(writer: OpWriter): boolean {
    const { blocks } = this.#ring;
    this.#block = blocks.take(LIMITS.blocksKeptByDials);
    if (this.#block < 0) {
      // Dials have all blocks that accepts and sends leave. Each dial ends, so one becomes free.
      this.#pause = this.#ring.host.setTimer(() => {
        this.#pause = null;
        this.#ring.submit(this.#operation, "resubmitted");
      }, LIMITS.backOffFirstMs);
      return false;
    }
    const { length } = writeSockaddr(blocks.bytes(this.#block), this.#address);
    writer.connect(this.#fd, this.#block, length);
    return true;
  }

  /** Ends a pause, because no call waits for the connection any more. Only while idle. */
  stop(): void {
    this.#pause?.cancel();
    this.#pause = null;
  }

  complete(result: number, _flags: number): void {
    this.#ring.blocks.put(this.#block);
    this.#block = -1;
    this.#owner.landed(result);
  }

  fail(cause: unknown): void {
    if (this.#block >= 0) this.#ring.blocks.put(this.#block);
    this.#block = -1;
    this.stop();
    this.#owner.broken(cause);
  }
}
