/**
 * Many ends at a time, each of which takes a while: they take turns with the event loop, and every
 * connection still ends as it would alone.
 *
 * @module
 */
import { LIMITS } from "../../src/base/limits.ts";
import type { NetworkConfig } from "../../src/net/config/config.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import type { Listener } from "../../src/net/accept/listener.ts";
import { serve } from "../../src/serve/serve.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf } from "../support/pair.ts";
import { Sim, type SimNetwork } from "../support/sim.ts";

const COUNT = 60;
/** The time of one shutdown, longer than a step, so that each end is a step of its own. */
const SHUTDOWN_MS = LIMITS.endStepMs * 1.5;
/** An immediate end, a step of queued ends, and the time of other work. */
const GAP_MS = 3 * SHUTDOWN_MS;

interface Crowd {
  sim: Sim;
  network: SimNetwork;
  peers: SimNetwork;
  listener: Listener;
  accepted: Connection[];
  dialed: Connection[];
}

/** Connects, makes ends slow, plays `body`, and checks that nothing is left. */
async function withCrowd(config: NetworkConfig, body: (crowd: Crowd) => Promise<void>) {
  let shutdownMs = 0;
  const sim = new Sim({ kernel: { shutdownMs: () => shutdownMs } });
  await sim.run(async () => {
    const network = sim.open(config);
    const peers = sim.open();
    const listener = await network.bind("127.0.0.1:0");
    const pairs = await Promise.all(
      Array.from(
        { length: COUNT },
        () => Promise.all([listener.accept(), peers.dial(listener.localAddress)]),
      ),
    );
    const accepted = pairs.map(([connection]) => connection);
    const dialed = pairs.map(([, connection]) => connection);
    shutdownMs = SHUTDOWN_MS;
    await body({ sim, network, peers, listener, accepted, dialed });
    await Promise.all([network.close(), peers.close()]);
    sim.checkNoTimers();
  });
  sim.checkNothingLeft();
}

/** The longest time between two macrotasks while `work` goes on. */
async function longestGap({ host }: Sim, work: () => Promise<unknown>): Promise<number> {
  let gapMs = 0;
  let lastMs = host.now();
  let isOver = false;
  const look = () => {
    gapMs = Math.max(gapMs, host.now() - lastMs);
    lastMs = host.now();
    if (!isOver) host.setMacrotask(look);
  };
  host.setMacrotask(look);
  await work();
  isOver = true;
  look();
  return gapMs;
}

const test = suite("sim/closing");

for (const shutdownTimeoutMs of [0, 5_000]) {
  test(`a network closes many connections in steps, with ${shutdownTimeoutMs} ms`, async () => {
    await withCrowd({ shutdownTimeoutMs }, async ({ sim, network }) => {
      const startMs = sim.host.now();
      const gapMs = await longestGap(sim, () => network.close());
      assert.ok(sim.host.now() - startMs >= COUNT * SHUTDOWN_MS, "every end took its time");
      assert.ok(gapMs <= GAP_MS, `${gapMs} ms without a turn`);
    });
  });
}

test("a program that closes many connections in a loop leaves turns to others", async () => {
  await withCrowd({}, async ({ sim, network, accepted }) => {
    const closing = () => Promise.all(accepted.map((connection) => connection.close()));
    const gapMs = await longestGap(sim, closing);
    assert.ok(gapMs <= GAP_MS, `${gapMs} ms without a turn`);
    assert.is(network.holds, 0);
  });
});

test("an end that waits for its turn keeps the process alive", async () => {
  await withCrowd({}, async ({ network, accepted }) => {
    const closing = accepted.map((connection) => connection.close());
    await closing[0];
    assert.ok(network.holds > COUNT / 2, `${network.holds} ends wait`);
    await Promise.all(closing);
    assert.is(network.holds, 0);
  });
});

for (const what of ["dial", "bind"] as const) {
  test(`a ${what} gets the descriptor of an end that waits for its turn`, async () => {
    await withCrowd({}, async ({ sim, network, peers, listener, accepted }) => {
      const closing = accepted.map((connection) => connection.close());
      await closing[0];
      assert.ok(network.holds > COUNT / 2, `${network.holds} ends wait`);
      // The number that is free belongs to another part of the program.
      const other = peers.bind("127.0.0.1:0");
      sim.kernel.options.descriptorMax = Math.max(...sim.kernel.sockets.keys()) + 1;
      const made = what === "dial"
        ? network.dial(listener.localAddress)
        : network.bind("127.0.0.1:0");
      await Promise.all([(await made).close(), (await other).close(), ...closing]);
      sim.kernel.options.descriptorMax = Infinity;
    });
  });
}

test("a drain takes its backlog with descriptors of ends that wait for their turn", async () => {
  await withCrowd({}, async ({ sim, network, peers, listener, accepted }) => {
    const dials = Array.from({ length: 5 }, () => peers.dial(listener.localAddress));
    const waiting = await Promise.all(dials);
    const closing = accepted.map((connection) => connection.close());
    await closing[0];
    assert.ok(network.holds > COUNT / 2, `${network.holds} ends wait`);
    const other = peers.bind("127.0.0.1:0");
    sim.kernel.options.descriptorMax = Math.max(...sim.kernel.sockets.keys()) + 1;
    const signal = AbortSignal.abort();
    const server = serve(listener, ({ sink }) => sink.send("!"), { signal });
    for (const { stream } of waiting) assert.is((await stream.recv(1)).text(), "!");
    await Promise.all([server.finished, (await other).close(), ...closing]);
  });
});

