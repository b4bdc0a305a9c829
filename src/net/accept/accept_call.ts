/**
 * One call that waits for a connection of a listener.
 *
 *   `accept()`            the connection, or an error
 *   a step of `for await` the connection as the result of an iterator; the end of the listener is
 *                         the end of the iteration
 *
 * @module
 */
import type { Linked } from "../../base/fifo.ts";
import { hasCode } from "../../base/network_error.ts";
import { Call } from "../call/call.ts";
import type { LoopReference } from "../call/loop_reference.ts";

/** The kind of a call: `accept()`, or a step of `for await`. */
export type AcceptKind = "accept" | "step";

/** The queue that serves the call. */
export interface AcceptCallOwner {
  push(call: AcceptCall): void;
  expireCall(call: AcceptCall): void;
  abortCall(call: AcceptCall, reason: unknown): void;
}

export class AcceptCall extends Call implements Linked<AcceptCall> {
  next: AcceptCall | null = null;
  previous: AcceptCall | null = null;
  override readonly loopReference: LoopReference;
  readonly #queue: AcceptCallOwner;
  readonly #kind: AcceptKind;

  constructor(queue: AcceptCallOwner, loopReference: LoopReference, kind: AcceptKind) {
    super();
    this.#queue = queue;
    this.loopReference = loopReference;
    this.#kind = kind;
  }

  override succeed(connection: unknown): void {
    super.succeed(this.#kind === "step" ? { value: connection, done: false } : connection);
  }

  override fail(reason: unknown): void {
    const ends = this.#kind === "step" && hasCode(reason, "Closed");
    if (ends) super.succeed({ value: undefined, done: true });
    else super.fail(reason);
  }

  override expire(): void {
    this.#queue.expireCall(this);
  }

  override abort(reason: unknown): void {
    this.#queue.abortCall(this, reason);
  }

  protected override enqueue(): void {
    this.#queue.push(this);
  }
}
