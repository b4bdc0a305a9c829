/**
 * The users of a socket that its end waits for.
 *
 * @module
 */

/** A direction of the connection, or a poll, whose operation the end of the socket waits for. */
export interface SocketHalf {
  readonly isIdle: boolean;
  /** Ends the operation, at once or with a completion. */
  cancel(): boolean;
  /** Gives the idle operation back to its ring. */
  release(): void;
}

export interface SocketDirection extends SocketHalf {
  /** Ends the operation, which the shutdown of the socket has ended as well. */
  expectEnd(): boolean;
}
