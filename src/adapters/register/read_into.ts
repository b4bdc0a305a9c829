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
  // Asked for before the bytes are there, as in Node.
  target.renew();
  const deliver = (chunk: Uint8Array): void => {
    let at = 0;
    try {
      while (at < chunk.length && !socket.isPaused() && !socket.destroyed) {
        const count = target.fill(chunk, at, chunk.length);
        at += count;
        const answer = Reflect.apply(onread.callback, socket, [count, target.buffer]);
        if (answer === false || count === 0) socket.pause();
        target.renew();
      }
    } finally {
      // Back into the stream, whose end waits for it; also when the program has thrown.
      if (at < chunk.length && !socket.destroyed) socket.unshift(chunk.subarray(at));
    }
  };
  const { emit } = socket;
  // As in Node, listeners of 'data' hear nothing. The one here lets the stream flow.
  socket.on("data", deliver);
  socket.emit = (name: string | symbol, ...args: unknown[]): boolean => {
    if (name !== "data") return Reflect.apply(emit, socket, [name, ...args]);
    deliver(args[0] as Uint8Array);
    return true;
  };
}
