/**
 * One operation that the fake kernel has.
 *
 *   armed: waits for its socket   queued: to be attempted   posted: has its last result
 *   collected: gone
 *
 * A multishot receive stays armed or queued until its last completion is posted.
 *
 * @module
 */
import { OP_CODE } from "../../src/ring/op_writer.ts";
import type { FakeSocket } from "./fake_socket.ts";
import type { Region } from "./memory_watch.ts";

export type FakeOpState = "armed" | "queued" | "posted" | "collected";

/** Operations that complete. */
export type FakeOpKind = Exclude<keyof typeof OP_CODE, "cancel" | "provide">;

/** One answer to an operation, which the core has not seen. */
export interface FakeCompletion {
  op: FakeOp;
  result: number;
  flags: number;
  /** The provided buffer that it names. */
  region: Region | null;
}

const KINDS = new Map(
  Object.entries(OP_CODE).map(([kind, code]) => [code as number, kind as FakeOpKind]),
);

export class FakeOp {
  readonly kind: FakeOpKind;
  readonly slot: number;
  readonly generation: number;
  readonly socket: FakeSocket;
  /** Bytes that it may move. */
  readonly length: number;
  /** Where a connect goes; the peer's address of an accept is written here. */
  readonly block: number;
  state: FakeOpState = "armed";
  readonly regions: Region[] = [];
  blockBytes: Uint8Array | null = null;
  /** Bytes that a send has moved so far (MSG_WAITALL). */
  done = 0;
  canceled = false;
  result = 0;
  /** Completions that come late; those behind them wait for them. */
  readonly held: FakeCompletion[] = [];
  /** Tells the ring that there is something to look at. */
  readonly ready: () => void;

  constructor(
    code: number,
    slot: number,
    generation: number,
    socket: FakeSocket,
    length: number,
    block: number,
    ready: (op: FakeOp) => void,
  ) {
    const kind = KINDS.get(code);
    if (kind === undefined) throw new Error(`op code ${code}`);
    this.kind = kind;
    this.slot = slot;
    this.generation = generation;
    this.socket = socket;
    this.length = length;
    this.block = block;
    this.ready = () => ready(this);
  }

  /** Which provided buffers it takes; -1 when it has memory of its own. */
  get group(): number {
    return this.kind === "recvSelect" ? this.block : this.kind === "recvMultishot" ? 1 : -1;
  }

  get name(): string {
    return `${this.kind} ${this.slot}.${this.generation} on fd ${this.socket.fd}`;
  }
}
