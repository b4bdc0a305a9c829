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
import type { SendQueue } from "./send_queue.ts";

export class FlushCall extends Call implements Linked<FlushCall> {
  next: FlushCall | null = null;
  previous: FlushCall | null = null;
  /** How many flushes came before, since the queue was last empty. */
  number = 0;
  readonly #queue: SendQueue;
  /** What became of sends that had resolved when they were buffered. */
  #late: LateError | null = null;

  constructor(queue: SendQueue) {
    super();
    this.#queue = queue;
  }

  /** Settles at the flush's place in the queue, or when the half ends before. */
  start(late: LateError | null): Promise<void> {
    this.#late = late;
    const promise = this.promise<void>();
    this.begin();
    this.#queue.flushes.push(this);
    return promise;
  }

  /** The kernel has the bytes, or some of them were dropped for the reason given. */
  reach(lost: CloseReason | null): void {
    const late = this.#late === null ? null : this.#late.takeFor(this.number);
    // What became of a buffered send says more than that the half has ended.
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
