/**
 * One `accept()`.
 *
 * @module
 */
import type { Linked } from "../../base/fifo.ts";
import { Call } from "../call/call.ts";
import type { Holder } from "../call/holder.ts";

/** Who takes a call that gives up out of its queue. */
export interface AcceptCallOwner {
  expireCall(call: AcceptCall): void;
  abortCall(call: AcceptCall, reason: unknown): void;
}

export class AcceptCall extends Call implements Linked<AcceptCall> {
  next: AcceptCall | null = null;
  previous: AcceptCall | null = null;
  override readonly holder: Holder;
  readonly #owner: AcceptCallOwner;

  constructor(owner: AcceptCallOwner, holder: Holder) {
    super();
    this.#owner = owner;
    this.holder = holder;
  }

  override expire(): void {
    this.#owner.expireCall(this);
  }

  override abort(reason: unknown): void {
    this.#owner.abortCall(this, reason);
  }
}
