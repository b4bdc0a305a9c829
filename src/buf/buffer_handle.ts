/**
 * What every buffer handle has: memory, a range of it, and an end. A handle owns one reference of
 * its slot from birth until it is released or moved, whichever comes first; after that every use
 * throws, and `release` does nothing, so that `using` and `send` go together.
 *
 * Handles and `IoBufs` are made for each message. They have private static functions where others
 * have private methods: V8 marks an object for these, outside of it, in 56 bytes more.
 *
 * @module
 */
import { decodeUtf8 } from "../base/utf8.ts";
import type { Tracked } from "./leak_tracker.ts";
import type { Slot } from "./slot.ts";

/** How a handle ends, in the words of the error that its later use gets. */
export type Fate =
  | "released"
  | "moved (given to send or to an IoBufs)"
  | "frozen (freeze() returned what to use instead)";

/**
 * What a handle holds, read from its private fields: a subclass or a property of its own can make
 * the getters say anything. Each throws TypeError for what is no handle.
 */
export interface HandleFields {
  /** Ends the handle; its reference of the slot passes to the caller. */
  moveOut(handle: BufferHandle, fate?: Fate): Slot;
  /** The memory that it holds. Throws TypeError when it was released or moved. */
  held(handle: BufferHandle): Slot;
  /** Where the bytes begin in the slot; kept after the end, for the mover. */
  start(handle: BufferHandle): number;
  /** The length, also after the end, for the mover. */
  span(handle: BufferHandle): number;
  setRange(handle: BufferHandle, start: number, length: number): void;
}

/** Assigned by the class, which alone can see its private fields. */
export let handleFields: HandleFields;

/** Shared by `IoBuf` and `IoBufMut`; not constructed by users. */
export abstract class BufferHandle implements Tracked, Disposable {
  #slot: Slot | null;
  #start: number;
  #length: number;
  #view: Uint8Array | null = null;
  #fate: Fate = "released";
  /** True while the garbage collector watches this handle. */
  watched = false;

  static {
    handleFields = {
      moveOut: (handle, fate) => BufferHandle.#moveOut(handle, fate),
      held: (handle) => BufferHandle.#held(handle),
      start: (handle) => handle.#start,
      span: (handle) => handle.#length,
      setRange(handle, start, length) {
        handle.#start = start;
        handle.#length = length;
        handle.#view = null;
      },
    };
  }

  /** Takes over one reference of `slot`. */
  constructor(slot: Slot, start: number, length: number) {
    this.#slot = slot;
    this.#start = start;
    this.#length = length;
    slot.home?.tracker?.add(this);
  }

  /** Bytes in this buffer. */
  get length(): number {
    BufferHandle.#held(this);
    return this.#length;
  }

  /** The live view over the bytes. Valid until release: copy what must live longer. */
  get bytes(): Uint8Array {
    const slot = BufferHandle.#held(this);
    return this.#view ??= slot.bytes.subarray(this.#start, this.#start + this.#length);
  }

  /** True when the memory is the pool's, false when the pool had none left. */
  get pooled(): boolean {
    return BufferHandle.#held(this).pooled;
  }

  /** True once released or moved. */
  get released(): boolean {
    return this.#slot === null;
  }

  /** Copies the bytes to plain memory, then releases. */
  toUint8Array(): Uint8Array<ArrayBuffer> {
    // Straight from the slot: a view in between costs 20 to 50 ns.
    const { bytes } = BufferHandle.#held(this);
    const copy = bytes.slice(this.#start, this.#start + this.#length) as Uint8Array<ArrayBuffer>;
    this.release();
    return copy;
  }

  /**
   * Decodes the bytes as UTF-8, then releases. Malformed input becomes U+FFFD. A byte order mark
   * stays, as U+FEFF: a buffer is a slice of a stream, not the beginning of a document.
   */
  text(): string {
    const text = decodeUtf8(this.bytes);
    this.release();
    return text;
  }

  /** Gives the memory back. Does nothing when that has happened, or when the buffer was moved. */
  release(): void {
    const slot = this.#slot;
    if (slot === null) return;
    BufferHandle.#end(this);
    slot.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal For the leak tracker. */
  heldSlot(): Slot | null {
    return this.#slot;
  }

  /** @internal Ends the handle; its reference of the slot passes to the caller. */
  moveOut(fate?: Fate): Slot {
    return BufferHandle.#moveOut(this, fate);
  }

  /** @internal Where the bytes begin in the slot; kept after the end, for the mover. */
  get start(): number {
    return this.#start;
  }

  /** @internal The length, also after the end, for the mover. */
  get span(): number {
    return this.#length;
  }

  static #held(handle: BufferHandle): Slot {
    if (handle.#slot === null) {
      throw new TypeError(`Cannot use a buffer that was ${handle.#fate}`);
    }
    return handle.#slot;
  }

  static #moveOut(
    handle: BufferHandle,
    fate: Fate = "moved (given to send or to an IoBufs)",
  ): Slot {
    const slot = BufferHandle.#held(handle);
    handle.#fate = fate;
    BufferHandle.#end(handle);
    return slot;
  }

  static #end(handle: BufferHandle): void {
    const tracker = handle.#slot?.home?.tracker ?? null;
    if (tracker !== null) {
      if (handle.watched) tracker.forget(handle);
      else tracker.dropped();
    }
    handle.#slot = null;
    handle.#view = null;
  }
}
