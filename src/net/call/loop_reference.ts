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

/** The bit of `bits` that is set after `unref`. */
const UNREFERENCED = 1;
/** One pending call in `bits`: with less than 2 to the 20th of them, `bits` is no double. */
const CALL = 1 << 11;

function callCount(bits: number): number {
  return Math.floor(bits / CALL);
}

export class LoopReference<Context extends CallContext = CallContext> {
  readonly context: Context;
  /**
   * Bit 0 is `UNREFERENCED`, the ten bits above belong to the class that extends this one, and the
   * remaining ones count the pending calls.
   */
  protected bits = 0;

  constructor(context: Context) {
    this.context = context;
  }

  /** Counts a call that is pending from now on. */
  addCall(): void {
    this.bits += CALL;
    if ((this.bits & UNREFERENCED) === 0) this.context.addReference();
  }

  /** Counts a call that is no longer pending. */
  removeCall(): void {
    this.bits -= CALL;
    if ((this.bits & UNREFERENCED) === 0) this.context.removeReference();
  }

  ref(): void {
    if ((this.bits & UNREFERENCED) === 0) return;
    this.bits -= UNREFERENCED;
    for (let i = callCount(this.bits); i > 0; i--) this.context.addReference();
  }

  unref(): void {
    if ((this.bits & UNREFERENCED) !== 0) return;
    this.bits += UNREFERENCED;
    for (let i = callCount(this.bits); i > 0; i--) this.context.removeReference();
  }
}
