/**
 * Connections with much to read: when they take large buffers, and when no more.
 *
 * @module
 */
import { LIMITS } from "../../src/base/limits.ts";
import type { IoBuf } from "../../src/buf/io_buf.ts";
import type { FakeRing } from "../support/fake_ring.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, type Pair, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/bulk");

const SINGLE = 65_536;
const MUCH = 1_000_000;
const kernel = { sendCapacity: 2 * MUCH, recvCapacity: 2 * MUCH };
const { bulkBufferBytes, bulkBufferCount } = LIMITS;

function ringOf({ network }: Pair): FakeRing {
  return network.context.recvRing.port as FakeRing;
}

/** Takes what is there until `length` bytes came; returns how many came at a time. */
async function drain({ server }: Pair, key: number, length: number): Promise<number[]> {
  const lengths: number[] = [];
  for (let at = 0; at < length;) {
    const some = await server.stream.recvSome() as IoBuf;
    assert.bytesEqual(some.bytes, contentOf(key, some.length, at));
    at += some.length;
    lengths.push(some.length);
    some.release();
  }
  return lengths;
}

/** Everything is there before the first byte is read. */
async function arrive({ client, sim }: Pair, key: number, length: number): Promise<void> {
  await client.sink.send(contentOf(key, length));
  await sim.sleep(50);
}

test("a connection with much to read takes large buffers after the first", async () => {
  await withSeeds(5, { kernel }, async (pair) => {
    await arrive(pair, 1, MUCH);
    const lengths = await drain(pair, 1, MUCH);
    const rest = MUCH - SINGLE - 3 * bulkBufferBytes;
    assert.equal(lengths, [SINGLE, bulkBufferBytes, bulkBufferBytes, bulkBufferBytes, rest]);
  });
});

test("messages as large as a read buffer take no large ones", async () => {
  await withPair({ kernel }, async (pair) => {
    for (let i = 0; i < 10; i++) {
      await arrive(pair, i, SINGLE);
      assert.equal(await drain(pair, i, SINGLE), [SINGLE]);
    }
    assert.is(ringOf(pair).bulkCount, 0);
  });
});

test("small messages bring a connection back to read buffers of the usual size", async () => {
  await withPair({ kernel }, async (pair) => {
    await arrive(pair, 1, MUCH);
    await drain(pair, 1, MUCH);
    for (let i = 0; i < 10; i++) {
      await arrive(pair, i, 100);
      await drain(pair, i, 100);
    }
    const before = ringOf(pair).bulkCount;
    for (let i = 0; i < 10; i++) {
      await arrive(pair, i, 100);
      await drain(pair, i, 100);
    }
    assert.is(ringOf(pair).bulkCount, before);
  });
});

test("a connection that waits holds no large buffer, nor does one that is idle", async () => {
  await withPair({ kernel }, async (pair) => {
    const { network, sim, server } = pair;
    await arrive(pair, 1, MUCH);
    await drain(pair, 1, MUCH);
    const { bulk } = network.context.recvRing.reads!;
    assert.is(bulk?.wanted, 0, "nobody waits");
    const waiting = server.stream.recvSome();
    await sim.sleep(50);
    assert.is(bulk?.wanted, 1, "one choice, whoever else waits");
    assert.is(bulk?.provided, 1);
    await arrive(pair, 2, 10);
    const some = await waiting as IoBuf;
    assert.is(some.length, 10);
    some.release();
  });
});

test("a call gets no more than it asks for, and exact ones just that", async () => {
  await withSeeds(5, { kernel }, async (pair) => {
    const { server } = pair;
    await arrive(pair, 1, MUCH);
    let at = 0;
    for (const maxLength of [SINGLE, SINGLE + 1, 100_000, 70_000, 300, SINGLE, 200_000]) {
      const some = await server.stream.recvSome(maxLength) as IoBuf;
      assert.ok(some.length <= maxLength, `${some.length} of ${maxLength} bytes`);
      assert.bytesEqual(some.bytes, contentOf(1, some.length, at));
      at += some.length;
      some.release();
      const exact = await server.stream.recv(1_000);
      assert.bytesEqual(exact.toUint8Array(), contentOf(1, 1_000, at));
      at += 1_000;
    }
    const rest = await server.stream.recv(MUCH - at);
    assert.bytesEqual(rest.toUint8Array(), contentOf(1, MUCH - at, at));
  });
});

