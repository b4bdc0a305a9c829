/**
 * What every call that waits can be given.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";

/**
 * The options of every call that waits.
 *
 * @example
 * ```ts
 * import { type CallOptions, Network, NetworkError } from "@uringnet/uringnet";
 *
 * const options: CallOptions = { timeoutMs: 10, signal: AbortSignal.timeout(60_000) };
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0");
 * await listener.accept(options).catch((error: NetworkError) => {
 *   console.log(error.code); // Timeout
 * });
 * ```
 */
export interface CallOptions {
  /**
   * An abort rejects the call with `signal.reason`.
   * @default {undefined}
   */
  signal?: AbortSignal;
  /**
   * The budget of the whole call in milliseconds, 0 to 2,147,483,647. Null for none. Defaults to
   * the configured budget.
   * @default {undefined}
   */
  timeoutMs?: number | null;
}

const KNOWN: readonly string[] = ["signal", "timeoutMs"];

/** The budget that applies. Throws TypeError or RangeError for a wrong one. */
export function checkTimeout(options: CallOptions, fallback: number | null): number | null {
  const timeoutMs = intrinsics.optionOf(options, "timeoutMs");
  if (timeoutMs === undefined) return fallback;
  return check.integerOrNull("timeoutMs", timeoutMs, 0, LIMITS.timeoutMsMax);
}

/**
 * The signal, if there is one. Throws TypeError when it is something else, and its reason when it
 * is aborted already.
 */
export function checkSignal(options: CallOptions): AbortSignal | null {
  const signal = intrinsics.optionOf(options, "signal");
  if (signal === undefined || signal === null) return null;
  if (!(signal instanceof AbortSignal)) return check.fail("signal", "an AbortSignal", signal);
  if (intrinsics.isAborted(signal)) throw intrinsics.abortReason(signal);
  return signal;
}

/** Refuses what is not an options object at all, and fields that none has. Allocates nothing. */
export function checkOptions(options: CallOptions): void {
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    check.fail("options", "an object", options);
  }
  for (const name in options) {
    if (name === "timeoutMs" || name === "signal") continue;
    // What is inherited says nothing: an AbortController may stand for its signal. But a signal in
    // place of the options would never be looked at.
    if (Object.hasOwn(options, name)) check.unknown("options", name, KNOWN);
    if (options instanceof AbortSignal) check.fail("options", "an object with a signal", options);
  }
}

/** All of it, for a call that is done when it begins. */
export function checkCall(options: CallOptions | undefined): void {
  if (options === undefined) return;
  checkOptions(options);
  checkTimeout(options, null);
  checkSignal(options);
}
