/**
 * `response.end(text)` of `node:http` in Deno: head and text as one write to the socket's handle.
 *
 *   response.end --> handle.writeUtf8String(request, text) --> 1: request.oncomplete follows
 *                                                              0: the runtime asks a native flag
 *
 * An answer of 0 leaves it open whether `oncomplete` will be called, and a negative one is an
 * error. So the handles of this library always answer 1. A version of Deno that takes 1 for an
 * error would destroy the socket, so one response is tried first, on a stand-in for a socket.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import type * as http from "node:http";
import { builtinModule } from "../base/builtin_module.ts";

/** The object that the runtime passes with a write. */
export interface WriteRequest {
  oncomplete(status: number): void;
}

/** The answer of a handle to a write of which it reports the end by `oncomplete`. */
export const REPORTS_LATER = 1;

/** The members of a socket that a response touches. */
class StandIn extends EventEmitter {
  readonly writable = true;
  readonly connecting = false;
  destroyed = false;
  readonly _writableState = { corked: 0, length: 0, needDrain: false };
  request: WriteRequest | null = null;
  readonly _handle = {
    isStreamBase: true,
    writeUtf8String: (request: WriteRequest): number => this.#take(request),
    writeLatin1String: (request: WriteRequest): number => this.#take(request),
  };

  #take(request: WriteRequest): number {
    this.request = request;
    return REPORTS_LATER;
  }

  cork(): void {}

  uncork(): void {}

  write(): boolean {
    return true;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

function tryResponse(): boolean {
  const { ServerResponse } = builtinModule<typeof http>("node:http");
  const request = { method: "GET", httpVersionMajor: 1, httpVersionMinor: 1, headers: {} };
  const response = new ServerResponse(request as http.IncomingMessage);
  const socket = new StandIn();
  let finished = false;
  response.on("finish", () => finished = true);
  try {
    response.assignSocket(socket as unknown as Parameters<typeof response.assignSocket>[0]);
    response.end("text");
    socket.request?.oncomplete(0);
  } catch {
    // This version uses a member that the stand-in lacks, so responses go through the stream.
    return false;
  }
  return socket.request !== null && finished && !socket.destroyed;
}

let known: boolean | null = null;

/** Whether the runtime treats the answer as described above; tried once. */
function isKnown(): boolean {
  return known ??= tryResponse();
}

export const denoHttpEnd = { isKnown };
