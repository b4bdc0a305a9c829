/**
 * An operation that only records what is done to it: its own owner, on a lane without a ring.
 *
 * @module
 */
import { Lane } from "../../src/ring/lane.ts";
import type { OpWriter } from "../../src/ring/op_writer.ts";
import { Operation, type OperationOwner } from "../../src/ring/operation.ts";

export function looseLane(inFlightMax = 1_000): Lane<Operation> {
  return new Lane<Operation>(inFlightMax);
}

export class IdleOperation extends Operation implements OperationOwner {
  readonly name: string;
  readonly cancelFlags = 0;
  readonly completions: { result: number; flags: number }[] = [];
  readonly failures: unknown[] = [];

  constructor(lane: Lane<Operation> = looseLane(), name = "") {
    super(lane, null as unknown as OperationOwner);
    this.owner = this;
    this.name = name;
  }

  prepare(_writer: OpWriter): boolean {
    return true;
  }

  complete(result: number, flags: number): void {
    this.completions.push({ result, flags });
  }

  fail(cause: unknown): void {
    this.failures.push(cause);
  }

  detain(): void {}
}
