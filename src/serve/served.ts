/**
 * One connection of a server.
 *
 * @module
 */
import type { Rostered } from "../base/roster.ts";
import type { Connection } from "../net/connection/connection.ts";

/** One connection, and its progress when the server last looked at it. */
export class Served implements Rostered {
  rosterIndex = -1;
  readonly connection: Connection;
  bytesSeen: number;
  movedMs: number;
  /** The server reset the connection: its handler fails because of that. */
  ended = false;

  constructor(connection: Connection, nowMs: number) {
    this.connection = connection;
    this.bytesSeen = this.bytes;
    this.movedMs = nowMs;
  }

  /** Bytes of both directions so far. */
  get bytes(): number {
    return this.connection.stream.bytesReceived + this.connection.sink.bytesSent;
  }
}
