/**
 * uvu's assertions, and two more: rejections, and bytes.
 *
 * @module
 */
import * as uvuAssert from "uvu/assert";

/** The expected form of a rejection: its class, its text, its fields, or a predicate. */
export type RejectionCheck =
  | RegExp
  // deno-lint-ignore no-explicit-any
  | (abstract new (...data: any[]) => Error)
  | ((error: RejectedError) => boolean)
  | Readonly<Record<string, unknown>>;

/** The error of a rejection, with whatever fields it has. */
export interface RejectedError extends Error {
  [field: string]: unknown;
}

/** Waits for a rejection, checks it, and returns the error. Await it. */
export async function rejects(
  actual: Promise<unknown> | (() => unknown),
  check?: RejectionCheck,
): Promise<RejectedError> {
  let error: RejectedError;
  try {
    await (typeof actual === "function" ? actual() : actual);
  } catch (thrown) {
    // As in uvu's throws(): a failed assertion is not what the test waits for, unless it says so.
    if (thrown instanceof uvuAssert.Assertion && check !== uvuAssert.Assertion) throw thrown;
    error = thrown as RejectedError;
    checkRejection(error, check);
    return error;
  }
  throw new uvuAssert.Assertion({
    message: "Expected a rejection, but the promise was fulfilled",
    operator: "rejects",
    expects: check ?? "a rejection",
    actual: "fulfilled",
  });
}

function checkRejection(error: RejectedError, check: RejectionCheck | undefined): void {
  const shown = `${error?.name ?? typeof error} ${error?.code ?? ""}: ${error?.message ?? error}`;
  if (check === undefined) return;
  if (check instanceof RegExp) {
    uvuAssert.ok(check.test(String(error?.message)), `Expected ${check}, got ${shown}`);
  } else if (typeof check === "function" && isErrorClass(check)) {
    uvuAssert.ok(error instanceof check, `Expected an instance of ${check.name}, got ${shown}`);
  } else if (typeof check === "function") {
    const matches = (check as (error: RejectedError) => boolean)(error);
    uvuAssert.ok(matches, `The predicate refused ${shown}`);
  } else {
    for (const [field, expected] of Object.entries(check)) {
      uvuAssert.equal(error?.[field], expected, `Unexpected "${field}" in ${shown}`);
    }
  }
}

function isErrorClass(check: unknown): check is ErrorConstructor {
  return check === Error || (check as { prototype?: unknown }).prototype instanceof Error;
}

/** Compares bytes. Says where they first differ instead of printing them all. */
export function bytesEqual(actual: Uint8Array, expected: Uint8Array, message = "bytes"): void {
  const fail = (text: string): never => {
    throw new uvuAssert.Assertion({
      message: `${message}: ${text}`,
      operator: "bytesEqual",
      expects: `${expected.length} bytes`,
      actual: `${actual.length} bytes`,
    });
  };
  const shorter = Math.min(actual.length, expected.length);
  let index = 0;
  while (index < shorter && actual[index] === expected[index]) index++;
  if (index === actual.length && index === expected.length) return;
  if (actual.length !== expected.length) {
    const where = index < shorter ? `differing from index ${index}` : `equal up to index ${index}`;
    fail(`expected ${expected.length} bytes, got ${actual.length}, ${where}`);
  }
  fail(`expected 0x${hex(expected[index])} at index ${index}, got 0x${hex(actual[index])}`);
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** uvu's assertions, and two of our own. */
export const assert:
  & typeof import("uvu/assert")
  & { rejects: typeof rejects; bytesEqual: typeof bytesEqual } = {
    ...uvuAssert,
    rejects,
    bytesEqual,
  };
