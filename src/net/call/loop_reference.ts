/**
 * The keep-alive reference of a connection, a listener or a dial: its pending calls keep the event
 * loop of the runtime running, and with it the process, unless the user calls `unref()`.
 *
 *   referenced:   each pending call counts as one reference of the network
 *   unreferenced: no pending call counts; `ref()` counts all pending calls again
 *
 * @module
 */
import type { Host } from "../../base/host.ts";
import type { TimingWheel } from "../../ring/timing_wheel.ts";

/** The part of a network that a call uses: the clock, the deadlines, the references. */
export interface CallContext {
  readonly host: Host;
  readonly wheel: TimingWheel;
  /**
   * Milliseconds: the time of the last turn while turns follow each other, else the host's time.
   */
  readonly now: number;
  addReference(): void;
  removeReference(): void;
}

export class LoopReference<Context extends CallContext = CallContext> {
  readonly context: Context;
  #callCount = 0;
  #isReferenced = true;

  constructor(context: Context) {
    this.context = context;
  }

  /** Counts a call that is pending from now on. */
  addCall(): void {
    this.#callCount++;
    if (this.#isReferenced) this.context.addReference();
  }

  /** Counts a call that is no longer pending. */
  removeCall(): void {
    this.#callCount--;
    if (this.#isReferenced) this.context.removeReference();
  }

  ref(): void {
    if (this.#isReferenced) return;
    this.#isReferenced = true;
    for (let i = 0; i < this.#callCount; i++) this.context.addReference();
  }

  unref(): void {
    if (!this.#isReferenced) return;
    this.#isReferenced = false;
    for (let i = 0; i < this.#callCount; i++) this.context.removeReference();
  }
}
