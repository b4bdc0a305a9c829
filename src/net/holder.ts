/**
 * Who a pending call belongs to, and whether its calls keep the process alive: `ref` and `unref` of
 * connections and listeners.
 *
 * @module
 */
import type { Pump } from "../ring/pump.ts";
import type { NetworkContext } from "./network_context.ts";

export class Holder {
  readonly context: NetworkContext;
  readonly #pump: Pump;
  #calls = 0;
  #referenced = true;

  constructor(context: NetworkContext) {
    this.context = context;
    this.#pump = context.recvRing.pump;
  }

  /** A call is pending. */
  hold(): void {
    this.#calls++;
    if (this.#referenced) this.#pump.hold();
  }

  unhold(): void {
    this.#calls--;
    if (this.#referenced) this.#pump.unhold();
  }

  ref(): void {
    if (this.#referenced) return;
    this.#referenced = true;
    for (let i = 0; i < this.#calls; i++) this.#pump.hold();
  }

  unref(): void {
    if (!this.#referenced) return;
    this.#referenced = false;
    for (let i = 0; i < this.#calls; i++) this.#pump.unhold();
  }
}
