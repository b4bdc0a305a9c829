import { openPool, takeSlot } from "../../../../src/buf/buffer_pool.ts";
import { ByteSource } from "../../../../src/net/send/byte_source.ts";
import { SendCall } from "../../../../src/net/send/send_call.ts";
import type { SendHalf } from "../../../../src/net/send/send_half.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { PlainSlabSource } from "../../../support/plain_slab_source.ts";

function setUp() {
  const config = { minSize: 64, maxSize: 256, maxPerClass: 256 };
  const pool = openPool(config, new PlainSlabSource());
  const inUse = () => pool.stats().classes.reduce((total, entry) => total + entry.allocated, 0);
  const call = new SendCall({} as SendHalf);
  const add = (length: number, offset = 0) => {
    call.totalBytes += length;
    return call.add(takeSlot(pool, offset + length), offset, length);
  };
  /** The ranges that are not sent yet. */
  const ranges = () =>
    Array.from({ length: call.count - call.first }, (_, index) => {
      const { offset, length } = call.pieceAt(call.first + index);
      return [offset, length];
    });
  return { pool, inUse, call, add, ranges };
}

const test = suite("SendCall");

test("consume() resumes inside a piece at the exact byte", () => {
  const { call, add, ranges, inUse } = setUp();
  add(10, 5);
  add(20);
  assert.is(call.consume(4), 0);
  assert.equal(ranges(), [[9, 6], [0, 20]]);
  assert.is(call.consume(6), 0);
  assert.equal(ranges(), [[0, 20]]);
  assert.equal([call.sentBytes, inUse()], [10, 1], "a filled piece is dropped");
  assert.is(call.consume(19), 0);
  assert.equal(ranges(), [[19, 1]]);
  assert.not.ok(call.done);
  assert.is(call.consume(1), 0);
  assert.ok(call.done);
  assert.is(inUse(), 0);
});

test("consume() returns the bytes that belong to the calls behind", () => {
  const { call, add, inUse } = setUp();
  add(10);
  add(10);
  assert.is(call.consume(25), 5);
  assert.equal([call.sentBytes, call.done, inUse()], [20, true, 0]);
  assert.is(call.consume(5), 5, "nothing is left to consume");
});

test("lengthen() takes bytes that lie right behind the last piece, and no others", () => {
  const { call, add, ranges } = setUp();
  const { slot } = add(10, 5);
  assert.ok(call.lengthen(slot, 15, 4));
  assert.not.ok(call.lengthen(slot, 20, 4), "a gap");
  assert.not.ok(call.lengthen(add(3).slot, 30, 4), "another place of the slot");
  assert.equal([ranges(), call.totalBytes], [[[5, 14], [0, 3]], 17]);
  call.consume(17);
  assert.not.ok(call.lengthen(slot, 19, 1), "all is sent");
});

test("consume() of nothing changes nothing", () => {
  const { call, add, ranges } = setUp();
  add(10);
  assert.is(call.consume(0), 0);
  assert.equal([call.sentBytes, ranges()], [0, [[0, 10]]]);
});

test("cut() makes two pieces of one, each with a reference of its own", () => {
  const { call, add, ranges, inUse } = setUp();
  add(10);
  const piece = add(20, 3);
  add(30);
  call.cut(1, 8);
  assert.equal(ranges(), [[0, 10], [3, 8], [11, 12], [0, 30]]);
  assert.is(piece.slot.references, 2);
  call.consume(18);
  assert.equal([ranges(), inUse()], [[[11, 12], [0, 30]], 2]);
  call.consume(42);
  assert.is(inUse(), 0);
});

test("join() makes one piece of ranges that lie behind each other, and of no others", () => {
  const { pool, call, ranges, inUse } = setUp();
  const slot = takeSlot(pool, 100);
  const join = (at: number, length: number) => {
    slot.retain();
    call.join(slot, at, length);
  };
  join(0, 4);
  join(4, 60);
  assert.equal([ranges(), slot.references], [[[0, 64]], 2], "two parts of one buffer");
  join(65, 5);
  join(60, 5);
  assert.equal(ranges(), [[0, 64], [65, 5], [60, 5]], "a gap, and a step back");
  call.join(takeSlot(pool, 100), 65, 10);
  assert.is(call.count, 4, "the same place in another buffer");
  slot.release();
  call.totalBytes = 84;
  call.consume(84);
  assert.equal([call.done, inUse()], [true, 0]);
});

test("pieceAfter() looks into the next call, and not behind bytes still to be read", () => {
  const { call, add } = setUp();
  const first = add(10);
  const second = add(10);
  assert.is(call.pieceAfter(0), second);
  assert.is(call.pieceAfter(1), null);
  const behind = new SendCall({} as SendHalf);
  call.next = behind;
  assert.is(call.pieceAfter(1), null, "it has none");
  const third = behind.add(first.slot, 10, 10);
  assert.is(call.pieceAfter(1), third);
  call.source = new ByteSource([new Uint8Array(10)]);
  assert.is(call.pieceAfter(1), null);
});

test("dropPieces() drops unsent pieces, once", () => {
  const { call, add, inUse } = setUp();
  add(10);
  add(10);
  call.consume(15);
  call.dropPieces();
  assert.equal([inUse(), call.count, call.source], [0, 0, null]);
  call.dropPieces();
  assert.is(inUse(), 0);
});

test("Piece.moveTo() releases the old slot", () => {
  const { pool, add, inUse, call } = setUp();
  const piece = add(10);
  piece.moveTo(takeSlot(pool, 100), 50);
  assert.is(inUse(), 1);
  assert.equal([piece.slot.capacity, piece.offset, piece.length], [128, 50, 10]);
  call.dropPieces();
  assert.is(inUse(), 0);
});

test("a renewed call belongs to the queue that renewed it", () => {
  const { call } = setUp();
  const ended: unknown[] = [];
  const queue = { endCall: (...data: unknown[]) => ended.push(data) } as unknown as SendHalf;
  call.renew(queue);
  call.expire();
  assert.equal(ended, [[call, { kind: "timeout" }]]);
});

test("a renewed call starts from nothing", () => {
  const { call, add, ranges } = setUp();
  add(10);
  call.consume(10);
  call.ending = { kind: "timeout" };
  call.retire();
  call.renew({} as SendHalf);
  assert.equal([call.totalBytes, call.sentBytes, call.ending, ranges()], [0, 0, null, []]);
  add(7);
  assert.equal(ranges(), [[0, 7]]);
  call.dropPieces();
});

test("random short sends consume every byte once and give all memory back", () => {
  const random = new Random();
  const { call, add, ranges, inUse } = setUp();
  for (let round = 0; round < 200; round++) {
    const pieces = random.int(1, 80);
    for (let i = 0; i < pieces; i++) add(random.int(1, 50), random.int(0, 20));
    let left = call.totalBytes;
    while (left > 0) {
      if (random.chance(0.2)) {
        const index = random.int(call.first, call.count - 1);
        const { length } = call.pieceAt(index);
        if (length > 1) call.cut(index, random.int(1, length - 1));
      }
      const count = random.int(1, Math.min(left, random.pick([3, 40, 400])));
      assert.is(call.consume(count), 0);
      left -= count;
      assert.is(ranges().reduce((total, [, length]) => total + length, 0), left);
      assert.is(call.done, left === 0);
    }
    assert.is(inUse(), 0);
    call.renew({} as SendHalf);
  }
});

test.run();
