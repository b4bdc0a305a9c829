/**
 * Networks: their numbers, several at once, a shared pool, and every option.
 *
 * @module
 */
import { BufferPool, BufferPoolConfig, type NetworkConfig, probe } from "../../../mod.ts";
import { kernelAtLeast } from "../../../src/net/config/capabilities.ts";
import { assert } from "../../harness.ts";
import {
  allocated,
  connect,
  type ContractSuite,
  expectAlive,
  expectBytes,
  expectText,
  pattern,
  started,
} from "../fixture.ts";

/** DataCloneError of Bun, TypeError of Deno. */
function isRefusal(error: unknown): boolean {
  return error instanceof TypeError ||
    (error instanceof DOMException && error.name === "DataCloneError");
}

export function networks(test: ContractSuite, config: NetworkConfig): void {
  test("stats are plain numbers that add up", async () => {
    await using own = await started(config);
    const { network } = own;
    for (const value of Object.values(network.stats())) assert.type(value, "number");
    {
      await using pair = await connect(network);
      await pair.client.sink.send(pattern(100));
      await pair.server.sink.send(await pair.server.stream.recv(100));
      await expectBytes(pair.client, pattern(100));
      const stats = network.stats();
      assert.is(stats.connections, 2);
      assert.is(stats.inboundConnections, 1);
      assert.is(stats.outboundConnections, 1);
      assert.is(stats.inboundBytes, 200);
      assert.is(stats.outboundBytes, 200);
      assert.ok(stats.ringEnters > 0 && stats.ringSubmissions >= 6 && stats.ringCompletions >= 6);
      assert.is(stats.ringOverflows, 0);
      const recv = pair.client.stream.recv(1);
      assert.ok(network.stats().receivesPending >= 1);
      await pair.server.sink.send("x");
      (await recv).release();
    }
    const stats = network.stats();
    assert.is(stats.connections, 0);
    assert.is(stats.sendsPending, 0);
    assert.is(stats.receivesPending, 0);
  });

  test("a network names its backend", ({ network }) => {
    assert.is(network.backend, config.backend ?? "io_uring");
    const capabilities = probe();
    const kernel = capabilities.kernel ?? "";
    assert.match(kernel, /^\d+\.\d+/);
    // The portable backend runs on older kernels as well, which tests/kernel looks at.
    if (!kernelAtLeast(kernel, 6, 1)) return assert.is(capabilities.supported, false);
    assert.is(capabilities.supported, true);
    assert.is(capabilities.reason, null);
    const { deferTaskrun, singleIssuer, providedBufferRings, multishotReceive, ...others } =
      capabilities.features;
    assert.ok(deferTaskrun && singleIssuer, "what every network uses");
    assert.ok(providedBufferRings && multishotReceive, "what receiving uses");
    for (const has of Object.values(others)) assert.type(has, "boolean");
  });

  test("several networks in one thread, all talking to each other", async ({ network }) => {
    await using second = await started(config);
    await using third = await started({ ...config, readBufferSize: 0 });
    const all = [network, second.network, third.network];
    for (const listening of all) {
      for (const dialing of all) {
        await using pair = await connect(listening, "127.0.0.1:0", dialing);
        await expectAlive(pair);
      }
    }
    await second.network.close();
    await using pair = await connect(third.network, "127.0.0.1:0", network);
    await expectAlive(pair);
  });

  test("buffers of a network of the other backend are sent", async ({ network }) => {
    if (!probe().supported) return;
    const backend = network.backend === "portable" ? "io_uring" : "portable";
    await using own = await started({ ...config, backend });
    await using other = await connect(own.network);
    await using pair = await connect(network);
    const bytes = pattern(200_000);
    const sending = other.client.sink.send(bytes);
    const received = await other.server.stream.recv(bytes.length);
    await sending;
    // As parts of several buffers, of two together, and as a part of one.
    const [first, rest] = [received.split(70_000), received];
    const made = own.network.pool.alloc(3);
    made.bytes.set([1, 2, 3]);
    await Promise.all([
      pair.client.sink.send(first),
      pair.client.sink.send(made),
      pair.client.sink.send(rest),
      expectBytes(pair.server, bytes.subarray(0, 70_000)),
      expectBytes(pair.server, Uint8Array.of(1, 2, 3)),
      expectBytes(pair.server, bytes.subarray(70_000)),
    ]);
    // Bulk: received as fast as it comes, into the largest buffers.
    const bulk = pattern(2_000_000);
    const through = (async () => {
      for (let left = bulk.length; left > 0;) {
        const chunk = await other.server.stream.recvSome();
        left -= chunk?.length ?? left;
        if (chunk !== null) await pair.client.sink.send(chunk);
      }
    })();
    await Promise.all([other.client.sink.send(bulk), through, expectBytes(pair.server, bulk)]);
    // The buffers went back to the network from which they came.
    assert.is(allocated(own.network), 0);
  });

  test("a network's own pool is a BufferPool", ({ network }) => {
    assert.instance(network.pool, BufferPool);
  });

  test("memory of the pool cannot be transferred through a view of it", ({ network }) => {
    using buffer = network.pool.alloc(100);
    assert.ok(buffer.pooled);
    const transfer = [buffer.bytes.buffer as ArrayBuffer];
    assert.throws(() => structuredClone(buffer.bytes, { transfer }), isRefusal);
    assert.is(buffer.bytes.length, 100);
  });

  test("one pool serves two networks, and outlives both", async () => {
    const pool = new BufferPool({ maxPerClass: 8 });
    {
      await using first = await started({ ...config, pool });
      await using second = await started({ ...config, pool });
      assert.is(first.network.pool, pool);
      assert.is(second.network.pool, pool);
      await using pair = await connect(first.network, "127.0.0.1:0", second.network);
      const bytes = pattern(500_000);
      const [received] = await Promise.all([
        pair.server.stream.recv(bytes.length),
        pair.client.sink.send(bytes),
      ]);
      await Promise.all([
        expectBytes(pair.client, bytes),
        pair.server.sink.send(received),
      ]);
      await pair[Symbol.asyncDispose]();
      // The second network closes first; each check counts the whole pool.
      await second.network.close();
      await first.network.close();
    }
    const { classes, leaked } = pool.stats();
    assert.ok(classes.every(({ allocated }) => allocated === 0));
    assert.is(leaked, 0);
    using buffer = pool.alloc(100);
    assert.ok(buffer.pooled);
  });

  const options: readonly [string, NetworkConfig][] = [
    ["nothing set", {}],
    ["tcpNoDelay off", { tcpNoDelay: false }],
    ["tcpNoDelay null", { tcpNoDelay: null }],
    ["soLinger null", { soLinger: null }],
    ["soLinger in seconds", { soLinger: 7 }],
    ["keepAlive, all", { keepAlive: { idleSeconds: 30, intervalSeconds: 5, count: 3 } }],
    ["keepAlive, some", { keepAlive: { idleSeconds: 30 } }],
    ["keepAlive, none", { keepAlive: {} }],
    ["no budgets", { connectTimeoutMs: null, readTimeoutMs: null, writeTimeoutMs: null }],
    ["all budgets", { connectTimeoutMs: 5_000, readTimeoutMs: 5_000, writeTimeoutMs: 5_000 }],
    ["shutdownTimeoutMs null", { shutdownTimeoutMs: null }],
    ["no spinning", { ring: { spin: false } }],
    ["much spinning", { ring: { spin: { budgetUs: 200, maxBudgetUs: 1_000, quickWakeUs: 500 } } }],
    ["entries that are no power of two", { ring: { entries: 100 } }],
    ["a large read buffer", {
      readBufferSize: 1 << 20,
      pool: { maxSize: 1 << 20, maxPerClass: 16 },
    }],
    ["a read buffer larger than the pool's largest", { readBufferSize: 200_000 }],
    ["a read buffer of one byte", { readBufferSize: 1 }],
    ["a write buffer", { writeBufferSize: 65_536 }],
    ["a pool's configuration", { pool: BufferPoolConfig.forNetwork().withMaxPerClass(64) }],
    ["a pool's fields", { pool: { minSize: 256, maxSize: 4_096, maxPerClass: 8, prefill: true } }],
    ["a pool that marks what is released", { pool: { debug: true } }],
    ["auto backend", { backend: "auto" }],
  ];
  for (const [name, fields] of options) {
    test(`works with: ${name}`, async () => {
      const ring = { ...config.ring, ...fields.ring };
      await using own = await started({ ...config, ...fields, ring });
      await using pair = await connect(own.network);
      await expectAlive(pair);
      const bytes = pattern(300_000);
      const [, received] = await Promise.all([
        pair.client.sink.send(bytes),
        pair.server.stream.recv(bytes.length),
      ]);
      const echo = pair.server.sink.send(received);
      await expectBytes(pair.client, bytes);
      await echo;
      await Promise.all([pair.client.close(), pair.server.close()]);
    });
  }

  test("setNoDelay and setKeepAlive in all their forms", async ({ network }) => {
    await using pair = await connect(network);
    pair.client.setNoDelay();
    pair.client.setNoDelay(false);
    pair.client.setNoDelay(true);
    pair.client.setKeepAlive(true);
    pair.client.setKeepAlive(false);
    pair.client.setKeepAlive({});
    pair.client.setKeepAlive({ idleSeconds: 1, intervalSeconds: 1, count: 1 });
    pair.client.setKeepAlive({ idleSeconds: 32_767, intervalSeconds: 32_767, count: 127 });
    await expectAlive(pair);
    await pair.server.sink.send("x");
    await expectText(pair.client, "x");
  });
}
