/**
 * The common part of the two halves of a connection: a queue of calls, one operation, retries.
 *
 * @module
 */
import { Fifo, type Linked } from "../../base/fifo.ts";
import type { Lane } from "../../ring/lane.ts";
import { Operation } from "../../ring/operation.ts";
import type { Call } from "../call/call.ts";
import { Retrier } from "../call/retrier.ts";
import type { Socket } from "./socket.ts";

export abstract class HalfQueue<C extends Call & Linked<C>> extends Operation {
  readonly socket: Socket;
  /** Calls that are not settled, in the order in which they came. */
  readonly calls: Fifo<C> = new Fifo<C>();
  // Made when first needed, so that a half without retries takes less of the processor's cache.
  #retrier: Retrier | null = null;

  constructor(socket: Socket, lane: Lane) {
    super(lane);
    this.socket = socket;
    socket.attach(this);
  }

  /** Index of the meter's count for retries of this half. */
  protected abstract get retryCounter(): number;

  override detain(): void {
    for (let call: C | null = this.calls.head; call !== null; call = call.next) call.detain();
  }

  /** True when no call waits, so that a new call cannot overtake another one. */
  get quiet(): boolean {
    return this.calls.head === null;
  }

  /** Counts a call that needs no operation of its own: the user's code is still running. */
  noteActivity(): void {
    this.lane.ring.activity++;
  }

  /** Not in flight, and not in a pause at whose end the retrier submits the operation. */
  protected get free(): boolean {
    return this.idle && (this.#retrier === null || !this.#retrier.waiting);
  }

  /** Submits again, now or after a pause. False when the limit of retries is reached. */
  protected retry(how: "again" | "later"): boolean {
    this.#retrier ??= new Retrier(this, this.retryCounter);
    return this.#retrier.retry(how);
  }

  /** The kernel took or gave bytes: the count of retries starts anew. */
  protected progressed(): void {
    if (this.#retrier !== null) this.#retrier.progress();
  }

  /** Ends a pause without submitting. */
  protected stopRetrying(): void {
    this.#retrier?.stop();
  }
}
