/**
 * The ring itself on a fake kernel: full queues, the doorbell, and the end of a network.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import { resolveConfig } from "../../src/net/config/config.ts";
import { doorbellsOpened, openNetwork } from "../../src/net/lifecycle/open_network.ts";
import { type OpenRings, tryRings } from "../../src/net/lifecycle/open_rings.ts";
import { assert, rejects, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, type Pair, withPair, withSeeds } from "../support/pair.ts";
import { Sim } from "../support/sim.ts";

const test = suite("sim/ring");

test("queues of 8 entries carry 200 connections", async () => {
  const sizes = { opCapacity: 8, completionCapacity: 8, blockCount: 66, bufferCount: 4 };
  const faults = { splitTurns: 0.5, reordered: 0.5 };
  await withPair({ sizes, faults }, async ({ network, listener }) => {
    const echo = async () => {
      const connection = await listener.accept();
      const got = await connection.stream.recv(1_000);
      await connection.sink.send(got);
      await connection.close();
    };
    const call = async () => {
      const connection = await network.dial(listener.localAddress);
      await connection.sink.send(contentOf(1, 1_000));
      const got = await connection.stream.recv(1_000);
      assert.bytesEqual(got.toUint8Array(), contentOf(1, 1_000));
      await connection.close();
    };
    const calls: Promise<void>[] = [];
    for (let i = 0; i < 200; i++) calls.push(echo(), call());
    await Promise.all(calls);
  });
});

test("maxInFlight makes further calls wait in order", async () => {
  const config = { ring: { maxInFlight: 4 } };
  await withPair({ config }, async ({ network, listener }) => {
    const connections = await Promise.all(
      [1, 2, 3].flatMap(() => [network.dial(listener.localAddress), listener.accept()]),
    );
    for (const { sink } of connections) await sink.send(contentOf(1, 10));
    for (const { stream } of connections) (await stream.recv(10)).release();
    await Promise.all(connections.map((connection) => connection.close()));
  });
});

test("with two rings, a send takes one turn, and no pause that lets the process end", async () => {
  const ROUND_TRIPS = 200;
  const config = { ring: { topology: "split" as const } };
  await withPair({ config }, async ({ client, server, sim, network }) => {
    const [, sendRing] = sim.native.rings;
    const before = { gaps: network.host.gapCount, turns: sendRing.turnCount };
    const answering = (async () => {
      for (let i = 0; i < ROUND_TRIPS; i++) {
        await server.sink.send(await server.stream.recv(64));
      }
    })();
    for (let i = 0; i < ROUND_TRIPS; i++) {
      await client.sink.send(contentOf(1, 64));
      (await client.stream.recv(64)).release();
    }
    await answering;
    assert.is(network.host.gapCount, before.gaps);
    assert.is(sendRing.turnCount - before.turns, 2 * ROUND_TRIPS);
  });
});

test("with two rings, only the doorbell of the receiving one keeps the process alive", async () => {
  const config = { ring: { topology: "split" as const } };
  await withPair({ config }, async ({ client, sim, server }) => {
    const [recvRing, sendRing] = sim.native.rings;
    const receiving = client.stream.recv(1);
    await sim.sleep(50);
    assert.equal([recvRing.doorbellReferenced, sendRing.doorbellReferenced], [true, false]);
    await server.sink.send(contentOf(1, 1));
    (await receiving).release();
    await sim.sleep(50);
    assert.equal([recvRing.doorbellReferenced, sendRing.doorbellReferenced], [false, false]);
  });
});

test("a doorbell that cannot be armed stops no call", async () => {
  const config = { ring: { spin: false as const } };
  await withSeeds(10, { config, faults: { armFails: 0.7 } }, async ({ client, server, sim }) => {
    for (let i = 0; i < 5; i++) {
      const receiving = server.stream.recv(100);
      await sim.sleep(1);
      await client.sink.send(contentOf(i, 100));
      assert.bytesEqual((await receiving).toUint8Array(), contentOf(i, 100));
    }
  });
});

test("spurious wakeups have no effect", async () => {
  const faults = { spuriousDoorbell: 0.5 };
  await withSeeds(10, { faults }, async ({ client, server, sim }) => {
    const receiving = server.stream.recv(100);
    await sim.sleep(1);
    await client.sink.send(contentOf(1, 100));
    assert.bytesEqual((await receiving).toUint8Array(), contentOf(1, 100));
  });
});

test("pending calls keep the process alive, an idle network does not", async () => {
  await withPair({}, async ({ sim, client, server }) => {
    const [ring] = sim.native.rings;
    await sim.sleep(5);
    assert.not(ring.doorbellReferenced, "idle");
    const receiving = server.stream.recv(10);
    await sim.sleep(5);
    assert.ok(ring.doorbellReferenced, "a receive waits");
    server.unref();
    await sim.sleep(5);
    assert.not(ring.doorbellReferenced, "its connection is unreferenced");
    server.ref();
    await client.sink.send(contentOf(1, 10));
    (await receiving).release();
    await sim.sleep(5);
    assert.not(ring.doorbellReferenced, "idle again");
  });
});

test("a ring that the limit of locked memory refuses is made smaller", async () => {
  const sim = new Sim();
  sim.native.refusals.push(-ERRNO.ENOMEM, -ERRNO.ENOMEM);
  await sim.run(async () => {
    const network = await sim.start({ ring: { entries: 256 } });
    assert.equal(sim.native.opened.map(({ entries }) => entries), [256, 128, 64]);
    await network.close();
  });
  sim.checkNothingLeft();
});

test("a send ring that is refused closes the receive ring", async () => {
  const sim = new Sim();
  const open = sim.native.openRing.bind(sim.native);
  let count = 0;
  sim.native.openRing = (options) => ++count === 1 ? open(options) : -ERRNO.EPERM;
  await sim.run(async () => {
    await rejects(() => sim.start({ ring: { topology: "split" } }), { code: "Unsupported" });
  });
  assert.ok(sim.native.rings[0].closed);
});

test("Network.close() in the middle of everything leaves nothing behind", async () => {
  const faults = { late: 0.3, cancelLoses: 0.3, cancelInterrupts: 0.2, again: 0.2 };
  const config = { shutdownTimeoutMs: 20 };
  const kernel = { sendCapacity: 4_096, recvCapacity: 4_096 };
  await withSeeds(40, { faults, config, kernel }, async (pair) => {
    const { network, listener, client, server, sim } = pair;
    const calls = [
      client.sink.send(contentOf(1, 100_000)),
      server.sink.send(contentOf(2, 100_000)),
      client.stream.recv(10),
      client.stream.recv(100_000),
      server.stream.recvSome(),
      listener.accept(),
      network.dial(listener.localAddress),
      network.dial("10.9.9.9:1"),
    ].map((call) => outcomeOf(call as Promise<unknown>));
    await sim.sleep(sim.random.float() * 10);
    const startedMs = sim.host.now();
    await network.close();
    assert.ok(sim.host.now() - startedMs < 200, "close takes no longer than it may");
    for (const end of await Promise.all(calls)) {
      if ("error" in end) assert.is(typeof (end.error as { code: string }).code, "string");
      else (end.value as { release?(): void } | null)?.release?.();
    }
    await assert.rejects(network.dial(listener.localAddress), { code: "Closed" });
  });
});

/** A server that has sent more than its peer has read, and a peer that sends without pause. */
async function answersASender(
  { client, server, sim }: Pair,
  close: () => Promise<void>,
): Promise<{ closing: Promise<void>; received: () => Promise<number> }> {
  await server.sink.send(contentOf(7, 8_000));
  const closing = close();
  void (async () => {
    for (let i = 0; i < 10_000; i++) await client.sink.send(contentOf(8, 1_000));
  })().catch(() => {});
  const received = async () => {
    let count = 0;
    try {
      for (let part; (part = await client.stream.recvSome(500)) !== null; await sim.sleep(3)) {
        const bytes = part.toUint8Array();
        assert.bytesEqual(bytes, contentOf(7, bytes.length, count));
        count += bytes.length;
      }
    } catch (error) {
      if ((error as { errno?: string }).errno !== "ECONNRESET") throw error;
    }
    return count;
  };
  return { closing, received };
}

