import { type BufferPool, openPool } from "../../../src/buf/buffer_pool.ts";
import { IoBuf } from "../../../src/buf/io_buf.ts";
import { appendChunk, IoBufs, moveChunksOut } from "../../../src/buf/io_bufs.ts";
import { assert, Random, suite } from "../../harness.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";
import { thrown } from "../../support/thrown.ts";

const makePool = (maxPerClass = 16) =>
  openPool({ minSize: 64, maxSize: 256, maxPerClass, debug: true }, new PlainSlabSource());

const inUse = (pool: BufferPool) =>
  pool.stats().classes.reduce((total, entry) => total + entry.allocated, 0);

/** A frozen buffer of the pool with these bytes. */
function pooled(pool: BufferPool, bytes: Uint8Array | string): IoBuf {
  const source = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  const buffer = pool.alloc(source.length);
  buffer.bytes.set(source);
  return buffer.freeze();
}

/** Several buffers of the pool, one for each text. */
const joined = (pool: BufferPool, ...texts: string[]) =>
  new IoBufs(...texts.map((text) => pooled(pool, text)));

/** The bytes, without releasing. */
const read = (bufs: IoBufs) => bufs.slice().toUint8Array();
const readText = (bufs: IoBufs) => bufs.slice().text();

const test = suite("IoBufs");

test("an empty IoBufs has no bytes and no chunks", () => {
  const bufs = new IoBufs();
  assert.is(bufs.length, 0);
  assert.is(bufs.chunkCount, 0);
  assert.equal(bufs.chunks, []);
  assert.is(bufs.slice().text(), "");
  assert.is(bufs.toUint8Array().length, 0);
  assert.ok(bufs.released);
});

test("append() and prepend() take every kind of part, in order", () => {
  const pool = makePool();
  const mutable = pool.alloc(2);
  mutable.bytes.set([0x63, 0x64]);
  const bufs = new IoBufs(pooled(pool, "ab"))
    .append(mutable)
    .append("ef")
    .append(Uint8Array.of(0x67, 0x68))
    .append(joined(pool, "ij", "kl"))
    .prepend("89")
    .prepend(joined(pool, "45", "67"));
  assert.is(readText(bufs), "456789abcdefghijkl");
  assert.is(bufs.length, 18);
  assert.is(bufs.chunkCount, 9);
  bufs.release();
  assert.is(inUse(pool), 0);
});

test("empty parts become no chunk and hold no memory", () => {
  const pool = makePool();
  const buffer = pool.alloc(1);
  buffer.setLength(0);
  const bufs = new IoBufs("", new Uint8Array(0), buffer, pool.alloc(0), new IoBufs())
    .prepend("");
  assert.is(bufs.chunkCount, 0);
  assert.is(inUse(pool), 0);
  bufs.release();
});

test("a part that is refused releases the buffers that were moved in before it", () => {
  const pool = makePool();
  const buffer = pool.alloc(5);
  const gone = new Uint8Array(4);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  for (const refused of [5, null, gone, buffer]) {
    const [single, many] = [pooled(pool, "a"), joined(pool, "b", "c")];
    buffer.release();
    thrown(() => new IoBufs(single, many, refused as never), TypeError, "");
    assert.ok(single.released && many.released);
    assert.is(inUse(pool), 0);
  }
  const twice = pooled(pool, "a");
  thrown(() => new IoBufs(twice, twice), TypeError, "moved");
  assert.is(inUse(pool), 0);
});

test("a buffer given to append() is moved: its handle is over, its memory is not", () => {
  const pool = makePool();
  const [single, many] = [pooled(pool, "a"), joined(pool, "b", "c")];
  const bufs = new IoBufs(single, many);
  assert.ok(single.released);
  assert.ok(many.released);
  thrown(() => single.bytes, TypeError, "moved");
  thrown(() => many.length, TypeError, "released or moved");
  single.release();
  many.release();
  assert.is(inUse(pool), 3);
  assert.is(bufs.text(), "abc");
  assert.is(inUse(pool), 0);
});

