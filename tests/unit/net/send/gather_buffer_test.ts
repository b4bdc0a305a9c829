import { LIMITS } from "../../../../src/base/limits.ts";
import { openPool } from "../../../../src/buf/buffer_pool.ts";
import type { Slot } from "../../../../src/buf/slot.ts";
import { GatherBuffer } from "../../../../src/net/send/gather_buffer.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { PlainSlabSource } from "../../../support/plain_slab_source.ts";

function setUp(maxSize = 65_536, maxPerClass = 8) {
  const pool = openPool({ maxSize, maxPerClass }, new PlainSlabSource());
  const inUse = () => pool.stats().classes.reduce((total, entry) => total + entry.allocated, 0);
  return { pool, inUse, gather: new GatherBuffer(pool) };
}

/** Finds room and commits, as a send does; the caller owns the piece's reference. */
function put(gather: GatherBuffer, length: number): { slot: Slot; offset: number } {
  const slot = gather.room(length) as Slot;
  const offset = gather.end;
  gather.commit(length);
  return { slot, offset };
}

const test = suite("GatherBuffer");

test("an unused GatherBuffer holds no memory", () => {
  const { gather, inUse } = setUp();
  assert.is(gather.slot, null);
  assert.is(inUse(), 0);
});

test("small sends lie one behind the other in one slot", () => {
  const { gather, inUse } = setUp();
  const pieces = [put(gather, 10), put(gather, 20), put(gather, 30)];
  assert.equal(pieces.map(({ offset }) => offset), [0, 10, 30]);
  assert.is(new Set(pieces.map(({ slot }) => slot)).size, 1);
  assert.is(gather.end, 60);
  assert.is(pieces[0].slot.references, 4, "the buffer's own, and one for each piece");
  assert.is(inUse(), 1);
});

test("the first slot of a busy period is small, those that follow are larger", () => {
  const { gather } = setUp();
  const first = put(gather, 100);
  assert.is(first.slot.capacity, LIMITS.gatherCopyBytes);
  const second = put(gather, 2_000);
  assert.is.not(second.slot, first.slot);
  assert.is(second.offset, 0);
  assert.is(second.slot.capacity, 16_384);
  gather.becomeIdle();
  assert.is(gather.slot, null);
  assert.is(put(gather, 100).slot.capacity, LIMITS.gatherCopyBytes, "small again after a rest");
});

test("room() for exactly the free bytes keeps the slot, one byte more takes another", () => {
  const { gather } = setUp();
  const first = put(gather, 2_000);
  assert.is(gather.room(48), first.slot);
  assert.is.not(gather.room(49), first.slot);
  assert.is(gather.end, 0);
});

test("a slot goes back when the buffer has left it and its last piece is dropped", () => {
  const { gather, inUse } = setUp();
  const pieces = [put(gather, 100), put(gather, 100)];
  gather.close();
  assert.is(inUse(), 1);
  pieces[0].slot.release();
  assert.is(inUse(), 1);
  pieces[1].slot.release();
  assert.is(inUse(), 0);
  gather.close();
  assert.is(inUse(), 0, "close() is idempotent");
});

test("room() that was not committed keeps no slot after close()", () => {
  const { gather, inUse } = setUp();
  gather.room(10);
  assert.is(inUse(), 1);
  gather.close();
  assert.is(inUse(), 0);
});

test("room() falls back to a slot of the needed size, then to null", () => {
  const { pool, gather } = setUp(2_048, 2);
  const large = [pool.tryAlloc(2_048), pool.tryAlloc(2_048)];
  const first = put(gather, 100);
  assert.is(first.slot.capacity, 128);
  const small = pool.tryAlloc(128);
  assert.is(gather.room(100), null);
  assert.is(gather.slot, null);
  assert.is(gather.end, 0);
  for (const buffer of [...large, small]) buffer.release();
  assert.is(put(gather, 100).offset, 0, "and works again when there is memory");
});

test("a pool of only small classes is used as it is", () => {
  const { gather } = setUp(256);
  assert.is(put(gather, 200).slot.capacity, 256);
  assert.is(gather.room(300), null);
});

test("pieces never overlap over a random history", () => {
  const random = new Random();
  const { gather, inUse } = setUp(65_536, 64);
  const pieces: { slot: Slot; offset: number; bytes: Uint8Array }[] = [];
  for (let step = 0; step < 3_000; step++) {
    if (random.chance(0.6)) {
      const bytes = random.bytes(random.int(1, 2_047));
      const { slot, offset } = put(gather, bytes.length);
      slot.bytes.set(bytes, offset);
      pieces.push({ slot, offset, bytes });
    } else if (pieces.length > 0) {
      const { slot, offset, bytes } = pieces.shift() as typeof pieces[number];
      assert.bytesEqual(slot.bytes.subarray(offset, offset + bytes.length), bytes);
      slot.release();
      if (pieces.length === 0) gather.becomeIdle();
    }
    while (pieces.length > 40) pieces.shift()?.slot.release();
  }
  for (const { slot } of pieces) slot.release();
  gather.close();
  assert.is(inUse(), 0);
});

test.run();
