/**
 * The end of what a peer sends, on its way into the stream of its socket.
 *
 *   FIN --> pushEnd: the stream ends at once, also while it is paused, as in Node
 *           paused by node:http: after the next "resume"
 *
 * A server of `node:http` pauses a connection whose answers wait for the peer, and marks it with
 * `_paused`. It takes the end of the requests for a reason to cut the answers. Node stops reading
 * for as long, so the server does not see the end before.
 *
 * @module
 */
import type { Duplex } from "node:stream";

function pushEnd(this: Duplex & { _paused?: boolean }): void {
  if (this._paused === true) {
    this.once("resume", pushEnd);
    return;
  }
  this.push(null);
  this.read(0);
}

export const receivedEnd = { push: pushEnd };