test("a buffer given to append() says so, also a writable one, which is not frozen", () => {
  const pool = makePool();
  const [mutable, fixed] = [pool.alloc(4), pool.alloc(4).freeze()];
  const bufs = new IoBufs(mutable).prepend(fixed);
  for (const buffer of [mutable, fixed]) {
    assert.is(
      thrown(() => buffer.length, TypeError).message,
      "Cannot use a buffer that was moved (given to send or to an IoBufs)",
    );
  }
  bufs.release();
});

test("an array given to append() is copied", () => {
  const source = Uint8Array.of(1, 2);
  const bufs = new IoBufs(source);
  source[0] = 9;
  assert.bytesEqual(bufs.toUint8Array(), Uint8Array.of(1, 2));
});

test("append() refuses itself, wrong types and released buffers, and stays as it was", () => {
  const pool = makePool();
  const bufs = joined(pool, "ab");
  const gone = pooled(pool, "x");
  gone.release();
  thrown(() => bufs.append(bufs), TypeError, "themselves");
  thrown(() => bufs.prepend(bufs), TypeError, "themselves");
  thrown(() => bufs.append(gone), TypeError, "released");
  for (const wrong of [1, null, undefined, {}, ["a"], new ArrayBuffer(1)]) {
    thrown(() => bufs.append(wrong as never), TypeError, 'Cannot use "part"');
  }
  assert.is(bufs.text(), "ab");
});

test("advance() releases the chunks that it leaves behind, and only those", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc", "def", "ghi");
  bufs.advance(2);
  assert.equal([readText(bufs), bufs.chunkCount, inUse(pool)], ["cdefghi", 3, 3]);
  bufs.advance(1);
  assert.equal([readText(bufs), bufs.chunkCount, inUse(pool)], ["defghi", 2, 2]);
  bufs.advance(5);
  assert.equal([readText(bufs), bufs.chunkCount, inUse(pool)], ["i", 1, 1]);
  bufs.advance(0);
  bufs.advance(1);
  assert.equal([bufs.length, bufs.chunkCount, inUse(pool)], [0, 0, 0]);
  bufs.release();
});

test("advance(), slice() and split() refuse indexes outside", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc", "def");
  for (const count of [7, -1, 0.5, NaN]) {
    thrown(() => bufs.advance(count), RangeError, '"count"');
    thrown(() => bufs.slice(count), RangeError, '"start"');
    thrown(() => bufs.slice(0, count), RangeError, '"end"');
    thrown(() => bufs.split(count), RangeError, '"at"');
  }
  thrown(() => bufs.slice(4, 3), RangeError, '"end"');
  thrown(() => bufs.split("1" as never), TypeError, '"at"');
  assert.is(bufs.text(), "abcdef");
  assert.is(inUse(pool), 0);
});

test("slice() shares memory, which returns to the pool with the last handle", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc", "def", "ghi");
  const slice = bufs.slice(2, 5);
  assert.equal([slice.length, slice.chunkCount], [3, 2]);
  assert.is(inUse(pool), 3, "no copy");
  bufs.release();
  assert.is(inUse(pool), 2, "a chunk outside the slice is not pinned");
  assert.is(slice.text(), "cde");
  assert.is(inUse(pool), 0);
});

test("slice() at chunk boundaries takes no empty chunks", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc", "def", "ghi");
  const [middle, nothing, all] = [bufs.slice(3, 6), bufs.slice(3, 3), bufs.slice()];
  assert.equal([middle.chunkCount, nothing.chunkCount, all.chunkCount], [1, 0, 3]);
  assert.is(middle.text(), "def");
  for (const rest of [bufs, nothing, all]) rest.release();
  assert.is(inUse(pool), 0);
});

test("split() cuts off the front and keeps the rest", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc", "def");
  const front = bufs.split(4);
  assert.equal([readText(front), readText(bufs)], ["abcd", "ef"]);
  const none = bufs.split(0);
  const rest = bufs.split(2);
  assert.equal([none.length, rest.text(), bufs.length], [0, "ef", 0]);
  none.release();
  bufs.release();
  assert.is(inUse(pool), 2, "the front still holds its parts");
  assert.is(front.text(), "abcd");
  assert.is(inUse(pool), 0);
});

