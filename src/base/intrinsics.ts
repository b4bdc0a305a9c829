/**
 * Values of callers, read through the engine's internal slots rather than through their properties.
 *
 * A subclass, an own property or a changed prototype can make `length`, `subarray`, `byteOffset` or
 * `buffer` return anything. A library that trusted them would send memory of other owners. The
 * accessors used here were taken from the prototypes when this module was loaded. They read the
 * internal slots of an object, and throw TypeError for objects without them, such as proxies.
 *
 * Invariants
 * - No code of the caller runs in this module, except getters of options (`optionOf`) and, in Deno,
 *   traps of a proxy of a signal (`signalState`).
 * - A typed array that passed `lengthOf` is safe as the source of `%TypedArray%.prototype.set` on
 *   an array of this library: `set` reads internal slots as well.
 *
 * @module
 */

// deno-lint-ignore no-explicit-any
type Accessor<T> = (this: any) => T;

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;

function accessor<T>(prototype: object, name: string): Accessor<T> {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as Accessor<T>;
}

/** The accessors of a kind of views. */
function viewAccessors(prototype: object) {
  return {
    buffer: accessor<ArrayBufferLike>(prototype, "buffer"),
    byteOffset: accessor<number>(prototype, "byteOffset"),
    byteLength: accessor<number>(prototype, "byteLength"),
  };
}

const lengthAccessor = accessor<number>(typedArrayPrototype, "length");
const tagAccessor = Object.getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag)
  ?.get as Accessor<unknown>;
const ofTypedArray = viewAccessors(typedArrayPrototype);
const ofDataView = viewAccessors(DataView.prototype);
const byteLengthAccessor = accessor<number>(ArrayBuffer.prototype, "byteLength");
const detachedAccessor = accessor<boolean>(ArrayBuffer.prototype, "detached");
const abortedAccessor = accessor<boolean>(AbortSignal.prototype, "aborted");
const reasonAccessor = accessor<unknown>(AbortSignal.prototype, "reason");
const { addEventListener, removeEventListener } = AbortSignal.prototype;
const at = Uint8Array.prototype.at as (this: Uint8Array, index: number) => number | undefined;

const Bytes = Uint8Array;
const call = Function.prototype.call;
const apply = Reflect.apply;
const getPrototypeOf = Object.getPrototypeOf;
const hasOwn = Object.hasOwn;
const objectPrototype = Object.prototype;
const NO_ARGUMENTS: readonly never[] = [];
/** Without a prototype: options are read from it. */
const ONCE = Object.freeze(Object.assign(Object.create(null), { once: true }));

/** The length of a typed array, 0 when its memory is gone. Throws TypeError for other values. */
function lengthOf(view: Exclude<ArrayBufferView, DataView>): number {
  // `call` is three times as fast as `apply` in Bun, and safe while the caller has not replaced it.
  if (lengthAccessor.call === call) return lengthAccessor.call(view);
  return apply(lengthAccessor, view, NO_ARGUMENTS);
}

/**
 * Whether the memory of a typed array was detached, transferred, or shrunk so far that the array
 * lies outside of it. Such an array has length 0, and is the only kind for which `at` throws.
 */
function isGone(view: Uint8Array): boolean {
  if (lengthOf(view) > 0) return false;
  try {
    apply(at, view, [0]);
    return false;
  } catch {
    return true;
  }
}

/** A new view over `count` elements of a byte array. Throws when the array has fewer elements. */
function viewOf(view: Uint8Array, start: number, count: number): Uint8Array {
  const buffer = apply(ofTypedArray.buffer, view, NO_ARGUMENTS);
  return new Bytes(buffer, apply(ofTypedArray.byteOffset, view, NO_ARGUMENTS) + start, count);
}

/** Whether a value is a typed array of any kind. No subclass and no proxy can imitate one. */
function isTypedArray(value: unknown): value is Exclude<ArrayBufferView, DataView> {
  return apply(tagAccessor, value, NO_ARGUMENTS) !== undefined;
}

/**
 * The bytes of a typed array or a DataView. Throws TypeError for any other value, and for a view
 * whose memory is gone.
 */
function bytesOf(view: ArrayBufferView): Uint8Array {
  const { buffer, byteOffset, byteLength } = isTypedArray(view) ? ofTypedArray : ofDataView;
  return new Bytes(
    apply(buffer, view, NO_ARGUMENTS),
    apply(byteOffset, view, NO_ARGUMENTS),
    apply(byteLength, view, NO_ARGUMENTS),
  );
}

/** Whether a value is an ArrayBuffer; its prototype is not consulted. */
function isArrayBuffer(value: unknown): value is ArrayBuffer {
  try {
    apply(byteLengthAccessor, value, NO_ARGUMENTS);
    return true;
  } catch {
    return false;
  }
}

/** Whether an ArrayBuffer was detached or transferred. */
function isDetached(buffer: ArrayBuffer): boolean {
  return apply(detachedAccessor, buffer, NO_ARGUMENTS);
}

/** The state of a value that should be a signal. */
export type SignalState = "noSignal" | "active" | "aborted";

/**
 * The state of a signal, read once. Objects that only inherit from AbortSignal are no signals, and
 * neither is a proxy of one in Bun. Deno keeps the state in properties that are named by symbols: a
 * proxy counts as its signal there, and its traps run.
 */
function signalState(value: unknown): SignalState {
  try {
    return apply(abortedAccessor, value, NO_ARGUMENTS) ? "aborted" : "active";
  } catch {
    return "noSignal";
  }
}

/** Whether a value is a signal. */
function isSignal(value: unknown): value is AbortSignal {
  return signalState(value) !== "noSignal";
}

/** Whether a signal is aborted. Throws TypeError for a value that is not a signal. */
function isAborted(signal: AbortSignal): boolean {
  return apply(abortedAccessor, signal, NO_ARGUMENTS);
}

/** The reason with which a signal was aborted. */
function abortReason(signal: AbortSignal): unknown {
  return apply(reasonAccessor, signal, NO_ARGUMENTS);
}

/**
 * Calls `listener` when a signal is aborted, at most once. An own `addEventListener` of the signal
 * is not called, because the caller's code would run in the middle of a call that has been checked
 * and is not queued yet.
 */
function listenToAbort(signal: AbortSignal, listener: () => void): void {
  apply(addEventListener, signal, ["abort", listener, ONCE]);
}

/** The counterpart of `listenToAbort`. */
function ignoreAbort(signal: AbortSignal, listener: () => void): void {
  apply(removeEventListener, signal, ["abort", listener]);
}

/**
 * The value of one option, read once: an own property, or a property of the object's class. A
 * property of `Object.prototype` is not an option.
 */
function optionOf(options: object, name: string): unknown {
  // Object.prototype has no property of this name, except in a polluted program.
  if (hasOwn(objectPrototype, name) && !isOwnOrOfClass(options, name)) return undefined;
  return (options as Record<string, unknown>)[name];
}

function isOwnOrOfClass(options: object, name: string): boolean {
  for (let at: object | null = options; at !== null; at = getPrototypeOf(at)) {
    if (at === objectPrototype) return false;
    if (hasOwn(at, name)) return true;
  }
  return false;
}

export const intrinsics = Object.freeze({
  lengthOf,
  isGone,
  viewOf,
  isTypedArray,
  bytesOf,
  isArrayBuffer,
  isDetached,
  signalState,
  isSignal,
  isAborted,
  abortReason,
  listenToAbort,
  ignoreAbort,
  optionOf,
});
