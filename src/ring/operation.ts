/**
 * One kernel operation and everything that it owns: buffers, iovecs, address bytes, the socket.
 *
 *   idle --submit--> ready --prepare--> flying --final completion--> idle
 *                      \--withdraw--> idle
 *
 * Invariants
 * - What `prepare` named stays referenced by the operation until `complete` was called for it. The
 *   caller's interest may end before; ownership does not.
 * - At most one record of an operation is with the kernel. A cancel does not count.
 * - (slot, generation) names one flight: the generation changes with each, so that a completion
 *   that is not this flight's is recognised.
 *
 * @module
 */
import type { Lane } from "./lane.ts";
import type { OpWriter } from "./op_writer.ts";
import type { Waiting } from "./waiting_list.ts";

export const OPERATION_IDLE = 0;
export const OPERATION_READY = 1;
export const OPERATION_FLYING = 2;

export type OperationState =
  | typeof OPERATION_IDLE
  | typeof OPERATION_READY
  | typeof OPERATION_FLYING;

export abstract class Operation implements Waiting {
  /** While it waits in its lane. */
  place = 0;
  readonly lane: Lane;
  state: OperationState = OPERATION_IDLE;
  slot = -1;
  generation = 0;
  /** A cancel was asked for this flight. */
  canceling = false;

  constructor(lane: Lane) {
    this.lane = lane;
  }

  /** Flags of the cancel record. */
  get cancelFlags(): number {
    return 0;
  }

  get idle(): boolean {
    return this.state === OPERATION_IDLE;
  }

  /** Writes exactly one record, or returns false when there is nothing left to do. */
  abstract prepare(writer: OpWriter): boolean;

  /**
   * The kernel answered. The flight is over, and the operation may be submitted again, unless
   * `flags` has CQE_MORE.
   */
  abstract complete(result: number, flags: number): void;

  /**
   * `prepare` or `complete` threw `cause`: ends the half of the connection, or the call, that the
   * operation serves with a typed error, and gives back what the operation holds. `result` and
   * `flags` are the completion's, which may have been looked at in part or not at all; after
   * `prepare` they are -ECANCELED and 0. The operation is idle, unless `flags` has CQE_MORE or
   * `complete` had submitted it again.
   */
  abstract fail(cause: unknown, result: number, flags: number): void;

  /**
   * The kernel keeps this flight: takes one more reference of each slot that it may touch, for
   * good, before `complete` gives the operation's own back. Blocks end with the ring.
   */
  detain(): void {}
}
