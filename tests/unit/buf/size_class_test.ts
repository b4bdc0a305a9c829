import { DEBUG_FILL, SizeClass } from "../../../src/buf/size_class.ts";
import type { Slot } from "../../../src/buf/slot.ts";
import { assert, Random, suite } from "../../harness.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";
import { thrown } from "../../support/thrown.ts";

const make = (sizeBytes: number, countMax: number, debug = false) => {
  const source = new PlainSlabSource();
  return { source, sizeClass: new SizeClass(sizeBytes, countMax, debug, source, null) };
};

/** Takes everything. */
function drain(sizeClass: SizeClass): Slot[] {
  const slots: Slot[] = [];
  for (let slot = sizeClass.take(); slot !== null; slot = sizeClass.take()) slots.push(slot);
  return slots;
}

const test = suite("SizeClass");

test("SizeClass maps nothing before the first take()", () => {
  const { source, sizeClass } = make(128, 4);
  assert.is(source.slabs.length, 0);
  assert.is(sizeClass.created, 0);
  assert.is(sizeClass.available, 4);
  sizeClass.take();
  assert.is(source.slabs.length, 1);
  assert.is(sizeClass.created, 1);
});

test("SizeClass.take() gives a slot with one reference of exactly the class's size", () => {
  const { source, sizeClass } = make(256, 4);
  const slot = sizeClass.take() as Slot;
  assert.is(slot.references, 1);
  assert.is(slot.capacity, 256);
  assert.is(slot.bytes.length, 256);
  assert.ok(slot.pooled);
  assert.is(slot.bytes.buffer, source.slabs[slot.slab].bytes.buffer);
  assert.is(slot.bytes.byteOffset - source.slabs[slot.slab].bytes.byteOffset, slot.offset);
});

test("SizeClass.take() reuses the slot that came back last", () => {
  const { sizeClass } = make(128, 4);
  const [first, second] = [sizeClass.take() as Slot, sizeClass.take() as Slot];
  first.release();
  second.release();
  assert.is(sizeClass.take(), second);
  assert.is(sizeClass.take(), first);
  assert.is(sizeClass.created, 2, "nothing new is cut while something is free");
});

test("slots never overlap and lie within their slabs, over several slabs", () => {
  // 1 MiB slabs hold 8 of these: 20 of them need three slabs.
  const { source, sizeClass } = make(1 << 17, 20);
  const slots = drain(sizeClass);
  assert.is(slots.length, 20);
  assert.is(source.slabs.length, 3);
  const places = new Set<string>();
  for (const slot of slots) {
    assert.is(slot.offset % (1 << 17), 0);
    assert.ok(slot.offset + slot.capacity <= source.slabs[slot.slab].bytes.length);
    places.add(`${slot.slab}/${slot.offset}`);
  }
  assert.is(places.size, 20);
});

test("slabs are no larger than the slots that are missing", () => {
  const { source, sizeClass } = make(128, 4);
  drain(sizeClass);
  assert.equal(source.slabs.map((slab) => slab.bytes.length), [4 * 128]);
});

test("a class larger than a slab's usual step gets slabs of one slot", () => {
  const { source, sizeClass } = make(1 << 21, 2);
  drain(sizeClass);
  assert.equal(source.slabs.map((slab) => slab.bytes.length), [1 << 21, 1 << 21]);
});

test("SizeClass.take() is null and counted when all are in use, and works again after put", () => {
  const { sizeClass } = make(128, 3);
  const slots = drain(sizeClass);
  assert.is(slots.length, 3);
  assert.is(sizeClass.exhausted, 1);
  assert.is(sizeClass.available, 0);
  assert.is(sizeClass.take(), null);
  assert.is(sizeClass.exhausted, 2);
  slots[1].release();
  assert.is(sizeClass.available, 1);
  assert.is(sizeClass.take(), slots[1]);
  assert.is(sizeClass.allocations, 4, "failed takes are no allocations");
});