test("a program with small read buffers gets large chunks only when it asks for them", async () => {
  const config = { readBufferSize: 4_096 };
  await withPair({ kernel, config }, async (pair) => {
    await arrive(pair, 1, MUCH);
    const lengths = await drain(pair, 1, 100_000);
    assert.ok(lengths.every((length) => length <= 4_096));
    assert.is(ringOf(pair).bulkCount, 0);
    let at = lengths.reduce((sum, length) => sum + length, 0);
    for (let i = 0; i < 5; i++) {
      const few = await pair.server.stream.recvSome(SINGLE) as IoBuf;
      assert.ok(few.length <= 4_096, "one that takes little would pin a large buffer");
      at += few.length;
      few.release();
    }
    assert.is(ringOf(pair).bulkCount, 0);
    const some = await pair.server.stream.recvSome(MUCH) as IoBuf;
    assert.ok(some.length > 4_096, `${some.length} bytes`);
    assert.bytesEqual(some.bytes, contentOf(1, some.length, at));
    some.release();
  });
});

test("when all large buffers are held, reading goes on with those of the usual size", async () => {
  await withPair({ kernel: { sendCapacity: 1 << 25, recvCapacity: 1 << 25 } }, async (pair) => {
    const length = (bulkBufferCount + 20) * bulkBufferBytes;
    await arrive(pair, 1, length);
    const held: IoBuf[] = [];
    let at = 0;
    for (; at < length - 1;) {
      const some = await pair.server.stream.recvSome() as IoBuf;
      held.push(some);
      at += some.length;
    }
    const large = held.filter((some) => some.length > SINGLE).length;
    assert.ok(large > bulkBufferCount / 2, `${large} are large`);
    assert.ok(large <= bulkBufferCount);
    at = 0;
    for (const some of held) {
      assert.bytesEqual(some.bytes, contentOf(1, some.length, at));
      at += some.length;
      some.release();
    }
  });
}, { timeoutMs: 60_000 });

test("a stream gathers bytes, until the network sends", async () => {
  const much = 2 * LIMITS.streamFromBytes;
  const ample = { sendCapacity: 2 * much, recvCapacity: 2 * much };
  await withPair({ kernel: ample }, async (pair) => {
    const { server, client, network } = pair;
    const { stream } = network.context.recvRing.reads!;
    await arrive(pair, 1, much);
    await drain(pair, 1, much);
    assert.is(ringOf(pair).gatherCount, 0, "bytes were always waiting");
    await pair.sim.sleep(50);
    assert.is(stream.flows, false, "the thread has slept");
    for (let i = 0; i < much / bulkBufferBytes; i++) stream.received(bulkBufferBytes);
    assert.is(stream.flows, true);
    const waiting = server.stream.recvSome();
    await client.sink.send(contentOf(2, MUCH));
    const some = await waiting as IoBuf;
    assert.bytesEqual(some.bytes, contentOf(2, some.length));
    assert.is(ringOf(pair).gatherCount, 1);
    const at = some.length;
    some.release();
    const rest = await server.stream.recv(MUCH - at);
    assert.bytesEqual(rest.toUint8Array(), contentOf(2, MUCH - at, at));
    assert.is(stream.flows, false);
    assert.is(ringOf(pair).gatherCount, 1);
  });
});

test("the bytes of a large receive whose call has left stay for the next call", async () => {
  await withSeeds(20, { kernel }, async (pair, seed) => {
    const { client, server, sim } = pair;
    await arrive(pair, 1, MUCH);
    await drain(pair, 1, MUCH);
    const left = outcomeOf(server.stream.recvSome(undefined, { timeoutMs: 10 }));
    await sim.sleep(seed);
    await client.sink.send(contentOf(2, MUCH));
    const outcome = await left;
    const early = "value" in outcome ? outcome.value as IoBuf : null;
    const at = early?.length ?? 0;
    early?.release();
    const rest = await server.stream.recv(MUCH - at);
    assert.bytesEqual(rest.toUint8Array(), contentOf(2, MUCH - at, at));
  });
});

test.run();
