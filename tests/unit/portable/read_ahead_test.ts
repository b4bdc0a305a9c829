import { LIMITS } from "../../../src/base/limits.ts";
import { ReadAhead } from "../../../src/portable/read_ahead.ts";
import { assert, bytesEqual, Random, suite } from "../../harness.ts";

const test = suite("ReadAhead");

const bytes = (length: number, from = 0) => Uint8Array.from({ length }, (_, i) => (from + i) & 255);

test("bytes come out in order, however they are cut", () => {
  const random = new Random();
  const ahead = new ReadAhead();
  const out = new Uint8Array(100_000);
  let pushed = 0;
  let taken = 0;
  while (taken < out.length) {
    const length = Math.min(random.int(1, 3_000), out.length - pushed);
    if (length > 0) ahead.push(bytes(length, pushed));
    pushed += length;
    const wanted = random.int(0, 4_000);
    const count = ahead.take(out, taken, Math.min(wanted, out.length - taken));
    assert.is(count, Math.min(wanted, pushed - taken, out.length - taken));
    taken += count;
    assert.is(ahead.length, pushed - taken);
  }
  bytesEqual(out, bytes(out.length));
});

test("it is full at its limit, and low at a half of it", () => {
  const ahead = new ReadAhead();
  assert.equal([ahead.full, ahead.low], [false, true]);
  ahead.push(new Uint8Array(LIMITS.readAheadBytes));
  assert.equal([ahead.full, ahead.low], [true, false]);
  ahead.take(new Uint8Array(LIMITS.readAheadBytes), 0, LIMITS.readAheadBytes / 2 + 256);
  assert.equal([ahead.full, ahead.low], [false, true]);
});

test("single bytes fill it sooner than their number: they cost objects", () => {
  const ahead = new ReadAhead();
  let count = 0;
  while (!ahead.full) {
    ahead.push(new Uint8Array(1));
    count++;
  }
  assert.ok(count <= LIMITS.readAheadBytes / 256, `${count} chunks`);
  ahead.take(new Uint8Array(count), 0, count);
  assert.equal([ahead.length, ahead.low, ahead.full], [0, true, false]);
});

test("a chunk that stays pins no more memory than about its bytes", () => {
  const ahead = new ReadAhead();
  const large = new Uint8Array(65_536);
  large[100] = 7;
  ahead.push(large.subarray(100, 101));
  ahead.keepLast(false);
  large[100] = 8;
  const out = new Uint8Array(1);
  ahead.take(out, 0, 1);
  assert.is(out[0], 7, "a copy was kept");
});

test("clear forgets everything", () => {
  const ahead = new ReadAhead();
  ahead.push(bytes(10));
  ahead.push(bytes(10));
  ahead.clear();
  assert.equal([ahead.length, ahead.take(new Uint8Array(5), 0, 5), ahead.low], [0, 0, true]);
});

test.run();
