import { LIMITS } from "../../../src/base/limits.ts";
import { NetworkError } from "../../../src/base/network_error.ts";
import { openPool, sizeClassFor } from "../../../src/buf/buffer_pool.ts";
import { OpWriter } from "../../../src/ring/op_writer.ts";
import { OP_CODE } from "../../../src/ring/op_writer.ts";
import { ProvidedBuffers } from "../../../src/ring/provided_buffers.ts";
import { assert, Random, suite } from "../../harness.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";
import { thrown } from "../../support/thrown.ts";

const SIZE = 256;

interface Options {
  countMax?: number;
  maxPerClass?: number;
  sizeBytes?: number;
  opCapacity?: number;
  group?: number;
  reserveCount?: number;
  slabCountMax?: number;
}

function setUp(options: Options = {}) {
  const { countMax = 64, maxPerClass = 100, sizeBytes = SIZE, opCapacity = 256 } = options;
  const { group = 0, reserveCount = LIMITS.reserveBufferCount } = options;
  const source = new PlainSlabSource();
  source.slabCountMax = options.slabCountMax ?? source.slabCountMax;
  const pool = openPool({ minSize: 64, maxSize: SIZE, maxPerClass }, source);
  const buffers = new ProvidedBuffers({
    group,
    shared: sizeClassFor(pool, sizeBytes),
    source,
    sizeBytes,
    countMax,
    extraCount: group === 1 ? LIMITS.multishotExtraCount : 0,
    reserveCount,
  });
  const ops = new Uint32Array(opCapacity * 8);
  const writer = new OpWriter(ops, opCapacity);
  /** Stages, and returns the records: [id, slab, offset, length]. */
  const stage = () => {
    writer.clear();
    buffers.stage(writer);
    return Array.from({ length: writer.count }, (_, index) => {
      const record = ops.subarray(index * 8, index * 8 + 8);
      assert.is(record[0], OP_CODE.provide);
      return { id: record[1], slab: record[4], offset: record[5], length: record[6] };
    });
  };
  const inUse = () => pool.stats().classes.at(-1)?.allocated;
  return { source, pool, buffers, writer, stage, inUse };
}

const test = suite("ProvidedBuffers");

test("an idle network provides nothing and holds no memory", () => {
  const { buffers, stage, inUse } = setUp();
  assert.equal(stage(), []);
  assert.is(buffers.provided, 0);
  assert.is(inUse(), 0);
});

test("without memory to map, what the reserve has goes on circulating", () => {
  // A slab holds one buffer: the one that is there from the beginning.
  const { source, buffers, stage } = setUp({ sizeBytes: 1 << 20 });
  source.slabCountMax = source.slabs.length;
  buffers.wanted = 3;
  for (let round = 0; round < 4; round++) {
    const records = stage();
    assert.is(records.length, 1);
    const slot = buffers.take(records[0].id, SIZE);
    assert.not(buffers.mayLend(slot));
    buffers.giveBack(slot);
  }
});

test("a network that has no memory for a read buffer is refused", () => {
  const error = thrown(() => setUp({ slabCountMax: 0 }), NetworkError);
  assert.equal([error.code, error.operation, error.errno], ["Unsupported", "start", "ENOMEM"]);
});

test("a group without a reserve needs no memory, and provides what there is to share", () => {
  const none = setUp({ slabCountMax: 0, reserveCount: 0 });
  none.buffers.wanted = 3;
  assert.equal(none.stage(), []);
  const some = setUp({ maxPerClass: 8, reserveCount: 0 });
  some.buffers.wanted = 20;
  assert.is(some.stage().length, 6, "a quarter stays for others");
});

test("stage() provides as many buffers as receives want, and no more", () => {
  const { buffers, stage, inUse } = setUp();
  buffers.wanted = 3;
  const records = stage();
  assert.is(records.length, 3);
  assert.is(new Set(records.map(({ id }) => id)).size, 3);
  assert.is(new Set(records.map(({ slab, offset }) => `${slab}/${offset}`)).size, 3);
  assert.ok(records.every(({ length }) => length === SIZE));
  assert.equal([buffers.provided, inUse()], [3, 3]);
  assert.equal(stage(), [], "nothing is missing");
  buffers.wanted = 5;
  assert.is(stage().length, 2);
  buffers.wanted = 1;
  assert.equal(stage(), [], "what is provided stays");
});

