/**
 * One pending promise: its budget, its abort signal, and its share in keeping the process alive.
 *
 *   prepare() -> start(): promise(), begin(), enqueue() -> ... -> one of succeed() and fail()
 *
 * Invariants
 * - A call settles once. Afterwards no deadline, no subscription to a signal and no keep-alive
 *   reference of the call remains.
 * - The end of a call does not end the kernel operation behind the call: an operation owns its
 *   memory until its final completion, whether a call still waits or not.
 *
 * @module
 */
import { assert } from "../../base/assert.ts";
import type { Deadline } from "../../ring/timing_wheel.ts";
import { AbortSubscription } from "./abort_subscription.ts";
import { type CallOptions, checkOptions, checkSignal, checkTimeout } from "./call_options.ts";
import type { LoopReference } from "./loop_reference.ts";

type Resolve = (value: unknown) => void;
/** A promise ignores the call; a substitute for a promise may use it. */
type Reject = (reason: unknown, call: Call) => void;

// The executor runs within `new Promise`, so one function can serve all calls without a closure.
let current: Call | null = null;
function execute(resolve: Resolve, reject: Reject): void {
  (current as Call).take(resolve, reject);
  current = null;
}

/**
 * The fields that few calls need: a budget with its entry in the timing wheel, a signal, a part of
 * the result. A call makes them when it first needs one, and keeps them when it is used again.
 * Most calls need none, and are half as large without these fields.
 */
class CallExtras implements Deadline {
  deadlineNext: Deadline | null = null;
  deadlinePrevious: Deadline | null = null;
  deadlineMs = 0;
  deadlineTick = -1;
  timeoutMs: number | null = null;
  subscription: AbortSubscription | null = null;
  /** The result under construction, which the kind of call knows. */
  result: unknown = null;
  readonly #call: { expire(): void };

  constructor(call: { expire(): void }) {
    this.#call = call;
  }

  expire(): void {
    this.#call.expire();
  }
}

export abstract class Call {
  /** Milliseconds of the ring's clock at the beginning. */
  startedMs = 0;
  #resolve: Resolve | null = null;
  #reject: Reject | null = null;
  /** Read by the kinds of calls; null until `madeExtras` is first read. */
  protected extras: CallExtras | null = null;

  /** The reference that counts this call. The call's queue knows the reference; no copy is kept. */
  abstract get loopReference(): LoopReference;

  /** The budget ran out. Settles the call now, or when the kernel answers a cancel. */
  abstract expire(): void;

  /** The signal was aborted. Settles the call, as `expire` does. */
  abstract abort(reason: unknown): void;

  /** Keeps the memory of this call for good: see `Operation.detain`. */
  detain(): void {}

  /** The budget of the call; null without one. */
  get timeoutMs(): number | null {
    return this.extras === null ? null : this.extras.timeoutMs;
  }

  set timeoutMs(timeoutMs: number | null) {
    if (timeoutMs !== null) this.madeExtras.timeoutMs = timeoutMs;
    else if (this.extras !== null) this.extras.timeoutMs = null;
  }

  protected get madeExtras(): CallExtras {
    return this.extras ??= new CallExtras(this);
  }

  get settled(): boolean {
    return this.#resolve === null;
  }

  /** Passes the call, which has begun, to the queue or the operation that serves it. */
  protected abstract enqueue(): void;

  /**
   * Starts the call. The order matters: the options are checked before the call has any effect, and
   * the queue gets a call whose promise can settle at once.
   */
  start<T>(): Promise<T> {
    const promise = this.promise<T>();
    this.enter();
    return promise;
  }

  /** The same for a call that `take` has given other functions than those of a promise. */
  enter(): void {
    this.begin();
    this.enqueue();
  }

  /** Makes the promise of this call; called once. */
  promise<T>(): Promise<T> {
    current = this;
    return new Promise<unknown>(execute) as Promise<T>;
  }

  /** Keeps the functions of the promise; only the executor calls this. */
  take(resolve: Resolve, reject: Reject): void {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /**
   * Reads the options, before the promise exists. Throws TypeError or RangeError for wrong options,
   * and the signal's reason when the signal is already aborted. `extra` is the name of an option
   * that this kind of call has and others have not.
   */
  prepare(
    options: CallOptions | undefined,
    fallbackMs: number | null,
    extra: string | null = null,
  ): void {
    this.timeoutMs = fallbackMs;
    if (options === undefined) return;
    checkOptions(options, extra);
    this.timeoutMs = checkTimeout(options, fallbackMs);
    const signal = checkSignal(options);
    if (signal !== null) this.madeExtras.subscription = new AbortSubscription(signal, this);
  }

  /**
   * Drops budget and signal. The promise settles before the call does, and neither of them may end
   * the call.
   */
  forgetOptions(): void {
    if (this.extras === null) return;
    this.extras.timeoutMs = null;
    this.extras.subscription = null;
  }

  /** The milliseconds that remain of the budget; infinite without a budget. */
  protected get leftMs(): number {
    if (this.extras === null || this.extras.timeoutMs === null) return Infinity;
    return this.extras.deadlineMs - this.loopReference.context.host.now();
  }

  /**
   * Starts the budget, subscribes to the signal, and keeps the process alive. Runs no code of the
   * caller.
   */
  begin(): void {
    const { extras, loopReference } = this;
    if (extras !== null && extras.subscription !== null) extras.subscription.begin();
    this.startedMs = loopReference.context.now;
    loopReference.addCall();
    if (extras !== null && extras.timeoutMs !== null) {
      loopReference.context.wheel.add(extras, extras.timeoutMs);
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

  /** Ends the budget and the subscription. The completion decides how the call settles. */
  disarm(): void {
    const { extras } = this;
    if (extras === null) return;
    this.loopReference.context.wheel.remove(extras);
    if (extras.subscription === null) return;
    extras.subscription.end();
    extras.subscription = null;
  }

  #end(): void {
    this.#resolve = this.#reject = null;
    this.disarm();
    this.loopReference.removeCall();
  }
}
