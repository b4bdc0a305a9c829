/**
 * The backlog of a listener, of which Node and Deno take any number.
 *
 * @module
 */

/** The default of Node and of Deno. */
export const BACKLOG_DEFAULT = 511;
const BACKLOG_MAX = 0x7fff_ffff;

/** A whole number, which the kernel limits further. A negative one stands for the largest. */
export function wholeBacklog(given: number): number {
  return given < 0 ? BACKLOG_MAX : Math.min(Math.trunc(given) || 0, BACKLOG_MAX);
}