test("close() waits until a peer that goes on sending has taken all bytes", async () => {
  const options = {
    kernel: { sendCapacity: 8_192, recvCapacity: 1_024 },
    config: { readBufferSize: 512 },
  };
  await withSeeds(10, options, async (pair) => {
    const { closing, received } = await answersASender(pair, () => pair.server.close());
    assert.is(await received(), 8_000);
    await closing;
    assert.is(pair.network.context.lingering.count, 0);
  });
});

test("a peer that reads nothing delays close() for its budget, or until reset()", async () => {
  const kernel = { sendCapacity: 8_192, recvCapacity: 1_024 };
  const config = { readBufferSize: 512, shutdownTimeoutMs: 200 };
  for (const resets of [false, true]) {
    await withPair({ kernel, config }, async (pair) => {
      const { sim, server, network } = pair;
      const startedMs = sim.host.now();
      const { closing } = await answersASender(pair, () => server.close());
      await sim.sleep(50);
      assert.is(network.context.lingering.count, 1);
      assert.ok(network.holds > 0, "it keeps the process alive");
      if (resets) server.reset();
      await closing;
      const tookMs = sim.host.now() - startedMs;
      assert.ok(resets ? tookMs < 60 : tookMs >= 200 && tookMs < 300, `it took ${tookMs} ms`);
      assert.is(network.context.lingering.count, 0);
    });
  }
});

