import { ERRNO } from "../../../src/base/errno.ts";
import { Meter } from "../../../src/base/meter.ts";
import { openPool } from "../../../src/buf/buffer_pool.ts";
import type { RingPort } from "../../../src/ring/port.ts";
import { Ring } from "../../../src/ring/ring.ts";
import { assert, suite } from "../../harness.ts";
import { ManualHost } from "../../support/manual_host.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";

/** A ring of a kernel that has nothing to say, with three read buffers; closes with `result`. */
function ringThatCloses(result: number) {
  const port = {
    opCapacity: 8,
    bufferCount: 8,
    blockCount: 8,
    header: new Uint32Array(8),
    ops: new Uint32Array(64),
    completions: new Int32Array(64),
    openDoorbell: () => ({ opened: Promise.resolve(), ref() {}, unref() {}, close() {} }),
    turn: () => 0,
    close: () => result,
  };
  const source = new PlainSlabSource();
  const pool = openPool({ minSize: 64, maxSize: 256, maxPerClass: 100 }, source);
  const ring = new Ring({
    port: port as unknown as RingPort,
    host: new ManualHost(),
    meter: new Meter(),
    inFlightMax: 8,
    spin: null,
    reads: { pool, source, sizeBytes: 256 },
    keeper: null,
  });
  assert.ok(ring.reads !== null);
  ring.reads.single.wanted = 3;
  ring.turn(0);
  return { ring, inUse: () => pool.stats().classes.at(-1)?.allocated };
}

const test = suite("Ring");

test("close() gives read buffers back to the pool", () => {
  const { ring, inUse } = ringThatCloses(0);
  assert.is(inUse(), 3);
  ring.close();
  assert.is(inUse(), 0);
});

test("close() keeps the buffers of a ring that did not drain: the kernel may still write", () => {
  const { ring, inUse } = ringThatCloses(-ERRNO.EBUSY);
  ring.close();
  assert.is(inUse(), 3);
});

test.run();
