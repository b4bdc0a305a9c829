import { NetworkError } from "../../../src/base/network_error.ts";
import {
  type AllocOptions,
  type BufferPool,
  openPool,
  sizeClassFor,
} from "../../../src/buf/buffer_pool.ts";
import { BufferPoolConfig, type BufferPoolFields } from "../../../src/buf/buffer_pool_config.ts";
import type { IoBufMut } from "../../../src/buf/io_buf_mut.ts";
import { assert, Random, suite } from "../../harness.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";
import { thrown } from "../../support/thrown.ts";

const SMALL: BufferPoolFields = { minSize: 128, maxSize: 1_024, maxPerClass: 2 };

const makePool = (fields: BufferPoolFields = SMALL) => openPool(fields, new PlainSlabSource());

/** Allocated counts, class by class. */
const allocated = (pool: BufferPool) => pool.stats().classes.map((entry) => entry.allocated);

const test = suite("BufferPool");

test("BufferPool.tryAlloc() rounds up to the next power of two at every edge", () => {
  const cases: [number, number][] = [
    [1, 128],
    [127, 128],
    [128, 128],
    [129, 256],
    [255, 256],
    [256, 256],
    [257, 512],
    [512, 512],
    [513, 1_024],
    [1_023, 1_024],
    [1_024, 1_024],
  ];
  for (const [length, capacity] of cases) {
    const pool = makePool();
    const buffer = pool.tryAlloc(length);
    assert.is(buffer.length, length);
    assert.is(buffer.capacity, capacity, `capacity for ${length}`);
    assert.is(buffer.bytes.length, length);
    const used = pool.stats().classes.filter((entry) => entry.allocated === 1);
    assert.equal(used.map((entry) => entry.sizeBytes), [capacity]);
    buffer.release();
  }
});

test("random lengths always get the smallest class that holds them", () => {
  const random = new Random();
  const pool = makePool({ minSize: 64, maxSize: 1 << 16, maxPerClass: 1 });
  for (let i = 0; i < 500; i++) {
    const length = random.int(1, 1 << random.int(1, 16));
    using buffer = pool.tryAlloc(length);
    assert.ok(buffer.capacity >= length);
    assert.ok(buffer.capacity === 64 || buffer.capacity < 2 * length);
  }
  assert.ok(allocated(pool).every((count) => count === 0));
});

test("BufferPool without memory to map gives plain memory, or says why not", () => {
  const source = new PlainSlabSource();
  const pool = openPool(SMALL, source);
  source.slabCountMax = 0;
  const plain = pool.alloc(100);
  assert.not(plain.pooled);
  const error = thrown(() => pool.tryAlloc(100), NetworkError);
  assert.equal([error.code, error.operation], ["PoolExhausted", "alloc"]);
  assert.is(
    error.message,
    "Cannot allocate 100 bytes from the pool: the system has no memory to map",
  );
  plain.release();
  source.slabCountMax = 1;
  pool.tryAlloc(100).release();
});

test("BufferPool with prefill is not made without the memory for it", () => {
  const source = new PlainSlabSource();
  source.slabCountMax = 2;
  const error = thrown(() => openPool({ ...SMALL, prefill: true }, source), NetworkError);
  assert.equal([error.code, error.operation], ["PoolExhausted", "alloc"]);
  assert.is(
    error.message,
    "Cannot prefill the pool with 2 buffers of 512 bytes: the system has no memory to map",
  );
});

test("BufferPool.tryAlloc() never cascades into a larger class", () => {
  const pool = makePool();
  const held = [pool.tryAlloc(100), pool.tryAlloc(100)];
  const error = thrown(() => pool.tryAlloc(100), NetworkError);
  assert.is(error.code, "PoolExhausted");
  assert.is(error.operation, "alloc");
  assert.is(
    error.message,
    "Cannot allocate 100 bytes from the pool: all 2 buffers of its class are in use",
  );
  assert.equal(allocated(pool), [2, 0, 0, 0]);
  held[0].release();
  pool.tryAlloc(128).release();
  held[1].release();
});

test("BufferPool.tryAlloc() distinguishes oversized requests from exhausted ones", () => {
  const pool = makePool();
  const error = thrown(() => pool.tryAlloc(1_025), NetworkError);
  assert.is(error.code, "PoolOversized");
  assert.match(error.message, "larger than the largest class of 1024 bytes");
  thrown(() => pool.tryAlloc(0xffff_ffff), NetworkError);
  assert.is(pool.stats().oversized, 2);
  assert.ok(pool.stats().classes.every((entry) => entry.exhausted === 0));
});

