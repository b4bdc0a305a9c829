/**
 * The operations in flight, by slot. The table is the record of all completions that are still to
 * come.
 *
 * An operation keeps its slot between flights, even when its owner changes. The generation
 * distinguishes flights. The table keeps each operation in flight from the garbage collector, and
 * through the owner all memory that the kernel may touch.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { type Operation, OPERATION_IDLE, OPERATION_IN_FLIGHT } from "./operation.ts";

/** Slots are below this number, because the shim uses the bit above to mark an accept. */
const SLOT_COUNT_MAX = 0x4000_0000;

export class OperationTable {
  readonly #operations: (Operation | null)[] = [];
  readonly #free: number[] = [];
  /**
   * The generation of the last flight. All slots share one count, so that two flights of a slot
   * never have the same one.
   */
  #generation = 0;
  inFlight = 0;

  /** Starts a flight: gives the operation a slot if it has none, and the next generation. */
  launch(operation: Operation): void {
    assert(operation.state !== OPERATION_IN_FLIGHT, "one flight at a time");
    if (operation.slot < 0) {
      operation.slot = this.#free.pop() ?? this.#operations.length;
      assert(operation.slot < SLOT_COUNT_MAX, "slots fit their field");
      this.#operations[operation.slot] = operation;
    }
    operation.generation = this.#generation = (this.#generation + 1) >>> 0;
    operation.state = OPERATION_IN_FLIGHT;
    operation.isCanceling = false;
    this.inFlight++;
  }

  /** The operation of a flight that goes on. Null for a stale completion. */
  find(slot: number, generation: number): Operation | null {
    const operation = this.#operations[slot];
    if (operation === undefined || operation === null) return null;
    if (operation.generation !== generation >>> 0) return null;
    return operation.state === OPERATION_IN_FLIGHT ? operation : null;
  }

  /** Ends a flight and returns its operation. Null for a stale completion. */
  land(slot: number, generation: number): Operation | null {
    const operation = this.find(slot, generation);
    if (operation === null) return null;
    operation.state = OPERATION_IDLE;
    this.inFlight--;
    return operation;
  }

  /** Frees the slot of an operation that will not be submitted again. */
  retire(operation: Operation): void {
    assert(operation.state !== OPERATION_IN_FLIGHT, "a slot is freed after the final completion");
    if (operation.slot < 0) return;
    this.#operations[operation.slot] = null;
    this.#free.push(operation.slot);
    operation.slot = -1;
  }

  /** Calls `visit` for each operation in flight. */
  eachInFlight(visit: (operation: Operation) => void): void {
    for (const operation of this.#operations) {
      if (operation !== null && operation.state === OPERATION_IN_FLIGHT) visit(operation);
    }
  }
}