test("coalesce() passes an only chunk on without a copy", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc");
  const [view] = bufs.chunks;
  const single = bufs.coalesce();
  assert.ok(bufs.released);
  assert.ok(single.pooled);
  assert.is(single.bytes.byteOffset, view.byteOffset);
  single.release();
  assert.is(inUse(pool), 0);
});

test("coalesce() of several chunks copies and gives their memory back", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc", "def");
  const single = bufs.coalesce();
  assert.ok(bufs.released);
  assert.is(inUse(pool), 0);
  assert.is(single.text(), "abcdef");
  assert.is(new IoBufs().coalesce().length, 0);
});

test("toUint8Array() copies across chunks to memory of its own, then releases", () => {
  const pool = makePool();
  for (const texts of [["abc"], ["abc", "def", "g"]]) {
    const bufs = joined(pool, ...texts);
    const views = bufs.chunks;
    const copy = bufs.toUint8Array();
    assert.is(inUse(pool), 0);
    for (const view of views) view.fill(0);
    assert.is(new TextDecoder().decode(copy), texts.join(""));
    assert.is(copy.buffer.byteLength, copy.length);
  }
});

test("text() decodes characters that are split across chunks, at every place", () => {
  const pool = makePool();
  // The byte order mark at the beginning is a character like any other.
  const text = "\ufeffa\u00e9\u20ac\u{1f600}z\ufeff\u{1f468}\u200d\u{1f469}";
  const bytes = new TextEncoder().encode(text);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second += 3) {
      const bufs = new IoBufs(
        pooled(pool, bytes.subarray(0, first)),
        pooled(pool, bytes.subarray(first, second)),
        pooled(pool, bytes.subarray(second)),
      );
      assert.is(bufs.text(), text);
    }
  }
  const single = new IoBufs();
  for (const byte of bytes) single.append(Uint8Array.of(byte));
  assert.is(single.text(), text);
  assert.is(inUse(pool), 0);
});

test("text() replaces a character that the end cuts off", () => {
  assert.is(new IoBufs(Uint8Array.of(0x61), Uint8Array.of(0xe2, 0x82)).text(), "a\ufffd");
});

test("chunks are live views in order", () => {
  const pool = makePool();
  const bufs = joined(pool, "abc", "def");
  bufs.chunks[1][0] = 0x58;
  assert.is(bufs.text(), "abcXef");
});

test("every use after release or move throws TypeError, and release() is idempotent", () => {
  const pool = makePool();
  const uses: ((bufs: IoBufs) => unknown)[] = [
    (bufs) => bufs.length,
    (bufs) => bufs.chunkCount,
    (bufs) => bufs.chunks,
    (bufs) => bufs.append("x"),
    (bufs) => bufs.prepend("x"),
    (bufs) => bufs.advance(0),
    (bufs) => bufs.slice(),
    (bufs) => bufs.slice(0, 0),
    (bufs) => bufs.split(0),
    (bufs) => bufs.coalesce(),
    (bufs) => bufs.toUint8Array(),
    (bufs) => bufs.text(),
    (bufs) => moveChunksOut(bufs),
    (bufs) => new IoBufs(bufs),
  ];
  const ends: ((bufs: IoBufs) => unknown)[] = [
    (bufs) => bufs.release(),
    (bufs) => bufs[Symbol.dispose](),
    (bufs) => bufs.toUint8Array(),
    (bufs) => bufs.text(),
    (bufs) => bufs.coalesce().release(),
    (bufs) => moveChunksOut(bufs).forEach((chunk) => chunk.release()),
    (bufs) => new IoBufs(bufs).release(),
  ];
  for (const end of ends) {
    const bufs = joined(pool, "abc", "def");
    end(bufs);
    assert.ok(bufs.released);
    for (const use of uses) thrown(() => use(bufs), TypeError, "released or moved");
    bufs.release();
    bufs.release();
    assert.is(inUse(pool), 0);
  }
});

test("`using` releases all chunks", () => {
  const pool = makePool();
  {
    using bufs = joined(pool, "abc", "def");
    assert.is(bufs.length, 6);
  }
  assert.is(inUse(pool), 0);
});

