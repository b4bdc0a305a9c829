/**
 * The fault table, as tests speak of it. `ffi/shim/faults.c` says what each action does.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import { OP_CODE } from "../../src/ring/op_writer.ts";
import { control } from "./library.ts";

/** Operations as op records name them, or every one that completes. */
export type OperationKind = Exclude<keyof typeof OP_CODE, "nop"> | "any";

export interface Fault {
  on: OperationKind;
  /** The effect on the operation: exactly one of these. */
  errno?: string;
  clampBytes?: number;
  zero?: true;
  /** Turns, or "forever": until the rule is set again or cleared. */
  delayTurns?: number | "forever";
  reorder?: true;
  /** Operations that are left alone first. */
  after?: number;
  /** Operations that it happens to; default: all that follow. */
  repeat?: number;
}

const ANY = 255;
const FOREVER = 0xffff_ffff;
const RULE_COUNT = 32;

function actionOf(fault: Fault): [action: number, value: number] {
  if (fault.errno !== undefined) return [1, ERRNO[fault.errno]];
  if (fault.clampBytes !== undefined) return [2, fault.clampBytes];
  if (fault.zero) return [3, 0];
  if (fault.delayTurns === "forever") return [4, FOREVER];
  if (fault.delayTurns !== undefined) return [4, fault.delayTurns];
  if (fault.reorder) return [5, 0];
  throw new TypeError("A fault wants one of errno, clampBytes, zero, delayTurns and reorder");
}

/** Sets one rule; earlier rules are asked first. */
function set(index: number, fault: Fault): void {
  const [action, value] = actionOf(fault);
  const opcode = fault.on === "any" ? ANY : OP_CODE[fault.on];
  const { after = 0, repeat = FOREVER } = fault;
  const result = control.ur_fault_set(index, action, opcode, value, after, repeat, -1);
  if (result !== 0) throw new RangeError(`The fault table refuses ${JSON.stringify(fault)}`);
}

/** Clears one rule, and lets go what it holds. */
function clear(index: number): void {
  control.ur_fault_set(index, 0, 0, 0, 0, 0, -1);
}

/** Forgets every rule, lets go what they hold, and sets these. */
function reset(...faults: Fault[]): void {
  for (let index = 0; index < RULE_COUNT; index++) clear(index);
  faults.forEach((fault, index) => set(index, fault));
}

/** How often a rule has acted. */
function acted(index = 0): number {
  return control.ur_fault_count(index);
}

/** Completions of this thread that are kept back. */
function held(): number {
  return control.ur_fault_held();
}

export const table = { set, clear, reset, acted, held };
