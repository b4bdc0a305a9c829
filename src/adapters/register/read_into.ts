/**
 * The `onread` option of `tls.connect`. The runtimes serve it for a connection that they open
 * themselves, and over a given socket they do without it.
 *
 *   TLS --'data'--> the program's buffer, piece by piece --> callback
 *   the callback returns false --> pause(), the rest goes back --> resume()
 *
 * @module
 */
import { isOnRead } from "../on_read_buffers.ts";
import type { NetSocket } from "./node_modules.ts";

/** Delivers what the socket receives to `onread`, if this is what it should be. */
export function readInto(socket: NetSocket, onread: unknown): void {
  if (!isOnRead(onread)) return;
  const { buffer, callback } = onread;
  const next = () => typeof buffer === "function" ? Reflect.apply(buffer, onread, []) : buffer;
  socket.on("data", (chunk: Uint8Array) => {
    let at = 0;
    try {
      while (at < chunk.length && !socket.isPaused() && !socket.destroyed) {
        const target = next();
        const count = Math.min(target.length, chunk.length - at);
        target.set(chunk.subarray(at, at + count));
        at += count;
        const answer = Reflect.apply(callback, socket, [count, target]);
        if (answer === false || count === 0) socket.pause();
      }
    } finally {
      // Back into the stream, whose end waits for it; also when the program has thrown.
      if (at < chunk.length && !socket.destroyed) socket.unshift(chunk.subarray(at));
    }
  });
}