test("receives that complete many times have one buffer more than there are receives", () => {
  const { buffers, stage, inUse } = setUp({ group: 1, countMax: 4 });
  assert.equal(stage(), [], "an idle network still provides nothing");
  buffers.wanted = 1;
  const [{ id }] = stage();
  assert.is(buffers.provided, 2, "an old kernel takes a second one to see that nothing is there");
  buffers.giveBack(buffers.take(id, SIZE));
  assert.is(stage().length, 1);
  assert.is(inUse(), 2, "the same two circulate");
  buffers.wanted = 9;
  assert.is(stage().length, 2, "never more than the group holds");
});

test("stage() stops at the size of the kernel's group and of the op region", () => {
  const few = setUp({ countMax: 4 });
  few.buffers.wanted = 10;
  assert.is(few.stage().length, 4);
  assert.equal(few.stage(), []);
  const narrow = setUp({ opCapacity: 3 });
  narrow.buffers.wanted = 5;
  assert.is(narrow.stage().length, 3);
  assert.is(narrow.stage().length, 2, "the rest comes with the next turn");
});

test("buffers are as many as bring what a cache holds, but some at least", () => {
  const { buffers, stage } = setUp({ countMax: 256, reserveCount: 256 });
  buffers.wanted = 1_000;
  const provided: number[] = [];
  /** How many are with the kernel after so many receives of this length. */
  const countAfter = (receiveCount: number, length: number) => {
    provided.push(...stage().map(({ id }) => id));
    for (let i = 0; i < receiveCount; i++) {
      buffers.giveBack(buffers.take(provided.shift() as number, length));
      provided.push(...stage().map(({ id }) => id));
    }
    return buffers.provided;
  };
  assert.is(countAfter(0, 0), 256, "all that the kernel's group takes, until it is known better");
  assert.is(countAfter(1_000, 100), 256);
  assert.is(countAfter(1_000, 16_384), 128);
  assert.is(countAfter(1_000, 65_536), 32);
  assert.is(countAfter(1_000, 1 << 20), LIMITS.providedCountMin);
  assert.is(countAfter(1_000, 100), 256, "and back");
});

test("take() passes the provided reference on, and the id can be used again", () => {
  const { buffers, stage, inUse } = setUp({ countMax: 1 });
  buffers.wanted = 1;
  const [{ id, slab, offset }] = stage();
  const slot = buffers.take(id, SIZE);
  assert.equal([slot.slab, slot.offset, slot.references], [slab, offset, 1]);
  assert.is(buffers.provided, 0);
  assert.is(stage()[0].id, id);
  assert.is(inUse(), 2);
  slot.release();
  assert.is(inUse(), 1);
});

test("a completion that names a buffer which is not provided is caught", () => {
  const { buffers, stage } = setUp();
  buffers.wanted = 1;
  const [{ id }] = stage();
  buffers.take(id, SIZE);
  thrown(() => buffers.take(id, SIZE), Error, "invariant");
  thrown(() => buffers.take(9_999, SIZE), Error, "invariant");
});

test("giveBack() lets a buffer circulate without going through the pool", () => {
  const { pool, buffers, stage } = setUp();
  buffers.wanted = 1;
  const places = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const [{ id, slab, offset }] = stage();
    places.add(`${slab}/${offset}`);
    buffers.giveBack(buffers.take(id, SIZE));
  }
  assert.is(places.size, 1);
  assert.is(pool.stats().classes.at(-1)?.allocations, 1);
});

test("giveBack() of memory with another reference does not circulate", () => {
  const { buffers, stage, inUse } = setUp();
  buffers.wanted = 1;
  const [{ id }] = stage();
  const slot = buffers.take(id, SIZE);
  slot.retain();
  buffers.giveBack(slot);
  assert.is(slot.references, 1);
  const [again] = stage();
  assert.not.ok(again.slab === slot.slab && again.offset === slot.offset);
  assert.is(inUse(), 2);
  slot.release();
});

