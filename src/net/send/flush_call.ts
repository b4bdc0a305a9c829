/**
 * One `flush()`: waits until the kernel has every byte that was given to the sink before.
 *
 * @module
 */
import type { Linked } from "../../base/fifo.ts";
import { Call } from "../call/call.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { LateError } from "./late_error.ts";
import { flushClosed, flushTimeout } from "./send_error.ts";
import type { LoopReference } from "../call/loop_reference.ts";

/** The half whose sends the flush waits for. */
export interface FlushCallOwner {
  readonly socket: LoopReference & { readonly peerName: string };
  readonly flushes: { push(flush: FlushCall): void; remove(flush: FlushCall): void };
}

export class FlushCall extends Call implements Linked<FlushCall> {
  next: FlushCall | null = null;
  previous: FlushCall | null = null;
  /** The number of earlier flushes since the queue was last empty. */
  number = 0;
  readonly #queue: FlushCallOwner;
  /** The error of a send that had resolved when it was buffered, if one failed. */
  readonly #late: LateError | null;

  constructor(queue: FlushCallOwner, late: LateError | null) {
    super();
    this.#queue = queue;
    this.#late = late;
  }

  /** The flush settles at its place in the queue, or when the half ends first. */
  protected override enqueue(): void {
    this.#queue.flushes.push(this);
  }

  /** The kernel has the bytes, or some of them were dropped for the reason given. */
  reach(lost: CloseReason | null): void {
    const late = this.#late === null ? null : this.#late.takeFor(this.number);
    // The error of a buffered send is more specific than the end of the half.
    if (late !== null) this.fail(late.error);
    else if (lost !== null) this.fail(flushClosed(this.#queue.socket.peerName, lost));
    else this.succeed(undefined);
  }

  override get loopReference(): LoopReference {
    return this.#queue.socket;
  }

  override expire(): void {
    this.#queue.flushes.remove(this);
    this.fail(flushTimeout(this.#queue.socket.peerName, this.timeoutMs));
  }

  override abort(reason: unknown): void {
    this.#queue.flushes.remove(this);
    this.fail(reason);
  }
}
