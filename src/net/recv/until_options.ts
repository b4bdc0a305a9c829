/**
 * The arguments of `recvUntil` and `lines`: a delimiter and a limit.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";
import { type CallOptions, checkOptions } from "../call/call_options.ts";

/** The options of `Stream.recvUntil` and `Stream.lines`. */
export interface UntilOptions extends CallOptions {
  /**
   * The largest number of bytes, the delimiter included: 1 to 4,294,967,295. The call rejects with
   * `"TooLong"` when so many bytes contain no complete delimiter.
   * @default {65_536}
   */
  maxLength?: number;
}

/** The name of the option that other calls do not have. */
export const MAX_LENGTH = "maxLength";

const encoder = new TextEncoder();

/** The limit of a call with a delimiter. Throws TypeError or RangeError for a wrong one. */
export function checkUntil(options: UntilOptions | undefined): number {
  if (options === undefined) return LIMITS.untilLengthMax;
  checkOptions(options, MAX_LENGTH);
  const maxLength = intrinsics.optionOf(options, MAX_LENGTH);
  if (maxLength === undefined) return LIMITS.untilLengthMax;
  return check.integer(MAX_LENGTH, maxLength, 1, LIMITS.lengthMax);
}

/** A copy of the delimiter's bytes. Throws TypeError or RangeError for a wrong delimiter. */
export function checkDelimiter(
  delimiter: string | Uint8Array | number,
  maxLength: number,
): Uint8Array {
  if (typeof delimiter === "number") {
    return Uint8Array.of(check.integer("delimiter", delimiter, 0, 255));
  }
  const bytes = typeof delimiter === "string" ? encoder.encode(delimiter) : delimiter;
  const wanted = "a string, a Uint8Array or a byte from 0 to 255";
  const length = check.bytes("delimiter", wanted, bytes);
  if (length < 1 || length > maxLength) {
    throw new RangeError(
      `Cannot use "delimiter": wanted 1 to ${maxLength} bytes ("maxLength"), given ${length}`,
    );
  }
  const copy = new Uint8Array(length);
  copy.set(bytes);
  return copy;
}