test("appendChunk() joins neighbours of one slot into one chunk", () => {
  const pool = makePool();
  const whole = pooled(pool, "abcdefgh");
  const bufs = new IoBufs();
  for (const [from, to] of [[0, 2], [2, 5], [6, 8]]) appendChunk(bufs, whole.slice(from, to));
  whole.release();
  assert.equal([bufs.length, bufs.chunkCount], [7, 2]);
  assert.is(bufs.text(), "abcdegh");
  assert.is(inUse(pool), 0);
});

/** The pair that the model test compares: buffers, and the bytes that they should have. */
interface Pair {
  bufs: IoBufs;
  bytes: number[];
}

function randomPart(
  random: Random,
  pool: BufferPool,
): { part: IoBuf | Uint8Array; bytes: number[] } {
  const bytes = random.bytes(random.int(0, 40));
  const part = random.chance(0.7) ? pooled(pool, bytes) : bytes;
  return { part, bytes: [...bytes] };
}

/** One random operation on a pair; may make another pair, may end this one. */
function step(random: Random, pool: BufferPool, pairs: Pair[]): void {
  const index = random.int(0, pairs.length - 1);
  const pair = pairs[index];
  const at = random.int(0, pair.bytes.length);
  const end = () => void pairs.splice(index, 1);
  switch (random.int(0, 10)) {
    case 0: {
      const { part, bytes } = randomPart(random, pool);
      pair.bufs.prepend(part);
      pair.bytes.unshift(...bytes);
      break;
    }
    case 1:
      pair.bufs.advance(at);
      pair.bytes.splice(0, at);
      break;
    case 2: {
      const to = random.int(at, pair.bytes.length);
      pairs.push({ bufs: pair.bufs.slice(at, to), bytes: pair.bytes.slice(at, to) });
      break;
    }
    case 3:
      pairs.push({ bufs: pair.bufs.split(at), bytes: pair.bytes.splice(0, at) });
      break;
    case 4: {
      const other = random.pick(pairs);
      if (other === pair) break;
      pair.bufs.append(other.bufs);
      pair.bytes.push(...other.bytes);
      pairs.splice(pairs.indexOf(other), 1);
      break;
    }
    case 5:
      pairs[index] = { bufs: new IoBufs(pair.bufs.coalesce()), bytes: pair.bytes };
      break;
    case 6:
      if (random.chance(0.5)) break;
      assert.bytesEqual(pair.bufs.toUint8Array(), Uint8Array.from(pair.bytes));
      end();
      break;
    case 7:
      if (random.chance(0.5)) break;
      pair.bufs.release();
      end();
      break;
    default: {
      const { part, bytes } = randomPart(random, pool);
      pair.bufs.append(part);
      pair.bytes.push(...bytes);
    }
  }
}

test("IoBufs behave as one byte array over thousands of random operations", () => {
  // Debug mode fills released memory: a chunk that was given back too early would differ.
  const random = new Random();
  const pool = makePool(64);
  const pairs: Pair[] = [];
  for (let round = 0; round < 4_000; round++) {
    if (pairs.length === 0) pairs.push({ bufs: new IoBufs(), bytes: [] });
    step(random, pool, pairs);
    if (pairs.length > 12) pairs.shift()?.bufs.release();
    for (const { bufs, bytes } of pairs) {
      assert.is(bufs.length, bytes.length);
      assert.is(bufs.chunks.reduce((total, chunk) => total + chunk.length, 0), bytes.length);
      assert.ok(bufs.chunks.every((chunk) => chunk.length > 0), "no empty chunks");
    }
    if (round % 20 === 0) {
      for (const { bufs, bytes } of pairs) assert.bytesEqual(read(bufs), Uint8Array.from(bytes));
    }
  }
  for (const { bufs, bytes } of pairs) {
    assert.bytesEqual(bufs.toUint8Array(), Uint8Array.from(bytes));
  }
  for (const entry of pool.stats().classes) assert.is(entry.available, 64, "all came back");
});

test.run();
