/**
 * The receiver of the backlog of a listener that drains: a server.
 *
 * @module
 */
import type { NetworkError } from "../../base/network_error.ts";
import type { SocketConnection } from "../connection/socket_connection.ts";

/** The receiver of the connections of a drained backlog. */
export interface BacklogTaker {
  take(connection: SocketConnection): void;
  /**
   * The backlog is empty, an error has ended the drain, or the listener was closed. The listener
   * closes now.
   */
  done(failure: NetworkError | null): void;
}
