/**
 * The message that a codec encodes: its parts and their length, for each kind of value.
 *
 * Buffers stay buffers, and are moved with the frame. All other values become byte arrays. The
 * values come from callers, so lengths are read by intrinsics: no array can have one length for the
 * frame and another one when it is sent.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { intrinsics } from "../base/intrinsics.ts";
import { handleFields } from "../buf/buffer_handle.ts";
import { IoBuf } from "../buf/io_buf.ts";
import { IoBufMut } from "../buf/io_buf_mut.ts";
import { IoBufs } from "../buf/io_bufs.ts";
import type { Sendable } from "../net/send/load_call.ts";

/** A message that is ready to be sent: arrays, or buffers that the frame takes over. */
export type MessageBody = Uint8Array[] | IoBufs | IoBuf | IoBufMut;

const WANTED = "a Uint8Array, ArrayBuffer, string, IoBuf, IoBufMut, IoBufs or an array of those";

const encoder = new TextEncoder();

/** Prepares a value. Throws TypeError for a value that cannot be sent. */
export function messageBody(value: Sendable): MessageBody {
  if (typeof value === "string") return [encoder.encode(value)];
  if (value instanceof IoBufs || value instanceof IoBuf || value instanceof IoBufMut) return value;
  return Array.isArray(value) ? Array.from(value, toArray) : [toArray(value)];
}

function toArray(value: unknown): Uint8Array {
  if (typeof value === "string") return encoder.encode(value);
  if (intrinsics.isArrayBuffer(value)) {
    if (intrinsics.isDetached(value)) check.fail("value", "memory that is not detached", value);
    return new Uint8Array(value);
  }
  const length = check.bytes("value", WANTED, value);
  return intrinsics.viewOf(value as Uint8Array, 0, length);
}

/** The length of a message in bytes. */
export function bodyLength(body: MessageBody): number {
  if (body instanceof IoBufs) return body.length;
  if (!Array.isArray(body)) return handleFields.span(body);
  let length = 0;
  for (const array of body) length += array.length;
  return length;
}

/** The bytes of a message as views, to be searched. They must not be changed. */
export function bodyViews(body: MessageBody): readonly Uint8Array[] {
  if (Array.isArray(body)) return body;
  return body instanceof IoBufs ? body.chunks : [body.bytes];
}

/** The frame of `head` and the message. Buffers are moved into it. */
export function withHead(head: Uint8Array, body: MessageBody): Sendable {
  if (Array.isArray(body)) {
    body.unshift(head);
    return body;
  }
  return body instanceof IoBufs ? body.prepend(head) : new IoBufs(head, body);
}

/** The frame of the message and `tail`. Buffers are moved into it. */
export function withTail(body: MessageBody, tail: Uint8Array): Sendable {
  if (Array.isArray(body)) {
    body.push(tail);
    return body;
  }
  return body instanceof IoBufs ? body.append(tail) : new IoBufs(body, tail);
}
