/**
 * The `onread` option of `tls.connect`. The runtimes serve it for a connection that they open
 * themselves, and over a given socket they do without it.
 *
 *   TLS --'data'--> the program's buffer, piece by piece --> callback
 *   the callback returns false --> pause(), the rest goes back --> resume()
 *
 * @module
 */
import { nextBuffer, readOnRead } from "../on_read_buffers.ts";
import type { NetSocket } from "./node_modules.ts";

/** Delivers what the socket receives to the `onread` option, if the given value is one. */
export function readInto(socket: NetSocket, given: unknown): void {
  const onread = readOnRead(given);
  if (onread === null) return;
  socket.on("data", (chunk: Uint8Array) => {
    let at = 0;
    try {
      while (at < chunk.length && !socket.isPaused() && !socket.destroyed) {
        const target = nextBuffer(onread);
        const count = Math.min(target.length, chunk.length - at);
        target.set(chunk.subarray(at, at + count));
        at += count;
        const answer = Reflect.apply(onread.callback, socket, [count, target]);
        if (answer === false || count === 0) socket.pause();
      }
    } finally {
      // Back into the stream, whose end waits for it; also when the program has thrown.
      if (at < chunk.length && !socket.destroyed) socket.unshift(chunk.subarray(at));
    }
  });
}
