/**
 * The parts of a write, as streams pass them, as bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Part, PushSend } from "../net/send/push_send.ts";

function encode({ chunk, encoding }: Part): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;
}

/** One array for one part, else an array of arrays. */
function encodeAll(parts: readonly Part[]): Uint8Array | Uint8Array[] {
  return parts.length === 1 ? encode(parts[0]) : parts.map(encode);
}

/**
 * Queues parts. Returns whether there is room for more, or the error of this write: the memory of a
 * chunk that has waited in the stream may be gone.
 */
function post(send: PushSend, parts: readonly Part[]): boolean | Error {
  try {
    return send.postShort(parts) ? !send.full : send.post(encodeAll(parts));
  } catch (error) {
    return error as Error;
  }
}

export const streamParts = { encode, post };