test("SizeClass.prefill() creates every slot and hands out none", () => {
  const { sizeClass } = make(1 << 17, 20);
  sizeClass.prefill();
  assert.is(sizeClass.created, 20);
  assert.is(sizeClass.allocated, 0);
  assert.is(sizeClass.available, 20);
  assert.is(sizeClass.allocations, 0);
  assert.is(drain(sizeClass).length, 20);
});

test("SizeClass without memory to map gives null, and goes on when there is some", () => {
  const { source, sizeClass } = make(1 << 20, 3);
  const first = sizeClass.take() as Slot;
  source.slabCountMax = 1;
  assert.is(sizeClass.take(), null);
  assert.is(sizeClass.take(), null);
  assert.equal([sizeClass.allocated, sizeClass.available, sizeClass.exhausted], [1, 2, 2]);
  first.release();
  assert.is(sizeClass.take(), first);
  source.slabCountMax = 3;
  assert.is(drain(sizeClass).length, 2);
});

test("SizeClass.prefill() says when there is no memory for all", () => {
  const { source, sizeClass } = make(1 << 20, 3);
  source.slabCountMax = 2;
  assert.not(sizeClass.prefill());
  assert.equal([sizeClass.created, sizeClass.allocated], [2, 0]);
  source.slabCountMax = 3;
  assert.ok(sizeClass.prefill());
  assert.is(drain(sizeClass).length, 3);
});

test("debug mode fills released memory, so that a stale view is seen", () => {
  const { sizeClass } = make(128, 1, true);
  const slot = sizeClass.take() as Slot;
  const stale = slot.bytes.subarray(10, 20);
  stale.fill(7);
  slot.release();
  assert.ok(stale.every((byte) => byte === DEBUG_FILL));
});

test("without debug mode released memory is left as it is", () => {
  const { sizeClass } = make(128, 1);
  const slot = sizeClass.take() as Slot;
  slot.bytes.fill(7);
  slot.release();
  assert.ok(slot.bytes.every((byte) => byte === 7));
});

test("slots of a slab that was given away are not handed out again, but replaced", () => {
  const { source, sizeClass } = make(256, 8, true);
  const held = drain(sizeClass);
  for (const slot of held.splice(1)) slot.release();
  const memory = source.slabs[0].bytes.buffer as ArrayBuffer;
  structuredClone(memory, { transfer: [memory] });
  assert.is(held[0].bytes.length, 0);
  held[0].release();
  const replaced = drain(sizeClass);
  assert.is(replaced.length, 8);
  assert.ok(replaced.every(({ bytes }) => bytes.length === 256));
  assert.is(sizeClass.created, 8);
});

test("a slot goes back with its last reference and not before", () => {
  const { sizeClass } = make(128, 1);
  const slot = sizeClass.take() as Slot;
  slot.retain();
  slot.release();
  assert.is(sizeClass.available, 0);
  slot.release();
  assert.is(sizeClass.available, 1);
});

test("Slot.release() and retain() of a free slot are bugs that are caught", () => {
  const { sizeClass } = make(128, 1);
  const slot = sizeClass.take() as Slot;
  slot.release();
  thrown(() => slot.release(), Error, "invariant");
  thrown(() => slot.retain(), Error, "invariant");
  assert.is(sizeClass.available, 1);
});

test("no two holders ever share a slot over thousands of random takes and releases", () => {
  const random = new Random();
  const { sizeClass } = make(64, 50);
  const held = new Set<Slot>();
  for (let step = 0; step < 5_000; step++) {
    if (random.chance(0.52)) {
      const slot = sizeClass.take();
      assert.is(slot === null, held.size === 50);
      if (slot !== null) {
        assert.not.ok(held.has(slot));
        held.add(slot);
      }
    } else if (held.size > 0) {
      const slot = random.pick([...held]);
      held.delete(slot);
      slot.release();
    }
    assert.is(sizeClass.allocated, held.size);
    assert.is(sizeClass.available, 50 - held.size);
  }
});

test.run();