test("BufferPool.alloc() falls back to plain, untracked memory when a class is empty", () => {
  const source = new PlainSlabSource();
  const pool = openPool(SMALL, source);
  const held = [pool.alloc(100), pool.alloc(100)];
  const before = source.slabs.length;
  const plain = pool.alloc(100);
  assert.not.ok(plain.pooled);
  assert.ok(held[0].pooled);
  assert.is(plain.length, 100);
  assert.ok(plain.capacity >= 100);
  assert.is(source.slabs.length, before);
  const [first] = pool.stats().classes;
  assert.equal(
    first,
    { sizeBytes: 128, allocated: 2, available: 0, allocations: 2, exhausted: 1 },
  );
  plain.release();
  assert.is(pool.stats().classes[0].allocated, 2, "plain memory does not go into the pool");
  for (const buffer of held) buffer.release();
  assert.is(pool.stats().classes[0].available, 2);
});

test("BufferPool.alloc() gives plain memory for oversized requests and counts them", () => {
  const pool = makePool();
  const buffer = pool.alloc(5_000);
  buffer.bytes.fill(1);
  assert.not.ok(buffer.pooled);
  assert.is(buffer.length, 5_000);
  assert.is(pool.stats().oversized, 1);
  buffer.release();
});

test("an allocation of zero bytes takes nothing from the pool", () => {
  const pool = makePool();
  for (const buffer of [pool.alloc(0), pool.tryAlloc(0)]) {
    assert.is(buffer.length, 0);
    assert.is(buffer.bytes.length, 0);
    assert.not.ok(buffer.pooled);
    buffer.release();
  }
  assert.ok(pool.stats().classes.every((entry) => entry.allocations === 0));
});

test("BufferPool.alloc() and tryAlloc() refuse lengths that are none", () => {
  const pool = makePool();
  for (const length of [-1, 1.5, NaN, Infinity, 2 ** 32]) {
    thrown(() => pool.alloc(length), RangeError, '"length"');
    thrown(() => pool.tryAlloc(length), RangeError, `given ${length}`);
  }
  for (const length of ["1", null, undefined, 1n]) {
    thrown(() => pool.alloc(length as never), TypeError, '"length"');
    thrown(() => pool.tryAlloc(length as never), TypeError, '"length"');
  }
  assert.ok(pool.stats().classes.every((entry) => entry.allocations + entry.exhausted === 0));
});

test("exhaustion ends when a buffer comes back, and the same memory is used again", () => {
  const pool = makePool();
  const held = [pool.tryAlloc(1), pool.tryAlloc(1)];
  held[1].bytes[0] = 0xaa;
  thrown(() => pool.tryAlloc(1), NetworkError);
  held[1].release();
  const again = pool.tryAlloc(1);
  assert.is(again.bytes[0], 0xaa, "contents are undefined: here they are the former ones");
  again.release();
  held[0].release();
  assert.equal(pool.stats().classes[0].exhausted, 1);
});

test("a prefilled pool maps all it will ever map at once", () => {
  const source = new PlainSlabSource();
  const pool = openPool({ ...SMALL, prefill: true }, source);
  const mapped = source.slabs.reduce((total, slab) => total + slab.bytes.length, 0);
  assert.is(mapped, pool.config.maxBytes);
  assert.equal(allocated(pool), [0, 0, 0, 0]);
  const count = source.slabs.length;
  for (const size of [128, 128, 256, 256, 512, 512, 1_024, 1_024]) pool.tryAlloc(size);
  assert.is(source.slabs.length, count);
});

test("the mapped memory never exceeds the budget, whatever is asked for", () => {
  const random = new Random();
  const source = new PlainSlabSource();
  const budgetBytes = 100_000;
  const pool = openPool({ minSize: 64, maxSize: 4_096, budgetBytes }, source);
  const held: IoBufMut[] = [];
  for (let i = 0; i < 2_000; i++) {
    held.push(pool.alloc(random.int(0, 5_000)));
    if (random.chance(0.4)) held.splice(random.int(0, held.length - 1), 1)[0].release();
  }
  const mapped = source.slabs.reduce((total, slab) => total + slab.bytes.length, 0);
  assert.ok(mapped <= budgetBytes, `${mapped} bytes are mapped`);
  for (const buffer of held) buffer.release();
  for (const entry of pool.stats().classes) {
    assert.is(entry.allocated, 0);
    assert.is(entry.available, pool.config.maxPerClass);
  }
});

test("debug mode shows a stale view of released memory", () => {
  const pool = makePool({ ...SMALL, debug: true });
  const buffer = pool.alloc(64);
  const stale = buffer.bytes;
  stale.fill(1);
  buffer.release();
  assert.ok(stale.every((byte) => byte === 0xdb));
});

test("debug mode shows a stale view of plain memory too, once its last handle is released", () => {
  const pool = makePool({ ...SMALL, debug: true });
  const held = [pool.alloc(64), pool.alloc(64)];
  for (const buffer of [pool.alloc(64), pool.alloc(5_000)]) {
    assert.not.ok(buffer.pooled);
    const stale = buffer.bytes;
    stale.fill(1);
    const fixed = buffer.freeze();
    const clone = fixed.clone();
    fixed.release();
    assert.ok(stale.every((byte) => byte === 1), "still held");
    clone.release();
    assert.ok(stale.every((byte) => byte === 0xdb));
  }
  for (const buffer of held) buffer.release();
});

