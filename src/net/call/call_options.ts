/**
 * The options of every call that waits.
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

/** The budget that applies. Throws TypeError or RangeError for a wrong value. */
export function checkTimeout(options: CallOptions, fallback: number | null): number | null {
  const timeoutMs = intrinsics.optionOf(options, "timeoutMs");
  if (timeoutMs === undefined) return fallback;
  return check.integerOrNull("timeoutMs", timeoutMs, 0, LIMITS.timeoutMsMax);
}

/**
 * The signal, or null without one. Throws TypeError for a value that is no signal, and the signal's
 * reason when the signal is already aborted.
 */
export function checkSignal(options: CallOptions): AbortSignal | null {
  const signal = intrinsics.optionOf(options, "signal");
  if (signal === undefined || signal === null) return null;
  if (!(signal instanceof AbortSignal)) return check.fail("signal", "an AbortSignal", signal);
  if (intrinsics.isAborted(signal)) throw intrinsics.abortReason(signal);
  return signal;
}

/**
 * Refuses a value that is no options object, and unknown fields; `extra` is a field of one kind of
 * call. Allocates nothing.
 */
export function checkOptions(options: CallOptions, extra: string | null = null): void {
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    check.fail("options", "an object", options);
  }
  for (const name in options) {
    if (name === "timeoutMs" || name === "signal" || name === extra) continue;
    // Inherited fields are accepted: an AbortController can serve as options, because it has a
    // signal. A signal in place of the options is refused, because no field of it would be read.
    if (Object.hasOwn(options, name)) {
      check.unknown("options", name, extra === null ? KNOWN : [...KNOWN, extra]);
    }
    if (options instanceof AbortSignal) check.fail("options", "an object with a signal", options);
  }
}

/**
 * Reads and checks the options once, for an operation of several calls. Throws as the checks do,
 * and the signal's reason when it is aborted already.
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

/** Checks everything, for a call that settles when it begins. */
export function checkCall(options: CallOptions | undefined): void {
  if (options === undefined) return;
  checkOptions(options);
  checkTimeout(options, null);
  checkSignal(options);
}
