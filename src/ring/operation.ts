/**
 * One kernel operation, which works for one owner at a time. The owner has everything that the
 * kernel may touch: buffers, iovecs, address bytes, the socket.
 *
 *   idle --submit--> ready --prepare--> in flight --final completion--> idle
 *                      \--cancel--> idle
 *
 * Invariants
 * - Memory that `prepare` named stays referenced by the owner until `complete` was called for that
 *   flight. The caller's interest may end before; ownership does not.
 * - At most one record of an operation is with the kernel. A cancel does not count.
 * - (slot, generation) names one flight: the generation changes with each, so that a completion
 *   of another flight is recognised.
 * - An idle operation may go to another owner. A connection has operations only while it has
 *   something to send or to receive.
 *
 * @module
 */
import type { Lane } from "./lane.ts";
import type { OpWriter } from "./op_writer.ts";
import type { Waiting } from "./waiting_list.ts";

export const OPERATION_IDLE = 0;
export const OPERATION_READY = 1;
export const OPERATION_IN_FLIGHT = 2;

export type OperationState =
  | typeof OPERATION_IDLE
  | typeof OPERATION_READY
  | typeof OPERATION_IN_FLIGHT;

/** The half of a connection, the listener or the dial that an operation works for. */
export interface OperationOwner {
  /** Flags of the cancel record. */
  readonly cancelFlags: number;

  /** Writes exactly one record, or returns false when there is nothing left to do. */
  prepare(writer: OpWriter): boolean;

  /**
   * The kernel answered. The flight is over, and the operation may be submitted again, unless
   * `flags` has CQE_MORE.
   */
  complete(result: number, flags: number): void;

  /**
   * `prepare` or `complete` threw `cause`: ends the half of the connection, or the call, that the
   * operation works for with a typed error, and gives back what the owner holds. `result` and
   * `flags` are those of the completion, which the owner has seen in part or not at all; after
   * `prepare` they are -ECANCELED and 0. The operation is idle, unless `flags` has CQE_MORE or
   * `complete` had submitted the operation again.
   */
  fail(cause: unknown, result: number, flags: number): void;

  /**
   * The kernel keeps this flight: takes one more reference of each slot that the kernel may touch,
   * for good, before `complete` gives the owner's own reference back. Blocks end with the ring.
   */
  detain(): void;
}

export class Operation implements Waiting {
  /** The position in the lane, while the operation waits there. */
  place = 0;
  readonly lane: Lane<Operation>;
  owner: OperationOwner;
  state: OperationState = OPERATION_IDLE;
  slot = -1;
  generation = 0;
  /** A cancel was asked for this flight. */
  isCanceling = false;

  constructor(lane: Lane<Operation>, owner: OperationOwner) {
    this.lane = lane;
    this.owner = owner;
  }

  get isIdle(): boolean {
    return this.state === OPERATION_IDLE;
  }
}
