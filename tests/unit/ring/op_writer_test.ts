import { OP_CODE, OpWriter, POLL_EVENT } from "../../../src/ring/op_writer.ts";
import { OP_FLAG_OF_ACCEPT, OP_FLAG_POLL_FIRST } from "../../../src/ring/port.ts";
import { assert, suite } from "../../harness.ts";

const SLOT = 7;
const GENERATION = 0xffff_fffe;

/** The words of the one record that `write` makes. */
function record(write: (writer: OpWriter) => void): number[] {
  const ops = new Uint32Array(16).fill(0xdead);
  const writer = new OpWriter(ops, 2);
  writer.address(SLOT, GENERATION);
  write(writer);
  assert.is(writer.count, 1);
  assert.ok(ops.subarray(8).every((word) => word === 0xdead), "one record is eight words");
  return [...ops.subarray(0, 8)];
}

const test = suite("OpWriter");

test("each record has its words where the shim reads them", () => {
  const { recv, recvSelect, send, sendmsg, accept, connect } = OP_CODE;
  assert.equal(
    record((writer) => writer.recv(5, 3, 4_096, 100, OP_FLAG_POLL_FIRST)),
    [recv, SLOT, GENERATION, 5, 3, 4_096, 100, OP_FLAG_POLL_FIRST],
  );
  assert.equal(
    record((writer) => writer.recvSelect(5, 2, 65_536, OP_FLAG_POLL_FIRST)),
    [recvSelect, SLOT, GENERATION, 5, 2, 0, 65_536, OP_FLAG_POLL_FIRST],
  );
  assert.equal(
    record((writer) => writer.send(5, 3, 64, 10)),
    [send, SLOT, GENERATION, 5, 3, 64, 10, 0],
  );
  assert.equal(
    record((writer) => writer.sendmsg(5, 9, 32)),
    [sendmsg, SLOT, GENERATION, 5, 9, 0, 32, 0],
  );
  assert.equal(
    record((writer) => writer.accept(5, 9)),
    [accept, SLOT, GENERATION, 5, 9, 0, 0, 0],
  );
  assert.equal(
    record((writer) => writer.connect(5, 9, 28)),
    [connect, SLOT, GENERATION, 5, 9, 0, 28, 0],
  );
  assert.equal(
    record((writer) => writer.recvMultishot(5, OP_FLAG_POLL_FIRST)),
    [OP_CODE.recvMultishot, SLOT, GENERATION, 5, 0, 0, 0, OP_FLAG_POLL_FIRST],
  );
  assert.equal(
    record((writer) => writer.poll(5, POLL_EVENT.peerFinished)),
    [OP_CODE.poll, SLOT, GENERATION, 5, 0, 0, 0x2000, 0],
  );
});

test("a cancel record names its target in offset and length", () => {
  assert.equal(
    record((writer) => writer.cancel(12, 34, OP_FLAG_OF_ACCEPT)),
    [OP_CODE.cancel, 0, 0, 0, 0, 12, 34, OP_FLAG_OF_ACCEPT],
  );
});

test("a provide record: the buffer's id stands for the slot, its group for the fd", () => {
  assert.equal(
    record((writer) => writer.provide(1, 6, 2, 65_536, 4_096)),
    [OP_CODE.provide, 6, 0, 1, 2, 65_536, 4_096, 0],
  );
});

test("records follow each other until the region is full, and clear() starts over", () => {
  const ops = new Uint32Array(3 * 8);
  const writer = new OpWriter(ops, 3);
  for (let slot = 0; slot < 3; slot++) {
    assert.not.ok(writer.full);
    writer.address(slot, slot + 10);
    writer.send(slot, 0, 0, 1);
  }
  assert.ok(writer.full);
  assert.is(writer.count, 3);
  assert.equal([ops[1], ops[8 + 1], ops[16 + 1]], [0, 1, 2]);
  assert.equal([ops[2], ops[8 + 2], ops[16 + 2]], [10, 11, 12]);
  writer.clear();
  assert.is(writer.count, 0);
  assert.not.ok(writer.full);
  writer.address(8, 1);
  writer.send(0, 0, 0, 1);
  assert.is(ops[1], 8);
});

test("large offsets and lengths keep all 32 bits", () => {
  const words = record((writer) => writer.send(5, 0xffff_fff0, 0xffff_0000, 0xffff_ffff));
  assert.equal(words.slice(4, 7), [0xffff_fff0, 0xffff_0000, 0xffff_ffff]);
});

test("rewind() drops the records behind a count", () => {
  const ops = new Uint32Array(16);
  const writer = new OpWriter(ops, 2);
  writer.send(5, 0, 0, 1);
  writer.send(6, 0, 0, 1);
  assert.ok(writer.full);
  writer.rewind(1);
  assert.equal([writer.count, writer.full], [1, false]);
  writer.send(7, 0, 0, 1);
  assert.equal([ops[3], ops[11]], [5, 7]);
});

test.run();
