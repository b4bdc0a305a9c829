/**
 * Random faults that no caller may notice, from the fault table of a library that was built with
 * `scripts/build.sh --faults`: short operations, errors that pass, completions that come late.
 * `ffi/shim/faults.c` says what each action does.
 *
 * @module
 */
import process from "node:process";
import { ERRNO } from "../../src/base/errno.ts";
import { OP_CODE } from "../../src/ring/op_writer.ts";
import type { Random } from "../harness.ts";

interface FaultTable {
  // deno-lint-ignore camelcase
  ur_fault_set(...values: number[]): number;
  // deno-lint-ignore camelcase
  ur_fault_count(index: number): number;
}

const ACTION = { errno: 1, clamp: 2, delay: 4 } as const;
const RULE_COUNT = 6;
/** Fewer in a row than the core retries without progress. */
const REPEAT_MAX = 8;
const AFTER_MAX = 60;

const { recv, recvSelect, send, sendmsg, accept } = OP_CODE;

function openTable(path: string): FaultTable {
  const set = Array(7).fill("u32").with(6, "i32");
  // deno-lint-ignore no-explicit-any
  const { Deno } = globalThis as any;
  if (Deno !== undefined) {
    return Deno.dlopen(path, {
      ur_fault_set: { parameters: set, result: "i32" },
      ur_fault_count: { parameters: ["u32"], result: "i32" },
    }).symbols;
  }
  // deno-lint-ignore no-explicit-any
  return (process as any).getBuiltinModule("bun:ffi").dlopen(path, {
    ur_fault_set: { args: set, returns: "i32" },
    ur_fault_count: { args: ["u32"], returns: "i32" },
  }).symbols;
}

export class FaultStorm {
  /** Faults that struck, by rules that are gone. */
  #struck = 0;
  #next = 0;
  readonly #table: FaultTable;
  readonly #random: Random;

  constructor(path: string, random: Random) {
    this.#table = openTable(path);
    this.#random = random;
  }

  get struck(): number {
    let sum = this.#struck;
    for (let i = 0; i < RULE_COUNT; i++) sum += this.#table.ur_fault_count(i);
    return sum;
  }

  /** Replaces one rule by another. */
  change(): void {
    const random = this.#random;
    const [action, opcode, value] = this.#draw();
    this.#set(this.#next, action, opcode, value, random.int(1, REPEAT_MAX));
    this.#next = (this.#next + 1) % RULE_COUNT;
  }

  /** No more faults. */
  end(): void {
    for (let i = 0; i < RULE_COUNT; i++) this.#set(i, 0, 0, 0, 0);
  }

  #set(index: number, action: number, opcode: number, value: number, repeat: number): void {
    this.#struck += this.#table.ur_fault_count(index);
    const after = this.#random.int(0, AFTER_MAX);
    const result = this.#table.ur_fault_set(index, action, opcode, value, after, repeat, -1);
    if (result !== 0) throw new RangeError(`The fault table refuses ${action} ${opcode} ${value}`);
  }

  #draw(): [action: number, opcode: number, value: number] {
    const random = this.#random;
    const { EAGAIN, EINTR, ENOBUFS } = ERRNO;
    switch (random.int(0, 3)) {
      case 0:
        return [ACTION.clamp, random.pick([recv, recvSelect, send, sendmsg]), random.int(1, 999)];
      case 1:
        return [ACTION.clamp, random.pick([recv, send, sendmsg]), 1];
      case 2: {
        const opcode = random.pick([recv, recvSelect, send, sendmsg, accept]);
        return [ACTION.errno, opcode, random.pick([EAGAIN, EINTR, ENOBUFS])];
      }
      default:
        return [ACTION.delay, random.pick([recv, recvSelect, send, sendmsg]), random.int(1, 20)];
    }
  }
}