test("without debug mode released memory keeps its bytes", () => {
  const pool = makePool();
  const held = [pool.alloc(64), pool.alloc(64), pool.alloc(64), pool.alloc(5_000)];
  const stale = held.map((buffer) => buffer.bytes.fill(1));
  for (const buffer of held) buffer.release();
  for (const bytes of stale) assert.ok(bytes.every((byte) => byte === 1));
});

test("BufferPool.classFor() is the class that serves a length, null beyond the largest", () => {
  const pool = makePool();
  assert.equal(
    [1, 128, 129, 1_024, 1_025].map((length) => sizeClassFor(pool, length)?.sizeBytes ?? null),
    [128, 128, 256, 1_024, null],
  );
  const buffer = pool.alloc(1);
  assert.equal([1, 129].map((length) => sizeClassFor(pool, length)?.available), [1, 2]);
  buffer.release();
});

test("stats() is a copy: later allocations do not change it", () => {
  const pool = makePool();
  const before = pool.stats();
  const buffer = pool.alloc(1);
  assert.is(before.classes[0].allocated, 0);
  assert.is(pool.stats().classes[0].allocated, 1);
  buffer.release();
});

/** A pool whose only buffer of 128 bytes holds the bytes of another peer. */
function usedPool(): BufferPool {
  const pool = makePool({ ...SMALL, maxPerClass: 1 });
  const used = pool.alloc(128);
  used.bytes.fill(7);
  used.release();
  return pool;
}

test("alloc() and tryAlloc() with clear hand out zeros up to the capacity", () => {
  for (const method of ["alloc", "tryAlloc"] as const) {
    const buffer = usedPool()[method](10, { clear: true });
    buffer.setLength(buffer.capacity);
    assert.equal([...buffer.bytes], new Array(128).fill(0), method);
    buffer.release();
  }
});

test("alloc() without clear shows the former contents, as documented", () => {
  for (const options of [undefined, {}, { clear: false }, { clear: undefined }]) {
    const buffer = usedPool().alloc(10, options as AllocOptions | undefined);
    assert.equal([...buffer.bytes], new Array(10).fill(7));
    buffer.release();
  }
});

test("alloc() refuses wrong options and takes no buffer", () => {
  const pool = usedPool();
  for (const method of ["alloc", "tryAlloc"] as const) {
    for (const length of [0, 10]) {
      const call = (options: unknown) => pool[method](length, options as { clear: boolean });
      thrown(() => call({ clear: 1 }), TypeError, 'Cannot use "options.clear"');
      thrown(() => call({ clear: null }), TypeError, 'Cannot use "options.clear"');
      thrown(() => call({ clean: true }), TypeError, 'Cannot use "options.clean"');
      thrown(() => call(true), TypeError, 'Cannot use "options"');
    }
  }
  assert.equal(allocated(pool), [0, 0, 0, 0]);
});

test("alloc() of more than the runtime has throws RangeError naming the bytes", () => {
  const pool = makePool();
  const Original: Uint8ArrayConstructor = globalThis.Uint8Array;
  // Whether a real runtime has 4 GB depends on the machine.
  const construct = (_: unknown, [length]: [number]) => {
    if (length > 1e9) throw new RangeError("Array buffer allocation failed");
    return new Original(length);
  };
  globalThis.Uint8Array = new Proxy<Uint8ArrayConstructor>(Original, { construct });
  try {
    thrown(() => pool.alloc(4e9), RangeError, "Cannot allocate 4000000000 bytes");
  } finally {
    globalThis.Uint8Array = Original;
  }
});

test("a pool reads each field of a configuration once", () => {
  class Fickle extends BufferPoolConfig {
    override get sizeClasses(): number[] {
      return [64];
    }
  }
  const pool = openPool(new Fickle(SMALL), new PlainSlabSource());
  assert.equal(pool.stats().classes.map(({ sizeBytes }) => sizeBytes), [128, 256, 512, 1_024]);
  assert.is(pool.config.maxSize, 1_024);
  const forged = Object.create(BufferPoolConfig.prototype);
  const other = openPool(forged, new PlainSlabSource());
  assert.equal({ ...other.config }, { ...BufferPoolConfig.forNetwork() }, "the defaults");
});

test("a configuration cannot be changed", () => {
  const config = new BufferPoolConfig(SMALL);
  assert.throws(() => Object.assign(config, { maxSize: 1 << 28 }), (error: unknown) => {
    return error instanceof TypeError;
  });
  const budgeted = config.withBudgetBytes(1 << 20);
  assert.is(openPool(budgeted, new PlainSlabSource()).config, budgeted, "taken as it is");
  assert.is(new BufferPoolConfig(config as BufferPoolFields).maxPerClass, 2);
});

test.run();
