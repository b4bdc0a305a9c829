/**
 * One `recv` or `recvSome`: what is wanted, and for large ones what was received straight into the
 * result so far.
 *
 * @module
 */
import type { Linked } from "../../base/fifo.ts";
import type { BufferPool } from "../../buf/buffer_pool.ts";
import { newIoBuf } from "../../buf/io_buf.ts";
import { type IoBufs, ofChunk } from "../../buf/io_bufs.ts";
import type { Slot } from "../../buf/slot.ts";
import { Call } from "../call/call.ts";
import type { Holder } from "../call/holder.ts";

/** Whose call it is. */
export interface RecvCallOwner {
  readonly socket: Holder & { readonly peerName: string };
  endCall(call: RecvCall, abort: { reason: unknown } | null): void;
}

export class RecvCall extends Call implements Linked<RecvCall> {
  next: RecvCall | null = null;
  previous: RecvCall | null = null;
  readonly #queue: RecvCallOwner;
  /** Exactly this many bytes, or at most. */
  exact = false;
  length = 0;
  /** The result under construction: only calls that bypass the read buffer have one. */
  result: IoBufs | null = null;

  constructor(queue: RecvCallOwner) {
    super();
    this.#queue = queue;
  }

  /** Makes a new or settled call ready. */
  renew(length: number, exact: boolean): this {
    this.length = length;
    this.exact = exact;
    this.result = null;
    return this;
  }

  /** A consumer's call, which takes bytes as they are: see `PushReceive`. */
  get pushes(): boolean {
    return false;
  }

  /** What the call gets where `slot` holds its bytes alone; takes over one reference of it. */
  lent(_pool: BufferPool, slot: Slot, length: number): unknown {
    const handle = newIoBuf(slot, 0, length);
    return this.exact ? ofChunk(handle) : handle;
  }

  get operation(): "recv" | "recvSome" {
    return this.exact ? "recv" : "recvSome";
  }

  /** The other end, for messages. */
  get peerName(): string {
    return this.#queue.socket.peerName;
  }

  /** Bytes still missing from the result. */
  get remaining(): number {
    return this.length - (this.result?.length ?? 0);
  }

  override get holder(): Holder {
    return this.#queue.socket;
  }

  override expire(): void {
    this.#queue.endCall(this, null);
  }

  override abort(reason: unknown): void {
    this.#queue.endCall(this, { reason });
  }
}
