/**
 * One connection of a server.
 *
 * @module
 */
import type { Rostered } from "../base/roster.ts";
import type { Connection } from "../net/connection/connection.ts";
import { SocketConnection } from "../net/connection/socket_connection.ts";

/** One connection, and its progress at the last check. */
export class Served implements Rostered {
  rosterIndex = -1;
  readonly connection: Connection;
  #bytesSeen: number;
  /** On the server's idle clock. */
  #movedMs: number;
  /** Whether a check has found its time over, without traffic since. */
  #isOverdue = false;
  /** Whether the server has reset the connection, which makes its handler fail. */
  ended = false;

  constructor(connection: Connection, nowMs: number) {
    this.connection = connection;
    this.#bytesSeen = this.bytes;
    this.#movedMs = nowMs;
  }

  /** Whether there was no traffic for the time. A late check spares the connection once. */
  isIdle(nowMs: number, idleTimeoutMs: number, isLate: boolean): boolean {
    const { bytes } = this;
    if (bytes !== this.#bytesSeen) {
      this.#bytesSeen = bytes;
      this.#movedMs = nowMs;
      this.#isOverdue = false;
    }
    if (this.ended || nowMs - this.#movedMs < idleTimeoutMs) return false;
    const isOver = this.#isOverdue || !isLate;
    this.#isOverdue = true;
    return isOver;
  }

  /** Resets the connection, perhaps one of many. Resolves when the descriptor is closed. */
  end(): Promise<void> {
    const { connection } = this;
    this.ended = true;
    if (connection instanceof SocketConnection) {
      connection.resetSoon();
      return connection.closeSoon();
    }
    connection.reset();
    return connection.close();
  }

  /** The number of bytes of both directions so far. */
  get bytes(): number {
    return this.connection.stream.bytesReceived + this.connection.sink.bytesSent;
  }
}
