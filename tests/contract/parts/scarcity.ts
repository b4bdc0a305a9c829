/**
 * Too little of everything: tiny pools and tiny rings make traffic slower, never wrong.
 *
 * @module
 */
import type { Connection, NetworkConfig } from "../../../mod.ts";
import { assert, bytesEqual, Random } from "../../harness.ts";
import {
  concat,
  connect,
  type ContractSuite,
  expectAlive,
  expectBytes,
  pattern,
  pause,
  settlesWithin,
  started,
} from "../fixture.ts";

/**
 * Both ends send many messages of many sizes; buffers are kept for a while before their release.
 */
async function traffic(from: Connection, to: Connection, seed: number): Promise<void> {
  const random = new Random(seed);
  const parts = Array.from(
    { length: 40 },
    (_, i) => pattern(random.pick([1, 100, 2_048, 5_000, 65_536, 65_537, 150_000]), seed + i),
  );
  const held: Disposable[] = [];
  const receiving = (async () => {
    for (const [i, part] of parts.entries()) {
      const received = await to.stream.recv(part.length);
      bytesEqual(concat(received.chunks), part, `part ${i}`);
      held.push(received);
      if (held.length > 6) held.shift()?.[Symbol.dispose]();
    }
  })();
  await Promise.all([receiving, ...parts.map((part) => from.sink.send(part))]);
  for (const each of held) each[Symbol.dispose]();
}

export function scarcity(test: ContractSuite, config: NetworkConfig): void {
  const pools: readonly [string, NetworkConfig["pool"]][] = [
    ["1 buffer of each class", { maxPerClass: 1 }],
    ["2 buffers of each class", { maxPerClass: 2 }],
    ["4 buffers of each class", { maxPerClass: 4 }],
    ["a budget for one of each", { budgetBytes: 2 * 65_536 - 128 }],
    ["one class of 64 bytes", { minSize: 64, maxSize: 64, maxPerClass: 1 }],
  ];
  for (const [name, pool] of pools) {
    for (const readBufferSize of [65_536, 1_000, 0]) {
      test(`a pool with ${name}, read buffer ${readBufferSize}: all traffic passes`, async () => {
        await using own = await started({ ...config, pool, readBufferSize } as NetworkConfig);
        await using first = await connect(own.network);
        await using second = await connect(own.network);
        await Promise.all([
          traffic(first.client, first.server, 1),
          traffic(first.server, first.client, 2),
          traffic(second.client, second.server, 3),
          traffic(second.server, second.client, 4),
        ]);
        const { classes } = own.network.pool.stats();
        for (const { allocated, available } of classes) {
          assert.ok(allocated >= 0 && available >= 0 && allocated + available <= 4);
        }
      });
    }
  }

  test("a tiny pool and many idle receives: they wait, and then get theirs", async () => {
    await Promise.all([65_536, 0].map(async (readBufferSize) => {
      await using own = await started({ ...config, pool: { maxPerClass: 1 }, readBufferSize });
      const pairs = await Promise.all(Array.from({ length: 30 }, () => connect(own.network)));
      const receives = pairs.map(({ server }) => server.stream.recv(70_000));
      receives.forEach((receive) => receive.catch(() => {}));
      // Longer than all pauses of a bounded number of retries.
      assert.not(await settlesWithin(Promise.race(receives), 4_500), "nothing fails meanwhile");
      const bytes = pattern(70_000);
      for (const [i, { client }] of pairs.entries()) {
        await client.sink.send(bytes);
        bytesEqual((await receives[i]).toUint8Array(), bytes, `receive ${i}`);
      }
      await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
    }));
  });

  test("a tiny pool and peers that do not read: other connections go on", async () => {
    await using own = await started({ ...config, pool: { maxPerClass: 1 } });
    const stuck = await Promise.all(Array.from({ length: 12 }, () => connect(own.network)));
    const sends = stuck.map(({ client }) => client.sink.send(pattern(24 << 20)).catch(() => {}));
    await pause(50);
    await using pair = await connect(own.network);
    for (let round = 0; round < 5; round++) await expectAlive(pair);
    const bytes = pattern(200_000);
    await Promise.all([pair.client.sink.send(bytes), expectBytes(pair.server, bytes)]);
    await Promise.all(stuck.map((each) => each[Symbol.asyncDispose]()));
    await Promise.all(sends);
  });

  test("a tiny ring: 8 entries, 2 operations in flight for each direction", async () => {
    const ring = { ...config.ring, entries: 8, maxInFlight: 2 };
    await using own = await started({ ...config, ring });
    const pairs = [];
    for (let i = 0; i < 20; i++) pairs.push(await connect(own.network));
    await Promise.all(pairs.map(async ({ client, server }, i) => {
      const bytes = pattern(100_000, i);
      await client.sink.send(bytes);
      await server.sink.send(await server.stream.recv(bytes.length));
      await expectBytes(client, bytes);
    }));
    await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
  });

  test("a tiny ring: calls beyond the budget wait in order", async () => {
    const ring = { ...config.ring, entries: 8, maxInFlight: 2 };
    await using own = await started({ ...config, ring });
    const pairs = [];
    for (let i = 0; i < 5; i++) pairs.push(await connect(own.network));
    const receives = pairs.map(({ server }) => server.stream.recv(1));
    for (const { client } of pairs) await client.sink.send("x");
    for (const receive of receives) assert.is((await receive).text(), "x");
    await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
  });

  test("a burst far beyond the ring's entries", async () => {
    await using own = await started({ ...config, ring: { ...config.ring, entries: 8 } });
    const pairs = [];
    for (let i = 0; i < 100; i++) pairs.push(await connect(own.network));
    for (let round = 0; round < 3; round++) {
      const receives = pairs.map(({ server }) => server.stream.recv(1_000));
      await Promise.all(pairs.map(({ client }) => client.sink.send(pattern(1_000, round))));
      for (const receive of await Promise.all(receives)) {
        bytesEqual(receive.toUint8Array(), pattern(1_000, round));
      }
    }
    await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
  });
}
