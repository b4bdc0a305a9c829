/**
 * The base of every buffer handle: memory, a range of it, and an end. A handle owns one reference
 * of its slot from birth until it is released or moved, whichever comes first. Every later use
 * throws, and `release` does nothing, so that `using` and `send` go together.
 *
 *   created with a slot -> open --release, toUint8Array, text--> ended, the slot is released
 *                               --send, IoBufs, freeze---------> ended, the slot is the caller's
 *
 * The library makes one handle for each message. For that reason handles have private static
 * functions where other classes have private methods: V8 marks an object that has private methods,
 * outside the object, in 56 more bytes.
 *
 * The rest of the library works on handles through {@link handleFields}, which reads private
 * fields: a subclass, or a property of a handle, can make the public getters return anything.
 *
 * @module
 */
import { decodeUtf8 } from "../base/utf8.ts";
import type { Slot } from "./slot.ts";

/**
 * How a handle ends, in the words of the error that a later use gets.
 * @internal
 */
export type HandleEnd =
  | "released"
  | "moved (given to send or to an IoBufs)"
  | "frozen (use the buffer that freeze() returned)";

/**
 * The private side of handles. Each function throws TypeError for a value that is not a handle.
 * @internal
 */
export interface HandleFields {
  /** Ends the handle. The handle's reference of the slot passes to the caller. */
  moveOut(handle: BufferHandle, end?: HandleEnd): Slot;
  /** The memory of an open handle. Throws TypeError when the handle was released or moved. */
  held(handle: BufferHandle): Slot;
  /** The memory of the handle, or null when the handle was released or moved. */
  slot(handle: BufferHandle): Slot | null;
  /** Where the bytes begin in the slot. Still valid after `moveOut`. */
  start(handle: BufferHandle): number;
  /** The length in bytes. Still valid after `moveOut`. */
  span(handle: BufferHandle): number;
  setRange(handle: BufferHandle, start: number, length: number): void;
  /** Whether the finalization registry knows the handle: see `LeakTracker`. */
  isRegistered(handle: BufferHandle): boolean;
  setRegistered(handle: BufferHandle, registered: boolean): void;
}

/**
 * Assigned by the class, which alone can see its private fields.
 * @internal
 */
export let handleFields: HandleFields;

/**
 * The common part of {@link IoBuf} and {@link IoBufMut}. Exported as a type only: buffers come
 * from `BufferPool.alloc`, from `Stream.recvSome`, and from `IoBuf.from`.
 *
 * @example
 * ```ts
 * import { type BufferHandle, IoBuf } from "@uringnet/uringnet";
 *
 * function shout(buffer: BufferHandle): string {
 *   return buffer.text().toUpperCase();
 * }
 *
 * console.log(shout(IoBuf.from("hello"))); // HELLO
 * ```
 */
export abstract class BufferHandle implements Disposable {
  #slot: Slot | null;
  #start: number;
  #length: number;
  #view: Uint8Array | null = null;
  #end: HandleEnd = "released";
  #registered = false;

  static {
    handleFields = {
      moveOut: (handle, end) => BufferHandle.#moveOut(handle, end),
      held: (handle) => BufferHandle.#held(handle),
      slot: (handle) => handle.#slot,
      start: (handle) => handle.#start,
      span: (handle) => handle.#length,
      setRange(handle, start, length) {
        handle.#start = start;
        handle.#length = length;
        handle.#view = null;
      },
      isRegistered: (handle) => handle.#registered,
      setRegistered(handle, registered) {
        handle.#registered = registered;
      },
    };
  }

  /** Only the library makes buffers. */
  protected constructor(...memory: never[]);
  // The declarations show the signature above. The handle takes over one reference of `slot`. The
  // fields are set here, because a function that sets them afterwards costs 2 ns more.
  protected constructor(slot: Slot, start: number, length: number) {
    this.#slot = slot;
    this.#start = start;
    this.#length = length;
    slot.home?.tracker?.add(this);
  }

  /**
   * The number of bytes in this buffer.
   *
   * @returns A length in bytes.
   * @throws {TypeError} The buffer was released or moved.
   */
  get length(): number {
    BufferHandle.#held(this);
    return this.#length;
  }

  /**
   * A live view over the bytes. The view is valid until the buffer is released or moved: the pool
   * uses the memory again afterwards. Copy bytes that must live longer.
   *
   * @returns A view, the same one at each access.
   * @throws {TypeError} The buffer was released or moved.
   */
  get bytes(): Uint8Array {
    const slot = BufferHandle.#held(this);
    return this.#view ??= slot.bytes.subarray(this.#start, this.#start + this.#length);
  }

  /**
   * Whether the memory belongs to the pool. A pool that is exhausted hands out plain memory, which
   * works everywhere and is copied once more when sent.
   *
   * @returns True for memory of the pool.
   * @throws {TypeError} The buffer was released or moved.
   */
  get pooled(): boolean {
    return BufferHandle.#held(this).pooled;
  }

  /** True once the buffer was released or moved. */
  get released(): boolean {
    return this.#slot === null;
  }

  /**
   * Copies the bytes to plain memory, then releases this buffer.
   *
   * @returns The copy.
   * @throws {TypeError} The buffer was released or moved.
   */
  toUint8Array(): Uint8Array<ArrayBuffer> {
    // Copied directly from the slot, because a view in between costs 20 to 50 ns.
    const { bytes } = BufferHandle.#held(this);
    const copy = bytes.slice(this.#start, this.#start + this.#length) as Uint8Array<ArrayBuffer>;
    this.release();
    return copy;
  }

  /**
   * Decodes the bytes as UTF-8, then releases this buffer. Malformed input becomes U+FFFD. A byte
   * order mark stays, as U+FEFF: a buffer is a slice of a stream, not the beginning of a document.
   *
   * @returns The text.
   * @throws {TypeError} The buffer was released or moved.
   */
  text(): string {
    const text = decodeUtf8(this.bytes);
    this.release();
    return text;
  }

  /** Gives the memory back. Does nothing when the buffer was released or moved before. */
  release(): void {
    const slot = this.#slot;
    if (slot === null) return;
    BufferHandle.#close(this);
    slot.release();
  }

  /** Releases the buffer, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  static #held(handle: BufferHandle): Slot {
    if (handle.#slot === null) {
      throw new TypeError(`Cannot use a buffer that was ${handle.#end}`);
    }
    return handle.#slot;
  }

  static #moveOut(
    handle: BufferHandle,
    end: HandleEnd = "moved (given to send or to an IoBufs)",
  ): Slot {
    const slot = BufferHandle.#held(handle);
    handle.#end = end;
    BufferHandle.#close(handle);
    return slot;
  }

  static #close(handle: BufferHandle): void {
    const tracker = handle.#slot?.home?.tracker ?? null;
    if (tracker !== null) {
      if (handle.#registered) tracker.unregister(handle);
      else tracker.removeUnregistered();
    }
    handle.#slot = null;
    handle.#view = null;
  }
}
