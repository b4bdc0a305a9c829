import { BlockList } from "../../../src/ring/block_list.ts";
import type { RingPort } from "../../../src/ring/port.ts";
import { assert, Random, suite } from "../../harness.ts";

/** Blocks in the middle of a larger buffer, as in the shim's region. */
function makeList(blockCount = 4) {
  const blockBytes = 512;
  const buffer = new ArrayBuffer(1_024 + blockCount * blockBytes);
  const blocks = new Uint8Array(buffer, 1_024);
  const blockWords = new Uint32Array(buffer, 1_024);
  const port = { blockCount, blockBytes, blocks, blockWords } as RingPort;
  return { list: new BlockList(port), blocks, buffer };
}

const test = suite("BlockList");

test("BlockList.take() gives each block once, then -1", () => {
  const { list } = makeList(4);
  const taken = [list.take(), list.take(), list.take(), list.take()];
  assert.equal([...taken].sort(), [0, 1, 2, 3]);
  assert.is(list.used, 4);
  assert.is(list.take(), -1);
  assert.is(list.used, 4);
  list.put(taken[2]);
  assert.is(list.used, 3);
  assert.is(list.take(), taken[2]);
});

test("BlockList.bytes() are the block's own 512 bytes", () => {
  const { list, blocks } = makeList(3);
  for (let block = 0; block < 3; block++) list.bytes(block).fill(block + 1);
  for (let at = 0; at < blocks.length; at++) assert.is(blocks[at], Math.floor(at / 512) + 1);
});

test("BlockList.writeTriple() writes slab, offset and length in this order", () => {
  const { list, buffer } = makeList(3);
  list.writeTriple(1, 0, 1, 2, 3);
  list.writeTriple(1, 31, 0xffff_fffe, 0xffff_fffd, 0xffff_fffc);
  const words = new Uint32Array(buffer, 1_024 + 512, 128);
  assert.equal([...words.subarray(0, 4)], [1, 2, 3, 0]);
  assert.equal([...words.subarray(93, 97)], [0xffff_fffe, 0xffff_fffd, 0xffff_fffc, 0]);
  assert.ok(
    new Uint32Array(buffer, 0, 384).every((word) => word === 0),
    "the others are untouched",
  );
});

test("BlockList.word() reads what stands in a block of its own", () => {
  const { list, buffer } = makeList(3);
  new Uint32Array(buffer, 1_024 + 2 * 512, 128).forEach((_, i, words) => words[i] = ~i);
  assert.equal([list.word(2, 0), list.word(2, 127)], [0xffff_ffff, 0xffff_ff80]);
  assert.is(list.word(1, 127), 0);
});

test("no block has two holders over a random history", () => {
  const random = new Random();
  const { list } = makeList(10);
  const held = new Set<number>();
  for (let step = 0; step < 2_000; step++) {
    if (random.chance(0.55)) {
      const block = list.take();
      assert.is(block === -1, held.size === 10);
      assert.not.ok(held.has(block));
      if (block >= 0) held.add(block);
    } else if (held.size > 0) {
      const block = random.pick([...held]);
      held.delete(block);
      list.put(block);
    }
    assert.is(list.used, held.size);
  }
});

test.run();
