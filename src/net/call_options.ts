/**
 * What every call that waits can be given.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { LIMITS } from "../base/limits.ts";

export interface CallOptions {
  /** Aborting rejects the call with `signal.reason`. */
  signal?: AbortSignal;
  /** Budget of the whole call in milliseconds; null for none, in place of the configured one. */
  timeoutMs?: number | null;
}

/** The budget that applies. Throws TypeError or RangeError for a wrong one. */
export function checkTimeout(options: CallOptions, fallback: number | null): number | null {
  const { timeoutMs } = options;
  if (timeoutMs === undefined) return fallback;
  return check.integerOrNull("timeoutMs", timeoutMs, 0, LIMITS.timeoutMsMax);
}

/** The signal, if there is one. Throws TypeError when it is something else. */
export function checkSignal(options: CallOptions): AbortSignal | null {
  const { signal } = options;
  if (signal === undefined || signal === null) return null;
  if (!(signal instanceof AbortSignal)) check.fail("signal", "an AbortSignal", signal);
  return signal;
}

/** Refuses what is not an options object at all. */
export function checkOptions(options: unknown): void {
  if (options !== undefined && (options === null || typeof options !== "object")) {
    check.fail("options", "an object", options);
  }
}
