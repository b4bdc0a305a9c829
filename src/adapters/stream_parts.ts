/**
 * The parts of a write, as streams pass them, as bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Part } from "../net/send/push_send.ts";

function encode({ chunk, encoding }: Part): Uint8Array {
  return typeof chunk === "string" ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;
}

/** One array for one part, else an array of arrays. */
function encodeAll(parts: readonly Part[]): Uint8Array | Uint8Array[] {
  return parts.length === 1 ? encode(parts[0]) : parts.map(encode);
}

export const streamParts = { encode, encodeAll };
