import { ByteSource } from "../../../../src/net/send/byte_source.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { thrown } from "../../../support/thrown.ts";

/** The length of `transfer` takes part of the buffer; not yet in every type library. */
type Transferable = ArrayBuffer & { transfer(length?: number): ArrayBuffer };

const resizable = (length: number, maxByteLength: number) =>
  new ArrayBuffer(length, { maxByteLength });

const test = suite("ByteSource");

test("ByteSource.read() copies as many bytes as fit, and no others", () => {
  const source = new ByteSource([Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]);
  const target = new Uint8Array(8).fill(0xee);
  assert.is(source.remaining, 5);
  assert.is(source.read(target, 2, 4), 4);
  assert.equal([...target], [0xee, 0xee, 1, 2, 3, 4, 0xee, 0xee]);
  assert.is(source.remaining, 1);
  assert.is(source.read(target, 0, 8), 1);
  assert.is(target[0], 5);
  assert.equal([source.remaining, source.read(target, 0, 8)], [0, 0]);
});

test("ByteSource.read() of no bytes copies none", () => {
  const source = new ByteSource([Uint8Array.of(1)]);
  assert.is(source.read(new Uint8Array(1), 0, 0), 0);
  assert.is(source.remaining, 1);
});

test("empty arrays between others are passed over", () => {
  const empty = new Uint8Array(0);
  const source = new ByteSource([empty, Uint8Array.of(1), empty, empty, Uint8Array.of(2), empty]);
  const target = new Uint8Array(4);
  assert.is(source.read(target, 0, 4), 2);
  assert.equal([...target], [1, 2, 0, 0]);
  assert.is(new ByteSource([empty]).remaining, 0);
});

test("windows of any size give the bytes of all arrays in order", () => {
  const random = new Random();
  for (let round = 0; round < 200; round++) {
    const arrays = Array.from({ length: random.int(0, 6) }, () => {
      const backing = random.bytes(60);
      return backing.subarray(random.int(0, 20), random.int(20, 60));
    });
    const expected = arrays.flatMap((array) => [...array]);
    const source = new ByteSource(arrays);
    const got: number[] = [];
    const target = new Uint8Array(64);
    while (source.remaining > 0) {
      const offset = random.int(0, 16);
      const count = source.read(target, offset, random.int(1, 48));
      got.push(...target.subarray(offset, offset + count));
    }
    assert.equal(got, expected);
  }
});

test("an array that is detached between two windows throws TypeError", () => {
  const array = new Uint8Array(100).fill(1);
  const source = new ByteSource([array]);
  const target = new Uint8Array(100);
  source.read(target, 0, 40);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  const { message } = thrown(() => source.read(target, 0, 40), TypeError);
  assert.is(
    message,
    "Cannot send: an array of 100 bytes was detached, transferred or shrunk to 0 while its " +
      "send was pending",
  );
});

test("an array that was transferred, at the same or another length, throws TypeError", () => {
  for (const length of [100, 10, 200]) {
    const array = new Uint8Array(100);
    const source = new ByteSource([array]);
    source.read(new Uint8Array(100), 0, 1);
    (array.buffer as Transferable).transfer(length);
    thrown(() => source.read(new Uint8Array(100), 0, 10), TypeError, "detached");
  }
});

test("a shrunk array throws TypeError, whether its length follows its buffer or not", () => {
  for (const fixed of [true, false]) {
    const buffer = resizable(100, 200);
    const array = fixed ? new Uint8Array(buffer, 0, 100) : new Uint8Array(buffer);
    const source = new ByteSource([array]);
    source.read(new Uint8Array(100), 0, 10);
    buffer.resize(50);
    thrown(() => source.read(new Uint8Array(100), 0, 10), TypeError, "shrunk to");
  }
});

test("an array that grew gives the bytes that it had when the send began", () => {
  const buffer = resizable(4, 100);
  const array = new Uint8Array(buffer);
  array.set([1, 2, 3, 4]);
  const source = new ByteSource([array, Uint8Array.of(9)]);
  const target = new Uint8Array(8);
  source.read(target, 0, 2);
  buffer.resize(50);
  array.fill(7, 4);
  assert.is(source.read(target, 2, 6), 3);
  assert.equal([...target], [1, 2, 3, 4, 9, 0, 0, 0]);
});

test("an array that was read to its end may be detached", () => {
  const first = new Uint8Array(10).fill(1);
  const source = new ByteSource([first, new Uint8Array(10).fill(2)]);
  const target = new Uint8Array(20);
  source.read(target, 0, 10);
  (first.buffer as Transferable).transfer();
  assert.is(source.read(target, 10, 10), 10);
  assert.is(target[10], 2);
});

test("a later array that is detached throws when the send reaches it", () => {
  const second = new Uint8Array(10);
  const source = new ByteSource([new Uint8Array(10).fill(1), second]);
  (second.buffer as Transferable).transfer();
  const target = new Uint8Array(20);
  assert.is(source.read(target, 0, 10), 10);
  thrown(() => source.read(target, 10, 10), TypeError, "an array of 10 bytes");
});

test("an array with false properties gives its own bytes, whole and in part", () => {
  class Liar extends Uint8Array {
    override get length(): number {
      return 1_000;
    }
    override subarray(): Uint8Array<ArrayBuffer> {
      return new Uint8Array(1_000).fill(9);
    }
  }
  const source = new ByteSource([new Liar([1, 2, 3, 4]), new Liar([5, 6])]);
  assert.is(source.remaining, 6);
  const target = new Uint8Array(8);
  assert.is(source.read(target, 0, 3), 3);
  assert.is(source.read(target, 3, 10), 3);
  assert.equal([...target], [1, 2, 3, 4, 5, 6, 0, 0]);
});

test.run();
