import { Buffer } from "node:buffer";
import { handleFields } from "../../../src/buf/buffer_handle.ts";
import { type BufferPool, openPool } from "../../../src/buf/buffer_pool.ts";
import { absorb, IoBuf } from "../../../src/buf/io_buf.ts";
import type { IoBufMut } from "../../../src/buf/io_buf_mut.ts";
import { assert, suite } from "../../harness.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";
import { thrown } from "../../support/thrown.ts";

const makePool = () =>
  openPool({ minSize: 128, maxSize: 256, maxPerClass: 4 }, new PlainSlabSource());

const inUse = (pool: BufferPool) =>
  pool.stats().classes.reduce((total, entry) => total + entry.allocated, 0);

/** A frozen pool buffer with these bytes. */
function frozen(pool: BufferPool, text: string): IoBuf {
  const buffer = pool.tryAlloc(text.length);
  buffer.bytes.set(new TextEncoder().encode(text));
  return buffer.freeze();
}

const test = suite("IoBuf and IoBufMut");

test("IoBufMut.bytes is a live view of the asked length over the pool's memory", () => {
  const pool = makePool();
  const buffer = pool.alloc(100);
  assert.is(buffer.length, 100);
  assert.is(buffer.bytes, buffer.bytes, "made once");
  buffer.bytes[99] = 7;
  assert.is(buffer.bytes[99], 7);
  buffer.release();
});

test("IoBufMut.setLength() goes up to the capacity and keeps the bytes", () => {
  const pool = makePool();
  const buffer = pool.alloc(3);
  buffer.bytes.set([1, 2, 3]);
  buffer.setLength(128);
  assert.is(buffer.bytes.length, 128);
  assert.is(buffer.capacity, 128);
  buffer.setLength(2);
  assert.bytesEqual(buffer.bytes, Uint8Array.of(1, 2));
  buffer.setLength(0);
  assert.is(buffer.length, 0);
  assert.is(buffer.capacity, 128);
  for (const length of [129, -1, 0.5, NaN]) {
    thrown(() => buffer.setLength(length), RangeError, '"length"');
  }
  thrown(() => buffer.setLength("1" as never), TypeError, '"length"');
  assert.is(buffer.length, 0, "a refused length changes nothing");
  buffer.release();
});

test("IoBufMut.freeze() ends the handle and passes its memory on without a copy", () => {
  const pool = makePool();
  const buffer = pool.alloc(4);
  const view = buffer.bytes;
  view.set([1, 2, 3, 4]);
  const fixed = buffer.freeze();
  assert.is(inUse(pool), 1);
  assert.ok(buffer.released);
  const { message } = thrown(() => buffer.bytes, TypeError);
  assert.is(
    message,
    "Cannot use a buffer that was frozen (use the buffer that freeze() returned)",
  );
  buffer.release();
  assert.is(inUse(pool), 1, "release of a frozen handle does nothing");
  view[0] = 9;
  assert.is(fixed.bytes[0], 9);
  assert.not.ok("setLength" in fixed);
  fixed.release();
  assert.is(inUse(pool), 0);
});

test("release() gives memory back once and is idempotent", () => {
  const pool = makePool();
  const [first, second] = [pool.alloc(1), frozen(pool, "a")];
  for (const buffer of [first, second]) {
    assert.not.ok(buffer.released);
    buffer.release();
    buffer.release();
    buffer[Symbol.dispose]();
    assert.ok(buffer.released);
  }
  assert.is(inUse(pool), 0);
  assert.is(pool.stats().classes[0].available, 4);
});

test("every use after release throws TypeError", () => {
  const pool = makePool();
  const shared: ((buffer: IoBuf | IoBufMut) => unknown)[] = [
    (buffer) => buffer.length,
    (buffer) => buffer.bytes,
    (buffer) => buffer.pooled,
    (buffer) => buffer.toUint8Array(),
    (buffer) => buffer.text(),
  ];
  const ofMut: ((buffer: IoBufMut) => unknown)[] = [
    ...shared,
    (buffer) => buffer.capacity,
    (buffer) => buffer.setLength(1),
    (buffer) => buffer.freeze(),
  ];
  const ofBuf: ((buffer: IoBuf) => unknown)[] = [
    ...shared,
    (buffer) => buffer.clone(),
    (buffer) => buffer.slice(0),
    (buffer) => buffer.slice(0, 1),
    (buffer) => buffer.advance(0),
  ];
  const mutable = pool.alloc(8);
  mutable.release();
  for (const use of ofMut) thrown(() => use(mutable), TypeError, "released");
  const fixed = frozen(pool, "12345678");
  fixed.release();
  for (const use of ofBuf) thrown(() => use(fixed), TypeError, "released");
  const moved = frozen(pool, "12345678");
  handleFields.moveOut(moved).release();
  for (const use of ofBuf) thrown(() => use(moved), TypeError, "moved");
  assert.is(inUse(pool), 0);
});

test("IoBuf.clone() and slice() share memory, which returns with the last handle", () => {
  const pool = makePool();
  const whole = frozen(pool, "hello world");
  const clone = whole.clone();
  const slice = whole.slice(6, 11);
  const inner = slice.slice(1, 3);
  assert.is(inUse(pool), 1, "no copy");
  whole.release();
  clone.release();
  slice.release();
  assert.is(inUse(pool), 1);
  assert.is(inner.text(), "or");
  assert.is(inUse(pool), 0);
});

