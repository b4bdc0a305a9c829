/**
 * The ends of a socket.
 *
 *   null -> gracefulSoon -> graceful <-> lingering
 *    |           |             |            |
 *    +-----------+--> resetSoon -> reset <--+
 *
 * @module
 */

/** The end of the descriptor: FIN after the bytes that were sent, or RST. */
export type SocketEnd = "graceful" | "reset";

/** An end while the peer has yet to take bytes, or while the event loop has no time for it. */
export type UnfinishedEnd = "lingering" | "gracefulSoon" | "resetSoon";

/** All ends, by the number that a socket keeps for them. */
export const SOCKET_ENDS: readonly (SocketEnd | UnfinishedEnd | null)[] = [
  null,
  "graceful",
  "reset",
  "lingering",
  "gracefulSoon",
  "resetSoon",
];

export function isUnfinished(end: SocketEnd | UnfinishedEnd | null): end is UnfinishedEnd {
  return end !== null && end !== "graceful" && end !== "reset";
}
