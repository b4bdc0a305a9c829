/**
 * Assertions about bugs of this library, always on. A fault of the caller, the kernel or the peer
 * is an error instead.
 *
 * @module
 */

/** Throws when an invariant of this library does not hold. */
export function assert(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new Error(`uringnet invariant broken: ${claim}`);
}

/** Closes a switch over a union: a missing case fails to compile. */
export function unreachable(value: never): never {
  throw new Error(`uringnet invariant broken: unexpected case ${String(value)}`);
}
