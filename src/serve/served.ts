/**
 * One connection of a server.
 *
 * @module
 */
import type { Rostered } from "../base/roster.ts";
import type { Connection } from "../net/connection/connection.ts";
import { SocketConnection } from "../net/connection/socket_connection.ts";
import type { Stream } from "../net/recv/stream.ts";
import type { Sink } from "../net/send/sink.ts";

/** The methods of the class: a handler may have put others in their place. */
const { close, reset } = SocketConnection.prototype;

/** One connection, and its progress at the last check. */
export class Served implements Rostered {
  rosterIndex = -1;
  readonly connection: Connection;
  /** Read before the handler has the connection. */
  readonly #stream: Stream;
  readonly #sink: Sink;
  #bytesSeen: number;
  /** On the server's idle clock. */
  #movedMs: number;
  /** Whether a check has found its time over, without traffic since. */
  #isOverdue = false;
  /** Whether the server has reset the connection, which makes its handler fail. */
  ended = false;

  constructor(connection: Connection, nowMs: number) {
    this.connection = connection;
    this.#stream = connection.stream;
    this.#sink = connection.sink;
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

  /** Ends the connection of a handler that has failed. Never rejects. */
  async finish(resets: boolean): Promise<void> {
    const { connection } = this;
    const ends = connection instanceof SocketConnection ? { close, reset } : connection;
    try {
      if (resets) Reflect.apply(ends.reset, connection, []);
      await Reflect.apply(ends.close, connection, []);
    } catch {
      // A stand-in of the program that does not end.
    }
  }

  /** The number of bytes of both directions so far. */
  get bytes(): number {
    return this.#stream.bytesReceived + this.#sink.bytesSent;
  }
}