test("when the pool runs low, a reserve circulates, so that reading never stops", () => {
  // A quarter of 16 stays for others: 12 come from the pool, the others from the reserve of 8.
  const { buffers, stage, inUse } = setUp({ maxPerClass: 16 });
  buffers.wanted = 40;
  const records = stage();
  assert.is(inUse(), 12);
  assert.is(records.length, 12 + LIMITS.reserveBufferCount);
  assert.equal(stage(), [], "the reserve is used up as well");
  const slots = records.map(({ id }) => buffers.take(id, SIZE));
  const lendable = slots.filter((slot) => buffers.mayLend(slot));
  assert.is(lendable.length, 12, "the pool's buffers may be lent, the reserve's never");
  for (const slot of slots) buffers.giveBack(slot);
  assert.is(stage().length, 12 + LIMITS.reserveBufferCount, "all of them circulate");
});

test("a pool that others have emptied leaves the reserve", () => {
  const { pool, buffers, stage } = setUp({ maxPerClass: 4 });
  const held = [1, 2, 3, 4].map(() => pool.tryAlloc(SIZE));
  buffers.wanted = 2;
  const records = stage();
  assert.is(records.length, 2);
  const reserved = records.map(({ id }) => buffers.take(id, SIZE));
  for (const buffer of held) buffer.release();
  assert.ok(reserved.every((slot) => !buffers.mayLend(slot)), "the reserve is never lent");
  for (const slot of reserved) slot.release();
});

test("mayLend() lends the pool's buffers", () => {
  const { buffers, stage } = setUp();
  buffers.wanted = 1;
  const slot = buffers.take(stage()[0].id, SIZE);
  assert.ok(buffers.mayLend(slot));
  slot.release();
});

test("read buffers larger than the pool's largest class come from the reserve", () => {
  const { buffers, stage, inUse } = setUp({ sizeBytes: 4 * SIZE });
  buffers.wanted = 3;
  const records = stage();
  assert.is(records.length, 3);
  assert.ok(records.every(({ length }) => length === 4 * SIZE));
  assert.is(inUse(), 0);
  const slot = buffers.take(records[0].id, SIZE);
  assert.ok(slot.capacity >= 4 * SIZE);
  assert.not.ok(buffers.mayLend(slot));
});

test("release() gives everything back, provided or spare", () => {
  const { buffers, stage, inUse } = setUp();
  buffers.wanted = 5;
  const records = stage();
  buffers.giveBack(buffers.take(records[0].id, SIZE));
  assert.is(inUse(), 5);
  buffers.release();
  assert.equal([buffers.provided, inUse()], [0, 0]);
});

test("no buffer is in two places over a random history", () => {
  const random = new Random();
  const { buffers, stage, inUse } = setUp({ maxPerClass: 20, countMax: 16 });
  const provided = new Map<number, string>();
  const taken = new Map<string, ReturnType<ProvidedBuffers["take"]>>();
  for (let step = 0; step < 3_000; step++) {
    const kind = random.int(0, 3);
    if (kind === 0) {
      buffers.wanted = random.int(0, 20);
      for (const { id, slab, offset } of stage()) {
        const place = `${slab}/${offset}`;
        assert.not.ok(provided.has(id), "an id is provided once");
        assert.not.ok(taken.has(place) || [...provided.values()].includes(place), place);
        provided.set(id, place);
      }
    } else if (kind === 1 && provided.size > 0) {
      const id = random.pick([...provided.keys()]);
      const slot = buffers.take(id, SIZE);
      assert.is(`${slot.slab}/${slot.offset}`, provided.get(id));
      taken.set(provided.get(id) as string, slot);
      provided.delete(id);
    } else if (taken.size > 0) {
      const [place, slot] = random.pick([...taken]);
      taken.delete(place);
      if (random.chance(0.5)) buffers.giveBack(slot);
      else slot.release();
    }
    assert.is(buffers.provided, provided.size);
    assert.ok(provided.size <= 16);
  }
  for (const slot of taken.values()) slot.release();
  buffers.release();
  assert.is(inUse(), 0);
});

test.run();
