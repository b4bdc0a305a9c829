/**
 * The operations in flight: slot -> operation. The source of truth for what the kernel still owes.
 *
 * An operation keeps its slot between flights, whatever its owner. The generation tells flights
 * apart. The table holds each operation in flight, and through its owner all that the kernel may
 * touch, against the garbage collector.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { type Operation, OPERATION_IDLE, OPERATION_IN_FLIGHT } from "./operation.ts";

/** Slots are below this: the bit above them marks an accept on its way through the kernel. */
const SLOT_COUNT_MAX = 0x4000_0000;

export class OperationTable {
  readonly #operations: (Operation | null)[] = [];
  readonly #free: number[] = [];
  /** Of the last flight. One count for all: a slot's next owner cannot repeat its last one's. */
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

  /** The operation of a flight that goes on. Null when the completion belongs to none. */
  find(slot: number, generation: number): Operation | null {
    const operation = this.#operations[slot];
    if (operation === undefined || operation === null) return null;
    if (operation.generation !== generation >>> 0) return null;
    return operation.state === OPERATION_IN_FLIGHT ? operation : null;
  }

  /** Ends a flight. Null when the completion belongs to none: the record is stale. */
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

  /** Calls for each operation that is with the kernel. */
  eachInFlight(visit: (operation: Operation) => void): void {
    for (const operation of this.#operations) {
      if (operation !== null && operation.state === OPERATION_IN_FLIGHT) visit(operation);
    }
  }
}
