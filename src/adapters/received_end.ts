/**
 * The end of what a peer sends, on its way into the stream of its socket.
 *
 *   FIN --> pushEnd: the stream ends at once, also while it is paused, as in Node
 *           paused by node:http: after the next "resume"
 *
 * A server of `node:http` pauses a connection whose answers wait for the peer, and marks it with
 * `_paused`. If it saw the end of the requests then, it would cut the answers off. Node does not
 * read while the connection is paused, so there the server sees the end only afterwards.
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
