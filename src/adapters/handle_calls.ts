/**
 * Functions that the handle of a socket runs in the context of its program. All sockets share them,
 * so a delivery does not have to make a closure.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { WriteRequest } from "./deno_http_end.ts";
import type { DenoHttpInput } from "./deno_http_input.ts";

function push(this: Duplex, chunk: Uint8Array): boolean {
  return this.push(chunk);
}

function feed(this: DenoHttpInput, chunk: Uint8Array): boolean {
  this.feed(chunk);
  return true;
}

function complete(request: WriteRequest, status: number): void {
  request.oncomplete(status);
}

function destroy(this: Duplex, error: Error): void {
  this.destroy(error);
}

export const handleCalls = { push, feed, complete, destroy };
