/**
 * Writes at a time when a socket cannot take them: before there is a connection, and after its peer
 * has ended it.
 *
 * @module
 */
import { nextTick } from "node:process";
import { Duplex } from "node:stream";
import type { Part } from "../net/send/push_send.ts";
import type { AnyFunction, Done } from "./any_function.ts";
import { nodeError } from "./node_error.ts";

/** The members of a socket's stream that a late write needs. */
export interface LateWriter extends Duplex {
  connecting: boolean;
  _pendingData: string | Uint8Array | readonly Part[] | null;
  _pendingEncoding: string;
}

/** Keeps a write until the socket is connected, or until the connect has failed. */
function untilConnected(
  socket: LateWriter,
  data: string | Uint8Array | readonly Part[],
  encoding: string,
  done: Done,
  again: () => void,
): void {
  if (!socket.connecting) {
    done(nodeError.fixed("ERR_SOCKET_CLOSED"));
    return;
  }
  socket._pendingData = data;
  socket._pendingEncoding = encoding;
  const closed = () => done(nodeError.fixed("ERR_SOCKET_CLOSED_BEFORE_CONNECTION"));
  socket.once("close", closed);
  socket.once("connect", () => {
    socket.off("close", closed);
    socket._pendingData = null;
    again();
  });
}

/**
 * Called when the peer has sent FIN. Unless half-open connections are allowed, writing is an error
 * from then on.
 */
function refuseAfterEnd(this: LateWriter): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd as typeof this.write;
}

function writeAfterEnd(
  this: LateWriter,
  chunk: unknown,
  encoding?: unknown,
  callback?: unknown,
): boolean {
  if (!this.writableEnded) {
    const write = Duplex.prototype.write as AnyFunction;
    return write.call(this, chunk, encoding, callback);
  }
  const done = typeof encoding === "function" ? encoding : callback;
  const error = Object.assign(new Error("This socket has been ended by the other party"), {
    code: "EPIPE",
  });
  if (typeof done === "function") nextTick(done as Done, error);
  this.destroy(error);
  return false;
}

export const lateWrite = { refuseAfterEnd, untilConnected };
