/**
 * Assertions for our own bugs, always on. What the world can do wrong is an error, not an
 * assertion.
 *
 * @module
 */

/** Throws when an invariant of this library does not hold. */
export function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new Error(`uringnet invariant broken: ${claim}`);
}

/** Closes a switch over a union: a case that was added and forgotten fails to compile. */
export function unreachable(value: never): never {
  throw new Error(`uringnet invariant broken: unexpected case ${String(value)}`);
}
