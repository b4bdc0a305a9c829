/**
 * One kernel operation, which serves one owner at a time. The owner holds all that the kernel may
 * touch: buffers, iovecs, address bytes, the socket.
 *
 *   idle --submit--> ready --prepare--> in flight --final completion--> idle
 *                      \--cancel--> idle
 *
 * Invariants
 * - Memory that `prepare` named stays referenced by the owner until `complete` was called for that
 *   flight. A call may end before that; the ownership does not.
 * - The kernel has at most one record of an operation. A cancel does not count.
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

const STATE_MASK = 3;
/** The bit of `isCanceling`. */
const CANCELING = 4;

/** The half of a connection, the listener or the dial that an operation serves. */
export interface OperationOwner {
  /** Flags of the cancel record. */
  readonly cancelFlags: number;

  /** Writes exactly one record, or returns false when no work is left. */
  prepare(writer: OpWriter): boolean;

  /**
   * Handles a completion. The flight is over and the operation may be submitted again, unless
   * `flags` has CQE_MORE.
   */
  complete(result: number, flags: number): void;

  /**
   * Called when `prepare` or `complete` threw `cause`. Ends the half of the connection, or the
   * call, that the operation serves, with a typed error, and releases the resources of the owner.
   * `result` and `flags` are those of the completion, which the owner may have handled in part;
   * after `prepare` they are -ECANCELED and 0. The operation is idle, unless `flags` has CQE_MORE
   * or `complete` had submitted the operation again.
   */
  fail(cause: unknown, result: number, flags: number): void;

  /**
   * Called for a flight that the kernel did not end. Takes one more reference, for good, of each
   * slot that the kernel may touch, before `complete` drops the owner's own reference. Blocks end
   * with the ring.
   */
  detain(): void;
}

export class Operation implements Waiting {
  /** The position in the lane, while the operation waits there. */
  place = 0;
  readonly lane: Lane<Operation>;
  owner: OperationOwner;
  slot = -1;
  generation = 0;
  /** State and flag in one number: a seventh field would take 16 more bytes in Bun. */
  #bits: number = OPERATION_IDLE;

  constructor(lane: Lane<Operation>, owner: OperationOwner) {
    this.lane = lane;
    this.owner = owner;
  }

  get state(): OperationState {
    return (this.#bits & STATE_MASK) as OperationState;
  }

  set state(state: OperationState) {
    this.#bits = (this.#bits & CANCELING) | state;
  }

  /** Whether a cancel was submitted for this flight. */
  get isCanceling(): boolean {
    return (this.#bits & CANCELING) !== 0;
  }

  set isCanceling(on: boolean) {
    this.#bits = on ? this.#bits | CANCELING : this.#bits & STATE_MASK;
  }

  get isIdle(): boolean {
    return this.state === OPERATION_IDLE;
  }
}