test("a network out of budget does not reset connections that wait for the peer", async () => {
  const kernel = { sendCapacity: 8_192, recvCapacity: 1_024 };
  await withPair({ kernel, config: { readBufferSize: 512 } }, async ({ sim, listener }) => {
    const own = sim.open({ shutdownTimeoutMs: 100 });
    const [server, client] = await Promise.all([
      own.dial(listener.localAddress),
      listener.accept(),
    ]);
    await server.sink.send(contentOf(7, 8_000));
    await own.close();
    // A quiet peer: the kernel goes on without the network.
    const arrived = await client.stream.recv(8_000);
    assert.bytesEqual(arrived.toUint8Array(), contentOf(7, 8_000));
    assert.is(await client.stream.recvSome(), null);
  });
});

test("a closing network waits for all of its messages with one timer", async () => {
  await withPair({}, async ({ network, listener, sim }) => {
    const peers = sim.open();
    const pairs = await Promise.all(
      Array.from(
        { length: 50 },
        () => Promise.all([peers.dial(listener.localAddress), listener.accept()]),
      ),
    );
    const receiving = pairs.map(([, server]) => server.stream.recv(10));
    for (const [client] of pairs) await client.sink.send(contentOf(1, 5));
    await sim.sleep(20);
    const before = sim.host.timers.size;
    const closing = network.close();
    await sim.sleep(12);
    // The end of the budget, the next look, and the clock of deadlines.
    assert.ok(sim.host.timers.size <= before + 3, `${sim.host.timers.size} timers`);
    for (const [client] of pairs) await client.sink.send(contentOf(1, 5, 5));
    for (const call of receiving) {
      assert.bytesEqual((await call).toUint8Array(), contentOf(1, 10));
    }
    await closing;
    await peers.close();
  });
});

test("a ring that does not drain: every call settles, the memory is never reused", async () => {
  for (const topology of ["shared", "split"] as const) {
    for (const stuck of topology === "shared" ? [[0]] : [[0], [1], [0, 1]]) {
      const sim = new Sim({ kernel: { sendCapacity: 4_096, recvCapacity: 4_096 } });
      await sim.run(async () => {
        const network = sim.open({
          ring: { topology },
          shutdownTimeoutMs: 20,
          readBufferSize: 256,
        });
        const listener = await network.bind("127.0.0.1:0");
        const address = listener.localAddress;
        const [client, server] = await Promise.all([network.dial(address), listener.accept()]);
        const calls = [
          client.sink.send(contentOf(1, 100_000)),
          client.sink.send([contentOf(2, 3_000), contentOf(3, 3_000)]),
          client.sink.flush(),
          client.stream.recv(2_000_000),
          listener.accept(),
        ].map((call) => outcomeOf(call as Promise<unknown>));
        await sim.sleep(5);
        for (const at of stuck) sim.native.rings[at].stuck = true;
        const closed = [listener, client, server].map((open) => open.close());
        await network.close();
        for (const end of await Promise.all(calls)) {
          const { code } = (end as { error: { code: string } }).error;
          // The server's end resets what it has not read, where its ring still works.
          assert.ok(["Closed", "SendFailed", "RecvFailed"].includes(code), code);
        }
        await Promise.all(closed);
        assert.is(network.holds, 0);
        assert.is(network.stats().connections, 0);
        const { regionCount } = sim.kernel.memory;
        assert.ok(regionCount > 0, "the kernel has memory");
        assert.is(sim.kernel.violations.length, 0);
        sim.checkNoTimers();
      });
    }
  }
});

test("a call with a budget on a closed network is refused, and leaves no timer", async () => {
  await withPair({}, async ({ network, client, sim }) => {
    await network.close();
    const timeoutMs = 60_000;
    await assert.rejects(client.stream.recv(10, { timeoutMs }), { code: "Closed" });
    await assert.rejects(client.sink.send("late", { timeoutMs }), { code: "Closed" });
    sim.checkNoTimers();
  });
});

test("close() of everything, twice and in any order, resolves", async () => {
  await withSeeds(10, {}, async ({ network, listener, client, server, sim }) => {
    const things = sim.random.shuffle([network, listener, client, server, client.sink, client]);
    await Promise.all(things.map((thing) => thing.close()));
    await Promise.all(things.map((thing) => thing.close()));
  });
});

test("a doorbell that the runtime refuses, at once or later, leaves nothing open", async () => {
  for (const failing of [0, 1]) {
    for (const later of [false, true]) {
      const sim = new Sim();
      const config = resolveConfig({ ring: { topology: "split" } });
      const rings = tryRings(sim.native, config, 64) as OpenRings;
      const refusal = new Error("no descriptor left");
      if (later) sim.native.rings[failing].doorbellRefusal = refusal;
      else {
        sim.native.rings[failing].openDoorbell = () => {
          throw refusal;
        };
      }
      const start = async () =>
        await doorbellsOpened(openNetwork(sim.native, sim.host, config, rings));
      const error = await assert.rejects(start(), { code: "Unsupported", operation: "start" });
      assert.is(error.cause, refusal);
      assert.match(error.message, /doorbell: no descriptor left$/);
      assert.equal(sim.native.rings.map(({ closed }) => closed), [true, true]);
      assert.equal(sim.native.rings.map(({ doorbellClosed }) => doorbellClosed), [true, true]);
      sim.checkNoTimers();
    }
  }
});

test.run();
