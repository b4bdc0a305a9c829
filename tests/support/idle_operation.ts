/**
 * An operation that only records what is done to it, on a lane whose ring is never asked.
 *
 * @module
 */
import { Lane } from "../../src/ring/lane.ts";
import type { OpWriter } from "../../src/ring/op_writer.ts";
import { Operation } from "../../src/ring/operation.ts";
import type { Ring } from "../../src/ring/ring.ts";

/** A lane of `ring`, or of none. */
export function looseLane(inFlightMax = 1_000, ring: Partial<Ring> = {}): Lane {
  return new Lane(ring as Ring, inFlightMax);
}

export class IdleOperation extends Operation {
  readonly name: string;
  readonly completions: { result: number; flags: number }[] = [];
  readonly failures: unknown[] = [];

  constructor(lane: Lane = looseLane(), name = "") {
    super(lane);
    this.name = name;
  }

  override prepare(_writer: OpWriter): boolean {
    return true;
  }

  override complete(result: number, flags: number): void {
    this.completions.push({ result, flags });
  }

  override fail(cause: unknown): void {
    this.failures.push(cause);
  }
}
