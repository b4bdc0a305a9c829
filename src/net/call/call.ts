/**
 * One pending promise: its budget, its abort signal, and its share in keeping the process alive.
 *
 *   promise() -> begin() -> ... -> settle: exactly one of succeed / fail
 *
 * Invariants
 * - `settle` happens once; afterwards no timer, listener or hold of this call remains.
 * - A call that ends does not end the kernel operation behind it: that owns its memory until its
 *   completion, whoever still waits.
 *
 * @module
 */
import { assert } from "../../base/assert.ts";
import { CallDeadline } from "./call_deadline.ts";
import { type CallOptions, checkOptions, checkSignal, checkTimeout } from "./call_options.ts";
import type { Holder } from "./holder.ts";
import { Patience } from "./patience.ts";

type Resolve = (value: unknown) => void;
/** A promise takes no notice of the call; what stands in for a promise may. */
type Reject = (reason: unknown, call: Call) => void;

// The executor runs within `new Promise`, so one function can serve all calls without a closure.
let current: Call | null = null;
function execute(resolve: Resolve, reject: Reject): void {
  (current as Call).take(resolve, reject);
  current = null;
}

export abstract class Call {
  /** Milliseconds of the ring's clock at the beginning. */
  startedMs = 0;
  timeoutMs: number | null = null;
  #resolve: Resolve | null = null;
  #reject: Reject | null = null;
  /** Made when first needed: what a call does not have does not make it large. */
  #deadline: CallDeadline | null = null;
  #patience: Patience | null = null;

  /** Whom the call belongs to from `begin` on; known from the queue, and not kept twice. */
  abstract get holder(): Holder;

  /** The budget ran out. Must settle the call, now or when the kernel answers a cancel. */
  abstract expire(): void;

  /** The signal was aborted. Must settle the call, as `expire`. */
  abstract abort(reason: unknown): void;

  /** The kernel keeps the flight of this call: see `Operation.detain`. */
  detain(): void {}

  get settled(): boolean {
    return this.#resolve === null;
  }

  /** The promise of this call; made once. */
  promise<T>(): Promise<T> {
    current = this;
    return new Promise<unknown>(execute) as Promise<T>;
  }

  /** @internal */
  take(resolve: Resolve, reject: Reject): void {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /**
   * Reads the options, before the promise exists. Throws TypeError or RangeError for wrong ones,
   * and the signal's reason when it is aborted already.
   */
  prepare(options: CallOptions | undefined, fallbackMs: number | null): void {
    this.timeoutMs = fallbackMs;
    if (options === undefined) return;
    checkOptions(options);
    this.timeoutMs = checkTimeout(options, fallbackMs);
    const signal = checkSignal(options);
    if (signal !== null) this.#patience = new Patience(signal, this);
  }

  /** The promise is settled before the call is: neither budget nor signal may end it any more. */
  forgetOptions(): void {
    this.timeoutMs = null;
    this.#patience = null;
  }

  /** Milliseconds that are left of the budget; infinite without one. */
  protected get leftMs(): number {
    if (this.#deadline === null) return Infinity;
    return this.#deadline.deadlineMs - this.holder.context.host.now();
  }

  /**
   * Starts the budget, listens to the signal, keeps the process alive. Runs no code of the caller.
   */
  begin(): void {
    if (this.#patience !== null) this.#patience.begin();
    const { holder } = this;
    this.startedMs = holder.context.now;
    holder.hold();
    if (this.timeoutMs !== null) {
      this.#deadline ??= new CallDeadline(this);
      holder.context.wheel.add(this.#deadline, this.timeoutMs);
    }
  }

  succeed(value: unknown): void {
    const resolve = this.#resolve;
    assert(resolve !== null, "a call settles once");
    this.#end();
    resolve(value);
  }

  fail(reason: unknown): void {
    const reject = this.#reject;
    assert(reject !== null, "a call settles once");
    this.#end();
    reject(reason, this);
  }

  /** Stops the clock and the signal; what happens next is decided by the kernel's answer. */
  disarm(): void {
    if (this.#deadline !== null) this.holder.context.wheel.remove(this.#deadline);
    if (this.#patience === null) return;
    this.#patience.end();
    this.#patience = null;
  }

  #end(): void {
    this.#resolve = this.#reject = null;
    this.disarm();
    this.holder.unhold();
  }
}
