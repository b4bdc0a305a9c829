/**
 * Catches what a function throws, and checks its class and its message.
 *
 * @module
 */
import { assert } from "../harness.ts";

// deno-lint-ignore no-explicit-any
type ErrorClass<T extends Error> = new (...data: any[]) => T;

export function thrown<T extends Error>(
  run: () => unknown,
  kind: ErrorClass<T>,
  pattern: RegExp | string = "",
): T {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    assert.instance(error, kind, `Expected a ${kind.name}, got ${error}`);
    assert.match((error as T).message, pattern);
    return error as T;
  }
  return assert.unreachable(`Expected a ${kind.name} (${pattern}), got ${result}`) as never;
}