test("IoBuf.slice() of nothing does not pin memory", () => {
  const pool = makePool();
  const whole = frozen(pool, "abc");
  const empty = whole.slice(1, 1);
  assert.is(empty.length, 0);
  whole.release();
  assert.is(inUse(pool), 0);
  empty.release();
});

test("IoBuf.slice() counts from the beginning and refuses indexes outside", () => {
  const pool = makePool();
  using whole = frozen(pool, "0123456789");
  assert.is(whole.slice(3).text(), "3456789");
  assert.is(whole.slice(0, 10).text(), "0123456789");
  assert.is(whole.slice(2, 5).slice(1).text(), "34");
  thrown(() => whole.slice(-1), RangeError, '"start"');
  thrown(() => whole.slice(11), RangeError, '"start"');
  thrown(() => whole.slice(5, 4), RangeError, '"end"');
  thrown(() => whole.slice(0, 11), RangeError, '"end"');
  thrown(() => whole.slice(0.5), RangeError, '"start"');
  assert.is(inUse(pool), 1, "refused slices hold nothing");
});

test("IoBuf.advance() moves only this handle's beginning", () => {
  const pool = makePool();
  const whole = frozen(pool, "0123456789");
  const clone = whole.clone();
  whole.advance(3);
  whole.advance(0);
  assert.is(whole.length, 7);
  assert.is(whole.slice(0, 2).text(), "34");
  assert.is(clone.length, 10);
  thrown(() => whole.advance(8), RangeError, '"count"');
  thrown(() => whole.advance(-1), RangeError, '"count"');
  whole.advance(7);
  assert.is(whole.length, 0);
  whole.release();
  assert.is(clone.text(), "0123456789");
  assert.is(inUse(pool), 0);
});

test("toUint8Array() copies out to memory of its own, then releases", () => {
  const pool = makePool();
  const buffer = frozen(pool, "abc");
  const view = buffer.bytes;
  const copy = buffer.toUint8Array();
  assert.ok(buffer.released);
  assert.is(inUse(pool), 0);
  view[0] = 0;
  assert.is(new TextDecoder().decode(copy), "abc");
  assert.is(copy.byteOffset, 0);
  assert.is(copy.buffer.byteLength, 3, "not a view into something larger");
});

test("text() keeps a byte order mark: the encoded text comes back", () => {
  const pool = makePool();
  for (const text of ["\ufeff", "\ufeffabc", "\ufeff\ufeffabc", "abc\ufeff"]) {
    const bytes = new TextEncoder().encode(text);
    const buffer = pool.alloc(bytes.length);
    buffer.bytes.set(bytes);
    assert.is(buffer.text(), text);
    assert.is(IoBuf.from(bytes).text(), text);
  }
  assert.is(inUse(pool), 0);
});

test("text() decodes UTF-8, replaces malformed bytes, and releases", () => {
  const pool = makePool();
  const buffer = pool.alloc(6);
  buffer.bytes.set([0xe2, 0x82, 0xac, 0xff, 0x61, 0xc3]);
  assert.is(buffer.text(), "\u20ac\ufffda\ufffd");
  assert.ok(buffer.released);
  assert.is(inUse(pool), 0);
  assert.is(IoBuf.from("a").text(), "a", "an unfinished character does not reach the next text");
});

test("IoBuf.from() copies its source", () => {
  // A Buffer's own slice() is a view.
  for (const source of [Uint8Array.of(1, 2, 3), Buffer.of(1, 2, 3)]) {
    const buffer = IoBuf.from(source);
    source[0] = 9;
    assert.bytesEqual(buffer.bytes, Uint8Array.of(1, 2, 3));
    assert.not.ok(buffer.pooled);
    buffer.release();
  }
  assert.is(IoBuf.from("gr\u00fc\u00df").length, 6);
  for (const wrong of [1, null, undefined, [1], {}, new ArrayBuffer(1)]) {
    thrown(() => IoBuf.from(wrong as never), TypeError, '"source"');
  }
});

test("`using` releases, also a buffer that was moved meanwhile", () => {
  const pool = makePool();
  {
    using first = pool.alloc(1);
    using second = pool.alloc(1);
    first.bytes[0] = 1;
    second.freeze().release();
    assert.is(inUse(pool), 1);
  }
  assert.is(inUse(pool), 0);
});

test("absorb() joins neighbours of one slot and leaves others alone", () => {
  const pool = makePool();
  const whole = frozen(pool, "0123456789");
  const parts = [whole.slice(0, 3), whole.slice(3, 7), whole.slice(8, 10)];
  const other = frozen(pool, "xyz");
  assert.ok(absorb(parts[0], parts[1]));
  assert.ok(parts[1].released);
  assert.not.ok(absorb(parts[0], parts[2]), "a byte is missing between them");
  assert.not.ok(absorb(parts[0], other), "another slot");
  whole.release();
  parts[2].release();
  other.release();
  assert.is(parts[0].text(), "0123456");
  assert.is(inUse(pool), 0);
});

test.run();
