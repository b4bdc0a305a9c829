/**
 * Who a pending call belongs to, and whether its calls keep the process alive: `ref` and `unref` of
 * connections and listeners.
 *
 * @module
 */
import type { NetworkContext } from "../socket/network_context.ts";

export class Holder {
  readonly context: NetworkContext;
  #calls = 0;
  #referenced = true;

  constructor(context: NetworkContext) {
    this.context = context;
  }

  /** A call is pending. */
  hold(): void {
    this.#calls++;
    if (this.#referenced) this.context.recvRing.pump.hold();
  }

  unhold(): void {
    this.#calls--;
    if (this.#referenced) this.context.recvRing.pump.unhold();
  }

  ref(): void {
    if (this.#referenced) return;
    this.#referenced = true;
    for (let i = 0; i < this.#calls; i++) this.context.recvRing.pump.hold();
  }

  unref(): void {
    if (!this.#referenced) return;
    this.#referenced = false;
    for (let i = 0; i < this.#calls; i++) this.context.recvRing.pump.unhold();
  }
}
