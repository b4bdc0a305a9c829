/**
 * Bodies of requests to a server of `node:http`, on connections that Bun serves in JavaScript. Bun
 * adds the bytes to the request as fast as they come, whether or not the program reads them.
 *
 *   the request is full -------> the socket pauses
 *   the program reads ---------> Bun resumes the socket
 *   the end of the body -------> the socket resumes, as the next request may come before a read
 *
 * @module
 */
import type { Readable } from "node:stream";
import type { NetSocket } from "./node_modules.ts";

/** The mark of a request that has paused its socket. */
const PAUSES = Symbol("uringnet.pauses");

interface Request extends Readable {
  socket: NetSocket;
  [PAUSES]?: true;
}

/** `push` of a request. Most have no body, and push the end alone. */
function push(this: Request, chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
  const prototype = Object.getPrototypeOf(this) as Readable;
  const more = prototype.push.call(this, chunk, encoding);
  if (chunk === null) {
    if (this[PAUSES]) resume(this.socket);
  } else if (!more) {
    this[PAUSES] = true;
    this.socket.pause();
  }
  return more;
}

/** Not where Bun has paused the socket itself, because answers wait in it. */
function resume(socket: NetSocket & { _paused?: boolean }): void {
  if (!socket._paused && socket.readable) socket.resume();
}

/** From now on the body of `request` comes as the program reads it. */
export function readsAsAsked(request: object): void {
  (request as Request).push = push;
}
