/**
 * Chooses the way of bytes through a socket.
 *
 * A direct way goes beneath the streams of `node:net`, which cost as much time as the rest of this
 * backend. The handle there has a form that depends on the runtime and is not documented. So its
 * form is checked for each socket, and a socket whose handle has another form takes the plain way.
 *
 * @module
 */
import { type BytePath, type OnBytes, PlainPath } from "./byte_path.ts";
import { directPath } from "./direct_path.ts";
import { handlePath } from "./handle_path.ts";
import type { RuntimeSocket } from "./runtime_sockets.ts";

/** Whether direct ways are taken. Tests of the plain way clear it. */
export const bytePaths = { direct: true };

/** Called once for each socket, after it has connected and before it reads. */
export function bytePath(socket: RuntimeSocket, onBytes: OnBytes): BytePath {
  const plain = new PlainPath(socket);
  const direct = bytePaths.direct
    ? handlePath(socket, onBytes) ?? directPath(socket, plain, onBytes)
    : null;
  // Also with a direct way: a runtime that does not use it as expected emits the event.
  socket.on("data", (chunk: Uint8Array) => onBytes(chunk, false));
  return direct ?? plain;
}
