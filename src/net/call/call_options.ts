/**
 * What every call that waits can be given.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";

export interface CallOptions {
  /** Aborting rejects the call with `signal.reason`. */
  signal?: AbortSignal;
  /** Budget of the whole call in milliseconds; null for none, in place of the configured one. */
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

/**
 * Reads and checks the options once, for an operation of several calls. Throws as they would, and
 * the signal's reason when it is aborted already.
 */
export function readCallOptions(options: CallOptions | undefined): CallOptions {
  if (options === undefined) return {};
  checkOptions(options);
  const signal = checkSignal(options);
  const timeoutMs = intrinsics.optionOf(options, "timeoutMs");
  if (timeoutMs === undefined) return signal === null ? {} : { signal };
  const checked = check.integerOrNull("timeoutMs", timeoutMs, 0, LIMITS.timeoutMsMax);
  return signal === null ? { timeoutMs: checked } : { signal, timeoutMs: checked };
}

/** All of it, for a call that is done when it begins. */
export function checkCall(options: CallOptions | undefined): void {
  if (options === undefined) return;
  checkOptions(options);
  checkTimeout(options, null);
  checkSignal(options);
}
