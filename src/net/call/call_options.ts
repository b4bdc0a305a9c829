/**
 * The options of every call that waits.
 *
 * @module
 */
import { unreachable } from "../../base/assert.ts";
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

/** The budget that applies. Throws TypeError or RangeError for a wrong value. */
export function checkTimeout<F extends number | null | undefined>(
  options: CallOptions,
  fallback: F,
): number | null | F {
  const timeoutMs = intrinsics.optionOf(options, "timeoutMs");
  if (timeoutMs === undefined) return fallback;
  return check.integerOrNull("timeoutMs", timeoutMs, 0, LIMITS.timeoutMsMax);
}

/**
 * The signal, or null without one. Throws TypeError for a value that is not a signal, and the
 * signal's reason when the signal is already aborted, after a call of `whenAborted`.
 */
export function checkSignal(
  options: CallOptions,
  whenAborted: (() => void) | null = null,
): AbortSignal | null {
  const signal = intrinsics.optionOf(options, "signal");
  if (signal === undefined || signal === null) return null;
  const state = intrinsics.signalState(signal);
  switch (state) {
    case "active":
      return signal as AbortSignal;
    case "aborted":
      whenAborted?.();
      throw intrinsics.abortReason(signal as AbortSignal);
    case "noSignal":
      return check.fail("signal", "an AbortSignal", signal);
    default:
      return unreachable(state);
  }
}

/**
 * Refuses a value that is not an options object, and unknown fields; `extra` is a field of one kind
 * of call. Allocates nothing.
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
 * Reads and checks the options once, for a function that makes several calls. Throws the errors of
 * the checks, and the signal's reason when the signal is already aborted, after a call of
 * `whenAborted`.
 */
export function readCallOptions(
  options: CallOptions | undefined,
  whenAborted: (() => void) | null = null,
): CallOptions {
  if (options === undefined) return {};
  checkOptions(options);
  const signal = checkSignal(options, whenAborted);
  const timeoutMs = checkTimeout(options, undefined);
  if (timeoutMs === undefined) return signal === null ? {} : { signal };
  return signal === null ? { timeoutMs } : { signal, timeoutMs };
}

/** Checks all options, for a call that settles at once. */
export function checkCall(options: CallOptions | undefined): void {
  if (options === undefined) return;
  checkOptions(options);
  checkTimeout(options, null);
  checkSignal(options);
}
