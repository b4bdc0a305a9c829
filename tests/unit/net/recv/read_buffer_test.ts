import { openPool, takeSlot } from "../../../../src/buf/buffer_pool.ts";
import type { Slot } from "../../../../src/buf/slot.ts";
import { DelimiterSearch } from "../../../../src/base/delimiter_search.ts";
import { ReadBuffer } from "../../../../src/net/recv/read_buffer.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { PlainSlabSource } from "../../../support/plain_slab_source.ts";
import { thrown } from "../../../support/thrown.ts";

const SIZE = 256;

function setUp(maxPerClass = 64) {
  const config = { minSize: 64, maxSize: 4_096, maxPerClass, debug: true };
  const pool = openPool(config, new PlainSlabSource());
  const buffer = new ReadBuffer(pool);
  const inUse = () => pool.stats().classes.reduce((total, entry) => total + entry.allocated, 0);
  /** A read buffer in which the kernel wrote these bytes. */
  const filled = (bytes: Uint8Array, start = 0): Slot => {
    const slot = takeSlot(pool, SIZE);
    slot.bytes.set(bytes, start);
    return slot;
  };
  /** Arrival as in the receive path: a copied range's buffer goes back at once. */
  const arrive = (bytes: Uint8Array | string, start = 0): boolean => {
    const source = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    const slot = filled(source, start);
    const kept = buffer.push(slot, start, start + source.length);
    if (!kept) slot.release();
    return kept;
  };
  return { pool, buffer, inUse, filled, arrive };
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Text that is too long to be appended by copy. */
const LONG = "x".repeat(SIZE / 2 + 1);

const test = suite("ReadBuffer");

test("an empty ReadBuffer holds nothing and peeks nothing", () => {
  const { buffer, inUse } = setUp();
  assert.is(buffer.length, 0);
  assert.is(buffer.peek(10).length, 0);
  buffer.clear();
  assert.is(inUse(), 0);
});

test("take() gives exactly the bytes asked for, in the order of arrival", () => {
  const { buffer, arrive, inUse } = setUp();
  arrive("hello ");
  arrive(LONG);
  arrive("end");
  assert.is(buffer.length, 6 + LONG.length + 3);
  assert.is(buffer.take(5).text(), "hello");
  assert.is(buffer.take(2).text(), " x");
  assert.is(buffer.take(LONG.length - 1 + 3).text(), LONG.slice(1) + "end");
  assert.is(buffer.length, 0);
  assert.is(inUse(), 0);
});

test("take() of a part copies nothing; its memory goes back with the last handle", () => {
  const { pool, buffer, arrive, inUse } = setUp();
  arrive("abcdef");
  const before = pool.stats().classes.reduce((total, entry) => total + entry.allocations, 0);
  const [first, second] = [buffer.take(2), buffer.take(4)];
  assert.is(pool.stats().classes.reduce((total, { allocations: n }) => total + n, 0), before);
  assert.is(inUse(), 1);
  assert.is(second.text(), "cdef");
  assert.is(inUse(), 1);
  assert.is(first.text(), "ab");
  assert.is(inUse(), 0);
});

test("take() of more than the buffered bytes is a bug, and throws", () => {
  const { buffer, arrive } = setUp();
  arrive("abc");
  thrown(() => buffer.take(4), Error, "invariant");
  assert.is(buffer.take(3).text(), "abc");
});

test("takeSome() gives the first range only, at most what is asked for", () => {
  const { buffer, arrive } = setUp();
  arrive(LONG);
  arrive(LONG);
  assert.is(buffer.takeSome(10).text(), LONG.slice(0, 10));
  assert.is(buffer.takeSome(1_000).text(), LONG.slice(10));
  assert.is(buffer.takeSome(1_000).text(), LONG);
  assert.is(buffer.length, 0);
});

test("small ranges are appended by copy: single bytes do not pin a buffer each", () => {
  const { buffer, arrive, inUse } = setUp();
  for (let i = 0; i < 100; i++) assert.is(arrive("a"), i === 0);
  assert.is(inUse(), 1);
  assert.is(buffer.take(100).text(), "a".repeat(100));
  assert.is(inUse(), 0);
});

test("a full buffer is not appended to, and a large range is not copied", () => {
  const { buffer, arrive, inUse } = setUp();
  arrive("a".repeat(SIZE - 1));
  assert.not.ok(arrive("b"), "the last byte of room");
  assert.ok(arrive("c"), "no room");
  assert.ok(arrive(LONG), "more than half of its buffer");
  assert.is(inUse(), 3);
  const all = "a".repeat(SIZE - 1) + "bc" + LONG;
  assert.is(buffer.take(all.length).text(), all);
});

test("memory with another reference is not written to", () => {
  // A part of the range is in the user's hands: appending must not touch its buffer.
  const { buffer, arrive, inUse } = setUp();
  arrive("abcdef");
  const taken = buffer.take(3);
  assert.ok(arrive("g"));
  assert.is(inUse(), 2);
  assert.is(taken.text(), "abc");
  assert.not.ok(arrive("h"), "the new tail is the buffer's own");
  assert.is(buffer.take(5).text(), "defgh");
  assert.is(inUse(), 0);
});

test("peek() shows the bytes without consuming them, again and again", () => {
  const { buffer, arrive } = setUp();
  arrive("hello world");
  assert.is(text(buffer.peek(5)), "hello");
  assert.is(text(buffer.peek(100)), "hello world");
  assert.is(text(buffer.peek(100)), "hello world");
  assert.is(buffer.peek(0).length, 0);
  assert.is(buffer.length, 11);
  buffer.take(6).release();
  assert.is(text(buffer.peek(3)), "wor");
});

test("peek() joins ranges only when one is not enough", () => {
  const { buffer, arrive, inUse } = setUp();
  arrive("ab" + LONG);
  arrive(LONG);
  assert.is(text(buffer.peek(2)), "ab");
  assert.is(inUse(), 2);
  assert.is(text(buffer.peek(1_000)), "ab" + LONG + LONG);
  assert.is(inUse(), 1, "the joined ranges' buffers went back");
  assert.is(buffer.take(2 + 2 * LONG.length).text(), "ab" + LONG + LONG);
  assert.is(inUse(), 0);
});

test("peek() joins also when the pool has nothing left", () => {
  const { pool, buffer, arrive, inUse } = setUp(4);
  arrive(LONG);
  arrive(LONG);
  const held = [1, 2, 3, 4].map(() => pool.tryAlloc(512));
  assert.is(text(buffer.peek(1_000)), LONG + LONG);
  for (const each of held) each.release();
  assert.is(buffer.take(2 * LONG.length).text(), LONG + LONG);
  assert.is(inUse(), 0);
});

test("bytes that were taken before a join stay as they are", () => {
  const { buffer, arrive } = setUp();
  arrive("abc" + LONG);
  arrive(LONG);
  const taken = buffer.take(3);
  buffer.peek(1_000);
  buffer.clear();
  assert.is(taken.text(), "abc");
});

test("clear() forgets the bytes and gives back memory without other references", () => {
  const { buffer, arrive, inUse } = setUp();
  arrive(LONG);
  arrive(LONG);
  const taken = buffer.take(1);
  buffer.clear();
  assert.equal([buffer.length, inUse()], [0, 1]);
  taken.release();
  assert.is(inUse(), 0);
});

test("ReadBuffer behaves as one byte array over thousands of random operations", () => {
  // Released memory is filled with a pattern: a buffer that was given back too early would differ.
  const random = new Random();
  const { buffer, arrive, inUse } = setUp(16);
  let model: number[] = [];
  const handles: { read(): Uint8Array; bytes: number[] }[] = [];
  for (let step = 0; step < 6_000; step++) {
    const kind = random.int(0, 9);
    if (kind < 4) {
      const start = random.chance(0.2) ? random.int(0, 100) : 0;
      const bytes = random.bytes(random.int(1, random.pick([3, 100, SIZE - start])));
      if (bytes.length > SIZE - start) continue;
      arrive(bytes, start);
      model.push(...bytes);
    } else if (kind < 6 && model.length > 0) {
      const length = random.int(1, Math.min(model.length, random.pick([5, 100, 2_000])));
      const taken = buffer.take(length);
      assert.is(taken.length, length);
      handles.push({ read: () => taken.toUint8Array(), bytes: model.slice(0, length) });
      model = model.slice(length);
    } else if (kind < 7 && model.length > 0) {
      const taken = buffer.takeSome(random.int(1, 300));
      assert.ok(taken.length > 0 && taken.length <= 300);
      const bytes = model.slice(0, taken.length);
      model = model.slice(taken.length);
      handles.push({ read: () => taken.toUint8Array(), bytes });
    } else if (kind < 8) {
      const length = random.pick([0, 1, 50, 5_000]);
      assert.bytesEqual(buffer.peek(length), Uint8Array.from(model.slice(0, length)));
    } else if (handles.length > 0) {
      const [{ read, bytes }] = handles.splice(random.int(0, handles.length - 1), 1);
      assert.bytesEqual(read(), Uint8Array.from(bytes));
    }
    if (random.chance(0.002)) {
      buffer.clear();
      model = [];
    }
    assert.is(buffer.length, model.length);
  }
  for (const { read, bytes } of handles) assert.bytesEqual(read(), Uint8Array.from(bytes));
  if (model.length > 0) {
    assert.bytesEqual(buffer.take(model.length).toUint8Array(), Uint8Array.from(model));
  }
  assert.is(inUse(), 0);
});

test("find() looks at each byte once, in however many ranges they come", () => {
  const { buffer, arrive } = setUp();
  const looked: Uint8Array[] = [];
  const search = { find: (piece: Uint8Array) => (looked.push(piece.slice()), -1) };
  let seen = 0;
  let whole = "";
  for (let i = 0; i < 20; i++) {
    const part = String(i).padEnd(i % 3 === 0 ? SIZE : 30, "-");
    arrive(part);
    whole += part;
    assert.is(buffer.find(search as unknown as DelimiterSearch, seen, buffer.length), -1);
    seen = buffer.length;
  }
  assert.is(looked.map(text).join(""), whole);
  buffer.clear();
});

test("find() stops at its limit, and gives an index behind ranges", () => {
  const { buffer, arrive } = setUp();
  arrive(LONG);
  arrive(LONG + "ab");
  arrive(LONG + "c");
  const at = 2 * LONG.length + 2;
  const search = () => new DelimiterSearch(new TextEncoder().encode("b"));
  assert.is(buffer.find(search(), 0, at - 1), -1);
  assert.is(buffer.find(search(), 0, at), at);
  assert.is(buffer.find(search(), at, buffer.length), -1);
  assert.is(text(Uint8Array.of(buffer.byteAt(at - 1), buffer.byteAt(at - 2))), "ba");
  buffer.clear();
});

test("decode() and drop() go across ranges, and drop() gives memory back", () => {
  const { buffer, arrive, inUse } = setUp();
  const given = "\u20ac".repeat(SIZE / 3);
  const bytes = new TextEncoder().encode(given + given);
  arrive(bytes.slice(0, 200));
  arrive(bytes.slice(200, 400));
  arrive(bytes.slice(400));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  assert.is(buffer.decode(decoder, bytes.length), given + given);
  assert.is(buffer.decode(decoder, 3), "\u20ac");
  assert.is(buffer.decode(decoder, 0), "");
  assert.is(buffer.length, bytes.length, "nothing was consumed");
  const before = inUse();
  buffer.drop(300);
  assert.is(inUse(), before - 1);
  assert.bytesEqual(buffer.take(100).toUint8Array(), bytes.slice(300, 400));
  buffer.drop(buffer.length);
  assert.is(inUse(), 0);
});

test.run();
