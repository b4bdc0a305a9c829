/**
 * What `send` takes, and how it becomes pieces of memory.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { LIMITS } from "../base/limits.ts";
import type { BufferPool } from "../buf/buffer_pool.ts";
import { BufferHandle } from "../buf/buffer_handle.ts";
import type { IoBuf } from "../buf/io_buf.ts";
import type { IoBufMut } from "../buf/io_buf_mut.ts";
import { IoBufs } from "../buf/io_bufs.ts";
import { ByteSource } from "./byte_source.ts";
import type { GatherBuffer } from "./gather_buffer.ts";
import type { SendCall } from "./send_call.ts";

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

function checkView(view: unknown): Uint8Array {
  if (!(view instanceof Uint8Array)) return check.fail("data", WANTED, view);
  if (view.length === 0 && (view.buffer as ArrayBuffer).detached) {
    throw new TypeError(`Cannot use "data": wanted ${WANTED}, given a detached ArrayBuffer`);
  }
  return view;
}

function checkBuffer(buffer: ArrayBuffer): Uint8Array {
  if (buffer.detached) {
    throw new TypeError(`Cannot use "data": wanted ${WANTED}, given a detached ArrayBuffer`);
  }
  return new Uint8Array(buffer);
}

export class SendLoader {
  readonly #pool: BufferPool;
  readonly #gather: GatherBuffer;

  constructor(pool: BufferPool, gather: GatherBuffer) {
    this.#pool = pool;
    this.#gather = gather;
  }

  /** Gives `call` its bytes. Throws TypeError for what cannot be sent, and then takes nothing. */
  load(call: SendCall, data: Sendable): void {
    if (data instanceof Uint8Array) this.#loadView(call, checkView(data));
    else if (data instanceof BufferHandle) this.#loadHandle(call, data);
    else if (data instanceof IoBufs) this.#loadHandles(call, data);
    else if (typeof data === "string") this.#loadView(call, encoder.encode(data));
    else if (data instanceof ArrayBuffer) this.#loadView(call, checkBuffer(data));
    else if (Array.isArray(data)) this.#loadViews(call, data.map(checkView));
    else check.fail("data", WANTED, data);
  }

  #loadHandle(call: SendCall, buffer: BufferHandle): void {
    const slot = buffer.moveOut();
    const { start, span } = buffer;
    call.totalBytes += span;
    if (span === 0) slot.release();
    else call.add(slot, start, span);
  }

  #loadHandles(call: SendCall, buffers: IoBufs): void {
    for (const chunk of buffers.moveOut()) this.#loadHandle(call, chunk);
  }

  #loadView(call: SendCall, view: Uint8Array): void {
    const length = view.length;
    if (length === 0) return;
    call.totalBytes += length;
    if (length > LIMITS.copyWindowBytes) {
      this.#loadSource(call, new ByteSource([view]));
      return;
    }
    const gathered = length < LIMITS.gatherCopyBytes ? this.#gather.room(length) : null;
    if (gathered !== null) {
      const at = this.#gather.end;
      gathered.bytes.set(view, at);
      this.#gather.commit(length);
      call.add(gathered, at, length);
      return;
    }
    const slot = this.#pool.take(length);
    slot.bytes.set(view);
    call.add(slot, 0, length);
  }

  #loadViews(call: SendCall, views: readonly Uint8Array[]): void {
    if (views.length === 1) {
      this.#loadView(call, views[0]);
      return;
    }
    const source = new ByteSource(views);
    call.totalBytes += source.remaining;
    if (source.remaining > 0) this.#loadSource(call, source);
  }

  /** Copies the first window now; the rest is read as the kernel takes the bytes. */
  #loadSource(call: SendCall, source: ByteSource): void {
    const length = Math.min(source.remaining, LIMITS.copyWindowBytes);
    const gathered = length < LIMITS.gatherCopyBytes ? this.#gather.room(length) : null;
    const slot = gathered ?? this.#pool.take(length);
    const at = gathered === null ? 0 : this.#gather.end;
    source.read(slot.bytes, at, length);
    if (gathered !== null) this.#gather.commit(length);
    call.add(slot, at, length);
    call.source = source.remaining > 0 ? source : null;
  }
}
