/**
 * The data that `send` takes, and how it becomes pieces of memory.
 *
 * Callers' objects are read once, by intrinsics of the engine (`intrinsics.ts`): an array with a
 * false `length` would send memory of other connections. Code of the caller, such as the getters of
 * an array's elements, runs before any length is measured and before any byte is copied.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";
import { BufferHandle, handleFields } from "../../buf/buffer_handle.ts";
import { takeSlot } from "../../buf/buffer_pool.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import type { IoBufMut } from "../../buf/io_buf_mut.ts";
import { IoBufs, moveChunksOut } from "../../buf/io_bufs.ts";
import { ByteSource } from "./byte_source.ts";
import type { SendCall } from "./send_call.ts";
import type { SendHalf } from "./send_half.ts";

/**
 * Data that can be sent. Arrays and text are copied. Buffers are moved in, and released when they
 * are sent. An array of arrays and texts is sent as one byte string.
 *
 * @example
 * ```ts
 * import { IoBuf, type Sendable } from "@uringnet/uringnet";
 *
 * const messages: Sendable[] = ["text", new Uint8Array(4), IoBuf.from("moved"), ["a", "b"]];
 * console.log(messages.length); // 4
 * ```
 */
export type Sendable =
  | Uint8Array
  | ArrayBuffer
  | string
  | IoBuf
  | IoBufMut
  | IoBufs
  | readonly (Uint8Array | string)[];

const WANTED = "a Uint8Array, ArrayBuffer, string, IoBuf, IoBufMut, IoBufs " +
  "or an array of Uint8Arrays and strings";

const encoder = new TextEncoder();

function checkBuffer(buffer: ArrayBuffer): Uint8Array {
  if (intrinsics.isDetached(buffer)) {
    throw new TypeError(`Cannot use "data": wanted ${WANTED}, given a detached ArrayBuffer`);
  }
  return new Uint8Array(buffer);
}

/**
 * Gives `call` its bytes: copied up to the first window, moved in, or read later from the source.
 * Throws TypeError for a value that cannot be sent. Only buffers are moved in even then.
 * @internal
 */
export function loadCall(queue: SendHalf, call: SendCall, data: Sendable): void {
  if (data instanceof BufferHandle) {
    loadHandle(queue, call, data);
  } else if (data instanceof Uint8Array) {
    loadView(queue, call, data, check.bytes("data", WANTED, data));
  } else if (data instanceof IoBufs) {
    loadHandles(queue, call, data);
  } else if (typeof data === "string") {
    loadText(queue, call, data);
  } else if (Array.isArray(data)) {
    loadViews(queue, call, data);
  } else if (intrinsics.isArrayBuffer(data)) {
    const view = checkBuffer(data);
    loadView(queue, call, view, view.length);
  } else {
    check.fail("data", WANTED, data);
  }
}

function loadHandle(queue: SendHalf, call: SendCall, buffer: BufferHandle): void {
  const slot = handleFields.moveOut(buffer);
  const span = handleFields.span(buffer);
  if (span === 0) return slot.release();
  if (slot.gone) {
    slot.release();
    throw new TypeError(
      `Cannot use "data": wanted ${WANTED}, given a buffer whose memory was transferred away`,
    );
  }
  call.totalBytes += span;
  call.join(queue.seen(slot), handleFields.start(buffer), span);
}

/**
 * Moves all buffers in. On a failure the remaining ones are released, because they no longer belong
 * to the caller.
 */
function loadHandles(queue: SendHalf, call: SendCall, buffers: IoBufs): void {
  const chunks = moveChunksOut(buffers);
  let at = 0;
  try {
    while (at < chunks.length) loadHandle(queue, call, chunks[at++]);
  } catch (error) {
    while (at < chunks.length) chunks[at++].release();
    throw error;
  }
}

function loadText(queue: SendHalf, call: SendCall, text: string): void {
  const view = encoder.encode(text);
  loadView(queue, call, view, view.length);
}

/** `length` is the true length of the view. */
function loadView(queue: SendHalf, call: SendCall, view: Uint8Array, length: number): void {
  if (length === 0) return;
  call.totalBytes += length;
  if (length > LIMITS.copyWindowBytes) {
    loadSource(queue, call, new ByteSource([view], [length]));
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
  const slot = takeSlot(queue.socket.context.pool, length);
  // The slot is added before the copy, so that it is dropped with the call when the copy fails.
  call.add(slot, 0, length);
  slot.bytes.set(view);
}

/** Reads each element once. A getter among the elements may change arrays that were read before. */
function readElements(data: readonly unknown[]): Uint8Array[] {
  const count = data.length;
  const views: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const element: unknown = data[i];
    if (typeof element === "string") views.push(encoder.encode(element));
    else if (element instanceof Uint8Array) views.push(element);
    else check.fail("data", WANTED, element);
  }
  return views;
}

function loadViews(queue: SendHalf, call: SendCall, data: readonly unknown[]): void {
  const views = readElements(data);
  // No code of the caller runs from here on.
  const lengths = views.map((view) => check.bytes("data", WANTED, view));
  if (views.length === 1) return loadView(queue, call, views[0], lengths[0]);
  const source = new ByteSource(views, lengths);
  call.totalBytes += source.remaining;
  if (source.remaining > 0) loadSource(queue, call, source);
}

/** Copies the first window now. The rest is read as the kernel takes the bytes. */
function loadSource(queue: SendHalf, call: SendCall, source: ByteSource): void {
  const { gather } = queue;
  const length = Math.min(source.remaining, LIMITS.copyWindowBytes);
  const gathered = length < LIMITS.gatherCopyBytes ? gather.room(length) : null;
  const slot = gathered ?? takeSlot(queue.socket.context.pool, length);
  const at = gathered === null ? 0 : gather.end;
  try {
    source.read(slot.bytes, at, length);
  } catch (error) {
    if (gathered === null) slot.release();
    throw error;
  }
  if (gathered !== null) gather.commit(length);
  call.add(slot, at, length);
  call.source = source.remaining > 0 ? source : null;
}