test("a server at the end of its budget resets many connections in steps", async () => {
  const sim = new Sim({ kernel: { shutdownMs: () => shutdownMs } });
  let shutdownMs = 0;
  await sim.run(async () => {
    const [network, peers] = [sim.open(), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const never = new Promise<void>(() => {});
    const server = serve(listener, () => never, { drainTimeoutMs: 10, onError: () => {} });
    const dialed: Connection[] = [];
    while (dialed.length < COUNT) dialed.push(await peers.dial(listener.localAddress));
    while (server.connections < COUNT) await sim.sleep(1);
    shutdownMs = SHUTDOWN_MS;
    const gapMs = await longestGap(sim, () => server.close());
    assert.ok(gapMs <= GAP_MS, `${gapMs} ms without a turn`);
    for (const { stream } of dialed) {
      await assert.rejects(stream.recv(1), { code: "RecvFailed", errno: "ECONNRESET" });
    }
    await Promise.all([network.close(), peers.close()]);
  });
  sim.checkNothingLeft();
});

test("without a budget all calls get Closed, although the ends come in steps", async () => {
  await withCrowd({}, async ({ sim }) => {
    // Both ends in one network: the reset of one would be an error of the other's call.
    const own = sim.open({ shutdownTimeoutMs: 0 });
    const listener = await own.bind("127.0.0.1:0");
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < COUNT; i++) {
      const pair = await Promise.all([own.dial(listener.localAddress), listener.accept()]);
      for (const { stream } of pair) calls.push(outcomeOf(stream.recv(10)));
    }
    await own.close();
    for (const end of await Promise.all(calls)) {
      assert.is((end as { error: { code: string } }).error.code, "Closed");
    }
  });
});

test("a reset overtakes a graceful end that waits for its turn", async () => {
  await withCrowd({}, async ({ accepted, dialed }) => {
    const closing = accepted.map((connection) => connection.close());
    await closing[0];
    const last = accepted[COUNT - 1];
    last.reset();
    await Promise.all([last.close(), closing[COUNT - 1]]);
    const end = dialed[COUNT - 1].stream.recv(1);
    await assert.rejects(end, { code: "RecvFailed", errno: "ECONNRESET" });
    await Promise.all(closing);
  });
});

test("graceful ends that wait for their turn when the budget ends stay graceful", async () => {
  await withCrowd({ shutdownTimeoutMs: 8 }, async ({ network, accepted, dialed }) => {
    await Promise.all(accepted.map(({ sink }, i) => sink.send(contentOf(i, 100))));
    await network.close();
    for (const [i, { stream }] of dialed.entries()) {
      assert.bytesEqual((await stream.recv(100)).toUint8Array(), contentOf(i, 100));
      assert.is(await stream.recvSome(), null, `connection ${i}`);
    }
  });
});

test("many lingering connections are checked in steps, each of them in the end", async () => {
  const kernel = { sendCapacity: 8_192, recvCapacity: 256, shutdownMs: () => shutdownMs };
  let shutdownMs = 0;
  const sim = new Sim({ kernel });
  await sim.run(async () => {
    const [network, peers] = [sim.open({ shutdownTimeoutMs: null }), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const dialed: Connection[] = [];
    const accepted: Connection[] = [];
    for (let i = 0; i < COUNT; i++) {
      dialed.push(await peers.dial(listener.localAddress));
      accepted.push(await listener.accept());
      await accepted[i].sink.send(contentOf(i, 4_000));
      await dialed[i].sink.send(contentOf(i, 100));
    }
    await sim.sleep(20);
    shutdownMs = SHUTDOWN_MS;
    const closing = network.close();
    await sim.sleep(2 * COUNT * SHUTDOWN_MS);
    assert.is(network.context.lingering.count, COUNT);
    const gapMs = await longestGap(sim, async () => {
      await Promise.all(dialed.map(async ({ stream }, i) => {
        assert.bytesEqual((await stream.recv(4_000)).toUint8Array(), contentOf(i, 4_000));
        assert.is(await stream.recvSome(), null);
      }));
      await closing;
    });
    assert.ok(gapMs <= GAP_MS, `${gapMs} ms without a turn`);
    await peers.close();
  });
  sim.checkNothingLeft();
});

test("the budget of a close begins with the close, however long the network was idle", async () => {
  const sim = new Sim({ kernel: { sendCapacity: 8_192, recvCapacity: 256 } });
  await sim.run(async () => {
    const [network, peers] = [sim.open({ shutdownTimeoutMs: 1_000 }), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const { stream, sink } = await peers.dial(listener.localAddress);
    await peers.dial(listener.localAddress);
    const [accepted, other] = [await listener.accept(), await listener.accept()];
    await accepted.sink.send(contentOf(0, 4_000));
    await sim.sleep(3_000);
    void other.sink.send("the clock of the ring goes on with the next turn");
    const closing = accepted.close();
    await sim.sleep(20);
    assert.is(network.context.lingering.count, 1, "the peer gets what it has yet to read");
    await sink.send("bytes that a closed socket answers with RST");
    assert.bytesEqual((await stream.recv(4_000)).toUint8Array(), contentOf(0, 4_000));
    assert.is(await stream.recvSome(), null);
    await closing;
    await Promise.all([network.close(), peers.close()]);
  });
  sim.checkNothingLeft();
});

test.run();
