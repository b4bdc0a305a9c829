import { intrinsics } from "../../../src/base/intrinsics.ts";
import { assert, suite } from "../../harness.ts";
import { thrown } from "../../support/thrown.ts";

const test = suite("intrinsics");

const {
  lengthOf,
  isGone,
  viewOf,
  isTypedArray,
  bytesOf,
  isArrayBuffer,
  isDetached,
  isAborted,
  isSignal,
  signalState,
  abortReason,
  optionOf,
} = intrinsics;

/** An array whose every member lies. */
class Liar extends Uint8Array {
  override get length(): number {
    return 1_000;
  }
  override get byteLength(): number {
    return 1_000;
  }
  override get byteOffset(): number {
    return 5;
  }
  override get buffer(): ArrayBuffer {
    return new ArrayBuffer(1_000);
  }
  override subarray(): never {
    throw new Error("subarray was called");
  }
  override slice(): never {
    throw new Error("slice was called");
  }
  override at(): undefined {
    return undefined;
  }
}

function detached(): Uint8Array {
  const view = new Liar(8);
  const buffer = viewOf(view, 0, 8).buffer as ArrayBuffer;
  structuredClone(buffer, { transfer: [buffer] });
  return view;
}

test("lengthOf() reads the true length of an array with false properties", () => {
  assert.is(lengthOf(new Liar(8)), 8);
  assert.is(lengthOf(Object.defineProperty(new Uint8Array(8), "length", { value: 9 })), 8);
  assert.is(lengthOf(detached()), 0);
});

test("lengthOf() still works when Function.prototype.call was replaced", () => {
  const { call } = Function.prototype;
  let length = -1;
  Function.prototype.call = () => 1_000;
  try {
    length = lengthOf(new Uint8Array(8));
  } finally {
    Function.prototype.call = call;
  }
  assert.is(length, 8);
});

test("lengthOf() throws for proxies and for objects that only inherit from an array", () => {
  const looks = [new Proxy(new Uint8Array(3), {}), Object.create(Uint8Array.prototype), {}, []];
  for (const value of looks) thrown(() => lengthOf(value), TypeError);
});

test("viewOf() returns a new array over the engine's bytes", () => {
  const bytes = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  const liar = new Liar(bytes.buffer, 2, 4);
  const view = viewOf(liar, 1, 2);
  assert.equal([...view], [3, 4]);
  assert.is(Object.getPrototypeOf(view), Uint8Array.prototype);
});

test("bytesOf() returns all bytes of a typed array or a DataView, whatever they say", () => {
  assert.equal([...bytesOf(new Liar([1, 2, 3]))], [1, 2, 3]);
  assert.equal([...bytesOf(new Uint16Array([1, 2]).subarray(1))], [2, 0]);
  assert.equal([...bytesOf(new DataView(Uint8Array.of(1, 2, 3).buffer, 1))], [2, 3]);
  const values = [new Uint16Array(1), new DataView(new ArrayBuffer(1)), {}, null, "text"];
  assert.equal(values.map(isTypedArray), [true, false, false, false, false]);
  for (const wrong of [{}, null, new Proxy(new Uint8Array(1), {}), Object.create(new Liar(1))]) {
    thrown(() => bytesOf(wrong), TypeError);
  }
});

test("isGone() distinguishes an empty array from an array without memory", () => {
  assert.not(isGone(new Liar(0)));
  assert.not(isGone(new Uint8Array(1)));
  assert.ok(isGone(detached()));
});

test("isArrayBuffer() and isDetached() do not ask the object", () => {
  const buffer = new ArrayBuffer(8);
  Object.defineProperty(buffer, "detached", { value: true });
  assert.ok(isArrayBuffer(buffer));
  assert.not(isDetached(buffer));
  structuredClone(buffer, { transfer: [buffer] });
  assert.ok(isDetached(buffer));
  const looks = [new Proxy(new ArrayBuffer(8), {}), Object.create(ArrayBuffer.prototype)];
  for (const value of [...looks, new SharedArrayBuffer(8), {}, null, undefined, 5]) {
    assert.not(isArrayBuffer(value));
  }
});

test("signalState(), isAborted() and abortReason() do not ask the signal", () => {
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  Object.defineProperty(signal, "aborted", { value: false });
  Object.defineProperty(signal, "reason", { value: 5 });
  assert.ok(isAborted(signal));
  assert.is(abortReason(signal), reason);
  thrown(() => isAborted({} as AbortSignal), TypeError);
  assert.ok(isSignal(signal));
  assert.is(signalState(signal), "aborted");
  assert.is(signalState(new AbortController().signal), "active");
  const looks = [{}, new EventTarget(), Object.create(AbortSignal.prototype)];
  for (const value of [...looks, null, undefined, 5]) {
    assert.not.ok(isSignal(value));
    assert.is(signalState(value), "noSignal");
  }
  // Deno keeps the state in properties, which a proxy passes on.
  const ofProxy = signalState(new Proxy(signal, {}));
  assert.is(ofProxy, "Deno" in globalThis ? "aborted" : "noSignal");
});

test("optionOf() reads own fields and fields of a class, but not of Object.prototype", () => {
  const polluted = Object.prototype as { timeoutMs?: unknown };
  class Options {
    get timeoutMs() {
      return 7;
    }
  }
  assert.is(optionOf(new Options(), "timeoutMs"), 7);
  polluted.timeoutMs = 1;
  try {
    assert.is(optionOf({}, "timeoutMs"), undefined);
    assert.is(optionOf(Object.create(null), "timeoutMs"), undefined);
    assert.is(optionOf({ timeoutMs: 5 }, "timeoutMs"), 5);
    assert.is(optionOf({ timeoutMs: undefined }, "timeoutMs"), undefined);
    assert.is(optionOf(new Options(), "timeoutMs"), 7);
    assert.is(optionOf(Object.create({ timeoutMs: 6 }), "timeoutMs"), 6);
  } finally {
    delete polluted.timeoutMs;
  }
});

test.run();
