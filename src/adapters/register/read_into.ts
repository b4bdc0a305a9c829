/**
 * The `onread` option of `tls.connect`. The runtimes serve it for a connection that they open
 * themselves, and over a given socket they do without it.
 *
 *   TLS --'data'--> the program's buffer, piece by piece --> callback
 *   the callback returns false --> pause(), the rest goes back --> resume()
 *
 * @module
 */
import { readOnRead, ReadTarget } from "../on_read.ts";
import type { NetSocket } from "./node_modules.ts";

/** Delivers what the socket receives to the `onread` option, if the given value is one. */
export function readInto(socket: NetSocket, given: unknown): void {
  const onread = readOnRead(given);
  if (onread === null) return;
  const target = new ReadTarget(onread);
  socket.on("data", (chunk: Uint8Array) => {
    let at = 0;
    try {
      while (at < chunk.length && !socket.isPaused() && !socket.destroyed) {
        const count = target.fill(chunk, at, chunk.length);
        at += count;
        const answer = Reflect.apply(onread.callback, socket, [count, target.buffer]);
        target.renew();
        if (answer === false || count === 0) socket.pause();
      }
    } finally {
      // Back into the stream, whose end waits for it; also when the program has thrown.
      if (at < chunk.length && !socket.destroyed) socket.unshift(chunk.subarray(at));
    }
  });
}
