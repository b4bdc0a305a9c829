import { SlabTable } from "../../../src/portable/slab_table.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("SlabTable");

test("a slab is found by its number, and is the same memory", () => {
  const table = new SlabTable();
  const slab = table.map(1_000);
  assert.ok(slab !== null);
  const other = table.map(10);
  slab.bytes[5] = 9;
  assert.is(table.find(slab.id)?.[5], 9);
  assert.is(table.find(other?.id as number)?.length, 10);
  assert.is(table.find(12), null);
});

test("memory that another source has numbered is lent, and lent anew under the same number", () => {
  const table = new SlabTable();
  table.lend(3, new Uint8Array([1]).buffer);
  assert.is(table.find(3)?.[0], 1);
  table.lend(3, new Uint8Array([2]).buffer);
  assert.is(table.find(3)?.[0], 2);
});

test("own numbers lie above those of other sources", () => {
  assert.ok((new SlabTable().map(1)?.id ?? 0) >= 1 << 24);
});

test("more memory than there can be is null", () => {
  assert.is(new SlabTable().map(Number.MAX_SAFE_INTEGER), null);
});

test.run();
