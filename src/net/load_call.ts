/**
 * What `send` takes, and how it becomes pieces of memory.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { LIMITS } from "../base/limits.ts";
import { BufferHandle } from "../buf/buffer_handle.ts";
import type { IoBuf } from "../buf/io_buf.ts";
import type { IoBufMut } from "../buf/io_buf_mut.ts";
import { IoBufs } from "../buf/io_bufs.ts";
import { ByteSource } from "./byte_source.ts";
import type { SendCall } from "./send_call.ts";
import type { SendQueue } from "./send_queue.ts";

/** Arrays and text are copied, buffers are moved in and released when they are sent. */
export type Sendable =
  | Uint8Array
  | ArrayBuffer
  | string
  | IoBuf
  | IoBufMut
  | IoBufs
  | readonly Uint8Array[];

const WANTED = "a Uint8Array, ArrayBuffer, string, IoBuf, IoBufMut, IoBufs or Uint8Array[]";

const encoder = new TextEncoder();

/** Both a detached buffer and a view that lies outside of its resized buffer have length 0. */
function isGone(view: Uint8Array): boolean {
  if (view.length > 0) return false;
  try {
    view.at(0); // Throws TypeError exactly for those two.
    return false;
  } catch {
    return true;
  }
}

function checkView(view: unknown): Uint8Array {
  if (!(view instanceof Uint8Array)) return check.fail("data", WANTED, view);
  if (isGone(view)) {
    throw new TypeError(
      `Cannot use "data": wanted ${WANTED}, given one that was detached, transferred or shrunk`,
    );
  }
  return view;
}

function checkBuffer(buffer: ArrayBuffer): Uint8Array {
  if (buffer.detached) {
    throw new TypeError(`Cannot use "data": wanted ${WANTED}, given a detached ArrayBuffer`);
  }
  return new Uint8Array(buffer);
}

/**
 * Gives `call` its bytes: copied up to the first window, moved in, or read later from the source.
 * Throws TypeError for what cannot be sent, and then takes nothing.
 */
export function loadCall(queue: SendQueue, call: SendCall, data: Sendable): void {
  if (data instanceof BufferHandle) loadHandle(call, data);
  else if (data instanceof Uint8Array) loadView(queue, call, checkView(data));
  else if (data instanceof IoBufs) loadHandles(call, data);
  else if (typeof data === "string") loadView(queue, call, encoder.encode(data));
  else if (data instanceof ArrayBuffer) loadView(queue, call, checkBuffer(data));
  else if (Array.isArray(data)) loadViews(queue, call, Array.from(data, checkView));
  else check.fail("data", WANTED, data);
}

function loadHandle(call: SendCall, buffer: BufferHandle): void {
  const slot = buffer.moveOut();
  const { start, span } = buffer;
  call.totalBytes += span;
  if (span === 0) slot.release();
  else call.join(slot, start, span);
}

function loadHandles(call: SendCall, buffers: IoBufs): void {
  for (const chunk of buffers.moveOut()) loadHandle(call, chunk);
}

function loadView(queue: SendQueue, call: SendCall, view: Uint8Array): void {
  const length = view.length;
  if (length === 0) return;
  call.totalBytes += length;
  if (length > LIMITS.copyWindowBytes) {
    loadSource(queue, call, new ByteSource([view]));
    return;
  }
  const { gather } = queue;
  const gathered = length < LIMITS.gatherCopyBytes ? gather.room(length) : null;
  if (gathered !== null) {
    const at = gather.end;
    gathered.bytes.set(view, at);
    gather.commit(length);
    call.add(gathered, at, length);
    return;
  }
  const slot = queue.socket.context.pool.take(length);
  // First of all, so that it is dropped with the call when the copy fails.
  call.add(slot, 0, length);
  slot.bytes.set(view);
}

function loadViews(queue: SendQueue, call: SendCall, views: readonly Uint8Array[]): void {
  if (views.length === 1) {
    loadView(queue, call, views[0]);
    return;
  }
  const source = new ByteSource(views);
  call.totalBytes += source.remaining;
  if (source.remaining > 0) loadSource(queue, call, source);
}

/** Copies the first window now; the rest is read as the kernel takes the bytes. */
function loadSource(queue: SendQueue, call: SendCall, source: ByteSource): void {
  const { gather } = queue;
  const length = Math.min(source.remaining, LIMITS.copyWindowBytes);
  const gathered = length < LIMITS.gatherCopyBytes ? gather.room(length) : null;
  const slot = gathered ?? queue.socket.context.pool.take(length);
  const at = gathered === null ? 0 : gather.end;
  source.read(slot.bytes, at, length);
  if (gathered !== null) gather.commit(length);
  call.add(slot, at, length);
  call.source = source.remaining > 0 ? source : null;
}
