/**
 * `toDuplex`: a connection as a stream of `node:stream` that passes for a `net.Socket`.
 *
 * ```ts
 * import { createServer } from "node:http";
 * import { Network } from "uringnet";
 * import { toDuplex } from "uringnet/adapters/duplex";
 *
 * const http = createServer((_, response) => response.end("hello"));
 * await using network = await Network.start();
 * const listener = await network.bind("127.0.0.1:8080");
 * for await (const connection of listener) http.emit("connection", toDuplex(connection));
 * ```
 *
 * @module
 */
import type { Socket as NodeSocket } from "node:net";
import type { DuplexOptions } from "node:stream";
import { check } from "../base/check.ts";
import { SocketConnection } from "../net/connection/socket_connection.ts";
import type { Connection } from "../net/connection/connection.ts";
import type { OnRead } from "./on_read.ts";
import { SocketHandle } from "./socket_handle.ts";
import { Socket } from "./socket.ts";
import { HIDES_HANDLE, type SocketOptions } from "./socket_options.ts";

export type { OnRead } from "./on_read.ts";

/** Options of `node:net` that apply to an established connection. All are optional. */
export interface ToDuplexOptions extends
  Pick<
    DuplexOptions,
    | "allowHalfOpen"
    | "highWaterMark"
    | "readableHighWaterMark"
    | "writableHighWaterMark"
    | "signal"
  > {
  /**
   * The stream begins paused: nothing is received until it is resumed.
   * @default {false}
   */
  pauseOnCreate?: boolean;
  /** Delivers bytes to a function, in a buffer of the program, and not through the stream. */
  onread?: OnRead;
}

/**
 * Takes over a connection, which from then on is used through the stream alone. Throws TypeError
 * for an object that is not a connection of this library.
 */
export function toDuplex(connection: Connection, options: ToDuplexOptions = {}): NodeSocket {
  if (!(connection instanceof SocketConnection)) {
    return check.fail("connection", "a connection made by dial or accept", connection);
  }
  const handle = new SocketHandle();
  handle.open(connection);
  const given: SocketOptions = { ...options, handle, [HIDES_HANDLE]: true };
  return new Socket(given) as unknown as NodeSocket;
}
