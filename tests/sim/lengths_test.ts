/**
 * Lengths at the edges of what 31, 32 and 53 bits hold, for each of the four ways to receive. The
 * fake kernel refuses what the real one does: more than 2^31 - 1 bytes in one operation.
 *
 * @module
 */
import type { NetworkError } from "../../src/base/network_error.ts";
import { LIMITS } from "../../src/base/limits.ts";
import type { IoBuf } from "../../src/buf/io_buf.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import type { FakeRing } from "../support/fake_ring.ts";
import { outcomeOf, type Pair, withPair } from "../support/pair.ts";

const test = suite("sim/lengths");

const TAKEN = [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const REFUSED = [2 ** 32, Number.MAX_SAFE_INTEGER];
const MUCH = 600_000;
const kernel = { sendCapacity: 2 * MUCH, recvCapacity: 2 * MUCH };

/** Takes what is there with calls for at most `lengthMax` bytes until `total` bytes came. */
async function drain(from: Connection, key: number, total: number, lengthMax: number) {
  for (let at = 0; at < total;) {
    const some = await from.stream.recvSome(lengthMax) as IoBuf;
    assert.bytesEqual(some.bytes, contentOf(key, some.length, at));
    at += some.length;
    some.release();
  }
}

function ringOf({ network }: Pair): FakeRing {
  return network.context.recvRing.port as FakeRing;
}

/** A message for each length, awaited before it is sent. */
async function awaited({ client, server, sim }: Pair, length: number, count = 1): Promise<void> {
  for (let i = 0; i < count; i++) {
    const draining = drain(server, i, 100, length);
    await sim.sleep(2);
    await client.sink.send(contentOf(i, 100));
    await draining;
  }
}

test("recvSome() of any length fills", async () => {
  for (const readBufferSize of [0, 256, 65_536]) {
    await withPair({ config: { readBufferSize } }, async (pair) => {
      for (const length of TAKEN) await awaited(pair, length);
    });
  }
});

test("recvSome() of any length uses a multishot receive", async () => {
  for (const length of TAKEN) {
    await withPair({}, async (pair) => {
      await awaited(pair, length, 20);
      assert.ok(ringOf(pair).multishotCount > 0);
    });
  }
});

test("recvSome() of any length takes large buffers", async () => {
  for (const length of TAKEN) {
    await withPair({ kernel }, async (pair) => {
      await pair.client.sink.send(contentOf(1, MUCH));
      await pair.sim.sleep(50);
      await drain(pair.server, 1, MUCH, length);
      assert.ok(ringOf(pair).bulkCount > 0);
    });
  }
});

test("recv() of any length receives into its result, and keeps what came", async () => {
  for (const length of TAKEN) {
    await withPair({ kernel }, async ({ client, server, sim }) => {
      const receiving = outcomeOf(server.stream.recv(length, { timeoutMs: 200 }));
      await client.sink.send(contentOf(1, MUCH));
      await sim.sleep(300);
      const { error } = await receiving as { error: NetworkError };
      assert.equal([error.code, error.bytesDone], ["Timeout", MUCH]);
      assert.is(server.stream.buffered, MUCH);
      await drain(server, 1, MUCH, length);
      await client.sink.close();
      assert.is(await server.stream.recvSome(length), null, "a clean end");
    });
  }
});

test("recv() of any length goes on through read buffers when the pool is empty", async () => {
  const config = { pool: { debug: true, maxPerClass: 1 }, readBufferSize: 4_096 };
  for (const length of TAKEN) {
    await withPair({ kernel, config }, async ({ client, server, sim }) => {
      const receiving = outcomeOf(server.stream.recv(length));
      await client.sink.send(contentOf(1, 200_000));
      await sim.sleep(100);
      await client.sink.close();
      const { error } = await receiving as { error: NetworkError };
      assert.equal([error.code, error.errno, error.endOfStream], ["RecvFailed", null, true]);
      assert.is(error.bytesDone, 200_000);
      await drain(server, 1, 200_000, length);
    });
  }
});

test("peek() and tryRecv() take any length", async () => {
  await withPair({}, async ({ client, server, sim }) => {
    await client.sink.send(contentOf(1, 100));
    await sim.sleep(10);
    (await server.stream.recv(1)).release();
    for (const length of TAKEN) {
      assert.bytesEqual(server.stream.peek(length), contentOf(1, 99, 1));
      assert.is(server.stream.tryRecv(length), null);
    }
    assert.is(server.stream.buffered, 99);
  });
});

test("longer ones are refused at once, with the range, and nothing is lost", async () => {
  await withPair({}, async ({ client, server, network }) => {
    const { stream } = server;
    const range = String(LIMITS.lengthMax);
    for (const length of REFUSED) {
      await assert.rejects(stream.recv(length), RangeError);
      await assert.rejects(stream.recvSome(length), RangeError);
      for (
        const call of [
          () => stream.tryRecv(length),
          () => stream.peek(length),
          () => network.pool.alloc(length),
          () => network.pool.tryAlloc(length),
        ]
      ) {
        assert.throws(
          call,
          (error: unknown) => error instanceof RangeError && error.message.includes(range),
        );
      }
    }
    await client.sink.send("still here");
    assert.is((await stream.recv(10)).text(), "still here");
  });
});

test("tryAlloc() of more than a class has says so", async () => {
  await withPair({}, ({ network }) => {
    for (const length of TAKEN) {
      const call = () => network.pool.tryAlloc(length);
      assert.throws(call, (error: unknown) => (error as NetworkError).code === "PoolOversized");
    }
    return Promise.resolve();
  });
});

test.run();
