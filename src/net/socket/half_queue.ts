/**
 * The common part of the two halves of a connection: a queue of calls, one operation, retries.
 *
 *   no operation --submit()--> ready, in flight --completion--> idle --release()--> no operation
 *
 * The queue has the calls that are not settled, in the order in which they came. The half takes an
 * operation from the ring when it has something to submit. So an idle connection has no operation.
 *
 * @module
 */
import { Fifo, type Linked } from "../../base/fifo.ts";
import type { Lane, LaneQueue } from "../../ring/lane.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { Operation, OperationOwner } from "../../ring/operation.ts";
import type { Ring } from "../../ring/ring.ts";
import type { Call } from "../call/call.ts";
import { Retrier, type RetryTarget } from "../call/retrier.ts";
import type { Socket } from "./socket.ts";
import type { SocketDirection } from "./socket_half.ts";

export abstract class HalfQueue<C extends Call & Linked<C>> extends Fifo<C>
  implements OperationOwner, RetryTarget, SocketDirection {
  readonly socket: Socket;
  // Both are made when first needed, so that a half without them takes less of the processor's
  // cache.
  #operation: Operation | null = null;
  #retrier: Retrier | null = null;

  constructor(socket: Socket) {
    super();
    this.socket = socket;
  }

  abstract get ring(): Ring;

  protected abstract get lane(): Lane<Operation>;

  /** Index of the meter's count for retries of this half. */
  protected abstract get retryCounter(): number;

  abstract prepare(writer: OpWriter): boolean;
  abstract complete(result: number, flags: number): void;
  abstract fail(cause: unknown, result: number, flags: number): void;

  detain(): void {
    for (let call: C | null = this.head; call !== null; call = call.next) call.detain();
  }

  get cancelFlags(): number {
    return 0;
  }

  /** True when no call waits, so that a new call cannot overtake another one. */
  get isQuiet(): boolean {
    return this.head === null;
  }

  /** Whether this half has no operation in flight or queued. */
  get isIdle(): boolean {
    return this.#operation === null || this.#operation.isIdle;
  }

  /** Whether a cancel was submitted for the current flight, or for the one that has just ended. */
  protected get isCanceling(): boolean {
    return this.#operation !== null && this.#operation.isCanceling;
  }

  /** Counts a call that needs no operation of its own: the user's code is still running. */
  noteActivity(): void {
    this.ring.activity++;
  }

  /** Queues the operation for the next turn. Only while idle. */
  protected submit(queue: LaneQueue): void {
    const { ring } = this;
    ring.submit(this.#operation ??= ring.acquire(this.lane, this), queue);
  }

  resubmit(): void {
    this.submit("resubmitted");
  }

  /**
   * Returns true when no operation is in flight any more, and false when `complete` will be called.
   * See `Ring.cancel`.
   */
  cancel(): boolean {
    return this.#operation === null || this.ring.cancel(this.#operation);
  }

  /** The same behind the end of the socket: see `Ring.expectEnd`. */
  expectEnd(): boolean {
    return this.#operation === null || this.ring.expectEnd(this.#operation);
  }

  /** Returns true when no operation is in flight any more; one in flight goes on. */
  protected withdraw(): boolean {
    return this.#operation === null || this.ring.withdraw(this.#operation);
  }

  /** Sends another cancel for this flight, whose last one may have come too late. */
  protected cancelAgain(): boolean {
    if (this.#operation !== null) this.#operation.isCanceling = false;
    return this.cancel();
  }

  /** Gives the operation back to the ring, unless it is in flight or queued. */
  release(): void {
    if (this.#operation === null || !this.#operation.isIdle) return;
    this.ring.release(this.#operation);
    this.#operation = null;
  }

  /**
   * Whether the operation is neither in flight nor in a pause after which the retrier submits it.
   */
  protected get isFree(): boolean {
    return this.isIdle && (this.#retrier === null || !this.#retrier.isWaiting);
  }

  /** Submits again, now or after a pause. False when the limit of retries is reached. */
  protected retry(how: "again" | "later"): boolean {
    this.#retrier ??= new Retrier(this, this.retryCounter);
    return this.#retrier.retry(how);
  }

  /** Resets the count of retries, because the kernel took or gave bytes. */
  protected progressed(): void {
    if (this.#retrier !== null) this.#retrier.progress();
  }

  /** No call waits any more: ends a pause without submitting, and forgets the attempts so far. */
  protected stopRetrying(): void {
    this.#retrier?.stop();
  }
}
