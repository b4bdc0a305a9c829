/**
 * One call that waits for bytes: its wanted length, and for a large call the part of the result
 * that was received directly so far.
 *
 *   exact   `recv`: exactly `length` bytes
 *   some    `recvSome`: 1 to `length` bytes
 *   wait    `wait`: `length` bytes that stay in the read buffer
 *   until   `recvUntil`, `lines`: through a delimiter, at most `length` bytes
 *
 * @module
 */
import { unreachable } from "../../base/assert.ts";
import type { Linked } from "../../base/fifo.ts";
import type { OperationName } from "../../base/network_error.ts";
import type { BufferPool } from "../../buf/buffer_pool.ts";
import { newIoBuf } from "../../buf/io_buf.ts";
import { type IoBufs, ofChunk } from "../../buf/io_bufs.ts";
import type { Slot } from "../../buf/slot.ts";
import { Call } from "../call/call.ts";
import type { LoopReference } from "../call/loop_reference.ts";

export type RecvKind = "exact" | "some" | "wait" | "until";

/** The queue that serves the call. */
export interface RecvCallOwner {
  readonly socket: LoopReference & { readonly peerName: string };
  push(call: RecvCall): void;
  endCall(call: RecvCall, abort: { reason: unknown } | null): void;
}

export abstract class RecvCall extends Call implements Linked<RecvCall> {
  next: RecvCall | null = null;
  previous: RecvCall | null = null;
  readonly #queue: RecvCallOwner;
  length = 0;

  constructor(queue: RecvCallOwner) {
    super();
    this.#queue = queue;
  }

  /** A class for each kind: a field would make the call a size class larger in Bun. */
  abstract get kind(): RecvKind;

  /** The result under construction: only calls that bypass the read buffer have one. */
  get result(): IoBufs | null {
    return this.extras === null ? null : this.extras.result as IoBufs | null;
  }

  set result(result: IoBufs | null) {
    if (result !== null) this.madeExtras.result = result;
    else if (this.extras !== null) this.extras.result = null;
  }

  /** Prepares a new or settled call. */
  renew(length: number): this {
    this.length = length;
    this.result = null;
    return this;
  }

  /** Whether `length` bytes are all that the call takes. */
  fits(length: number): boolean {
    switch (this.kind) {
      case "exact":
        return length === this.length;
      case "some":
        return length <= this.length;
      case "wait":
      case "until":
        return false;
      default:
        return unreachable(this.kind);
    }
  }

  /**
   * Whether the call is received directly into its result, without the read buffer of `capacity`
   * bytes.
   */
  bypasses(buffered: number, capacity: number): boolean {
    switch (this.kind) {
      case "exact":
        return this.length - buffered >= capacity;
      case "some":
        return capacity === 0;
      case "wait":
      case "until":
        return false;
      default:
        return unreachable(this.kind);
    }
  }

  /**
   * Whether this is the call of a consumer, which takes a slot without a handle: see `PushReceive`.
   */
  get pushes(): boolean {
    return false;
  }

  /** The result of a call whose bytes are all in `slot`. Takes over one reference of the slot. */
  lent(_pool: BufferPool, slot: Slot, length: number): unknown {
    const handle = newIoBuf(slot, 0, length);
    return this.kind === "exact" ? ofChunk(handle) : handle;
  }

  get operation(): OperationName {
    switch (this.kind) {
      case "exact":
        return "recv";
      case "some":
        return "recvSome";
      case "wait":
        return "wait";
      case "until":
        return "recvUntil";
      default:
        return unreachable(this.kind);
    }
  }

  /** The name of the peer in messages. */
  get peerName(): string {
    return this.#queue.socket.peerName;
  }

  /** The number of bytes that are missing from the result. */
  get remaining(): number {
    return this.length - (this.result?.length ?? 0);
  }

  override get loopReference(): LoopReference {
    return this.#queue.socket;
  }

  override expire(): void {
    this.#queue.endCall(this, null);
  }

  protected override enqueue(): void {
    this.#queue.push(this);
  }

  override abort(reason: unknown): void {
    this.#queue.endCall(this, { reason });
  }
}

class ExactCall extends RecvCall {
  override get kind(): RecvKind {
    return "exact";
  }
}

class SomeCall extends RecvCall {
  override get kind(): RecvKind {
    return "some";
  }
}

class WaitCall extends RecvCall {
  override get kind(): RecvKind {
    return "wait";
  }
}

/** A new call. Those with a delimiter are made by their callers. */
export function newRecvCall(queue: RecvCallOwner, kind: Exclude<RecvKind, "until">): RecvCall {
  switch (kind) {
    case "exact":
      return new ExactCall(queue);
    case "some":
      return new SomeCall(queue);
    case "wait":
      return new WaitCall(queue);
    default:
      return unreachable(kind);
  }
}
