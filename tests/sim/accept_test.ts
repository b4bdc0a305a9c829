/**
 * Accepting and connecting on a fake kernel: races of cancels, and descriptors that run out.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import { LIMITS } from "../../src/base/limits.ts";
import { COUNT } from "../../src/base/meter.ts";
import type { Listener } from "../../src/net/accept/listener.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import { assert, suite } from "../harness.ts";
import { outcomeOf, type Pair, withPair, withSeeds } from "../support/pair.ts";
import { Sim } from "../support/sim.ts";

const test = suite("sim/accept");

test("a cancelled accept that completes closes its descriptor", async () => {
  let lost = 0;
  const faults = { cancelLoses: 0.7, late: 0.5, deferred: 0.5 };
  await withSeeds(40, { faults }, async ({ network, listener, sim }) => {
    const accepting = outcomeOf(listener.accept());
    const dialing = outcomeOf(network.dial(listener.localAddress));
    await sim.sleep(sim.random.float() * 0.1);
    const before = sim.kernel.all.length;
    await listener.close();
    const accepted = await accepting;
    const dialed = await dialing;
    if ("value" in accepted) await accepted.value.close();
    else if ("value" in dialed && before > 0) lost++;
    if ("value" in dialed) await dialed.value.close();
    // That no descriptor is left is checked when the network is closed.
  });
  assert.ok(lost > 0, "no accept was cancelled with a connection there");
});

test("an accept that timed out loses no connection", async () => {
  await withSeeds(30, { faults: { late: 0.5 } }, async ({ network, listener, sim }) => {
    const first = outcomeOf(listener.accept({ timeoutMs: sim.random.int(0, 6) }));
    await sim.sleep(sim.random.float() * 8);
    const client = await network.dial(listener.localAddress);
    const end = await first;
    const server = "value" in end ? end.value : await listener.accept();
    assert.equal(server.remoteAddress, client.localAddress);
    await Promise.all([server.close(), client.close()]);
  });
});

/** Dials `count` times, each when the one before it waits in the backlog. */
async function dialAll({ network, listener }: Pair, count: number): Promise<Connection[]> {
  const clients: Connection[] = [];
  while (clients.length < count) clients.push(await network.dial(listener.localAddress));
  return clients;
}

const ports = (connections: Connection[], end: "localAddress" | "remoteAddress") =>
  connections.map((connection) => (connection[end] as { port: number }).port);

test("connections that wait are taken one after the other, in order", async () => {
  await withPair({}, async (pair) => {
    const { listener, sim } = pair;
    const clients = await dialAll(pair, 20);
    const accepting = Promise.all(clients.map(() => listener.accept()));
    const turnsBefore = sim.native.rings[0].turnCount;
    const servers = await accepting;
    assert.ok(sim.native.rings[0].turnCount - turnsBefore < 10, "a turn for each");
    assert.is(sim.native.rings[0].directCount, 20);
    assert.equal(ports(servers, "remoteAddress"), ports(clients, "localAddress"));
    await Promise.all([...servers, ...clients].map((connection) => connection.close()));
  });
});

test("a loop that accepts and awaits takes them one after the other as well", async () => {
  await withPair({}, async (pair) => {
    const clients = await dialAll(pair, 20);
    const servers: Connection[] = [];
    for await (const server of pair.listener) {
      if (servers.push(server) === clients.length) break;
    }
    assert.is(pair.sim.native.rings[0].directCount, 20);
    assert.equal(ports(servers, "remoteAddress"), ports(clients, "localAddress"));
    await Promise.all([...servers, ...clients].map((connection) => connection.close()));
  });
});

test("nothing is taken from the backlog while no call waits", async () => {
  await withPair({}, async (pair) => {
    const { listener, sim } = pair;
    const clients = await dialAll(pair, 5);
    const servers = [await listener.accept(), await listener.accept()];
    await sim.sleep(50);
    const backlog = () => [...sim.kernel.sockets.values()].find((socket) => socket.backlogMax)!;
    assert.is(backlog().backlog.length, 3);
    while (servers.length < 5) servers.push(await listener.accept());
    assert.equal(ports(servers, "remoteAddress"), ports(clients, "localAddress"));
    await Promise.all([...servers, ...clients].map((connection) => connection.close()));
  });
});

test("a burst of accepts ends, and the ring has its turn", async () => {
  const kernel = { descriptorMax: 2_000 };
  await withPair({ kernel }, async (pair) => {
    const ring = pair.sim.native.rings[0];
    const count = 2 * (LIMITS.acceptBurstCountMax + 1) + 5;
    const clients = await dialAll(pair, count);
    const servers: Connection[] = [];
    for await (const server of pair.listener) if (servers.push(server) === count) break;
    // The connection of the pair itself began the first burst.
    assert.is(ring.directCount, count - 2, "one of each burst comes by the ring");
    assert.equal(ports(servers, "remoteAddress"), ports(clients, "localAddress"));
    await Promise.all([...servers, ...clients].map((connection) => connection.close()));
  });
});

test("errnos in the midst of a burst lose no connection and no order", async () => {
  let directCount = 0;
  const faults = { acceptTransient: 0.3, exhausted: 0.1, late: 0.3, deferred: 0.3 };
  await withSeeds(30, { faults }, async (pair) => {
    const { listener, sim } = pair;
    const clients = await dialAll(pair, sim.random.int(2, 30));
    const servers: Connection[] = [];
    while (servers.length < clients.length) {
      const some = Math.min(sim.random.int(1, 8), clients.length - servers.length);
      const calls = Array.from({ length: some }, () => listener.accept());
      servers.push(...await Promise.all(calls));
    }
    assert.equal(ports(servers, "remoteAddress"), ports(clients, "localAddress"));
    directCount += sim.native.rings[0].directCount;
    await Promise.all([...servers, ...clients].map((connection) => connection.close()));
  });
  assert.ok(directCount > 100, `${directCount} were taken past the ring`);
});

test("calls that give up in a burst lose no connection", async () => {
  await withSeeds(40, { faults: { late: 0.3, exhausted: 0.1 } }, async (pair) => {
    const { listener, sim } = pair;
    const clients = await dialAll(pair, 12);
    const servers: Connection[] = [];
    while (servers.length < clients.length) {
      const controller = new AbortController();
      const calls = [1, 2, 3].map(() => outcomeOf(listener.accept({ signal: controller.signal })));
      sim.host.at(sim.random.float() * 2, () => controller.abort());
      for (const outcome of await Promise.all(calls)) {
        if ("value" in outcome) servers.push(outcome.value);
      }
    }
    assert.equal(ports(servers, "remoteAddress"), ports(clients, "localAddress"));
    await Promise.all([...servers, ...clients].map((connection) => connection.close()));
  });
});

test("EMFILE pauses accepting and ends no call", async () => {
  await withPair({}, async ({ network, listener, sim }) => {
    sim.faults.plan("exhausted", 6);
    const startedMs = sim.host.now();
    const [client, server] = await Promise.all([
      network.dial(listener.localAddress),
      listener.accept(),
    ]);
    // 5 + 10 + 20 + 40 + 80 + 160 ms of pauses.
    assert.ok(sim.host.now() - startedMs >= 315);
    await Promise.all([client.close(), server.close()]);
  });
});

test("a process without free descriptors accepts again when one is closed", async () => {
  const kernel = { descriptorMax: 8 };
  await withPair({ kernel }, async ({ network, listener, sim }) => {
    const clients = await Promise.all([1, 2].map(() => network.dial(listener.localAddress)));
    const accepting = listener.accept();
    await sim.sleep(30);
    await clients[1].close();
    const server = await accepting;
    await Promise.all([server.close(), clients[0].close()]);
  });
});

test("errnos that say nothing about the listener are retried", async () => {
  await withPair({}, async ({ network, listener, sim }) => {
    sim.faults.plan("acceptTransient", 30);
    const [client, server] = await Promise.all([
      network.dial(listener.localAddress),
      listener.accept(),
    ]);
    assert.is(network.context.meter.counts[COUNT.retriesAccept], 30);
    await Promise.all([client.close(), server.close()]);
  });
});

test("bind() without a block for its address: ENOBUFS, and later it works", async () => {
  await withPair({}, async ({ network }) => {
    const { blocks } = network.context.recvRing;
    const taken: number[] = [];
    for (let block = blocks.take(); block >= 0; block = blocks.take()) taken.push(block);
    await assert.rejects(network.bind("127.0.0.1:0"), { code: "BindFailed", errno: "ENOBUFS" });
    for (const block of taken) blocks.put(block);
    await (await network.bind("127.0.0.1:0")).close();
  });
});

test("each errno that accept(2) wants treated like EAGAIN is one of them", async () => {
  const names = ["ENETDOWN", "EPROTO", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH"];
  for (const name of [...names, "EOPNOTSUPP", "ENETUNREACH"]) {
    await withPair({}, async ({ network, listener, sim }) => {
      sim.faults.plan("acceptTransient", 1);
      sim.faults.pick = <T>() => ERRNO[name] as T;
      const dialing = network.dial(listener.localAddress);
      const server = await listener.accept();
      assert.is(network.context.meter.counts[COUNT.retriesAccept], 1, name);
      await Promise.all([server.close(), dialing.then((client) => client.close())]);
    });
  }
});

test("a socket that is refused its options is neither connected nor bound", async () => {
  await withPair({}, async ({ network, listener, sim }) => {
    const { port } = network.context.recvRing;
    const open = sim.kernel.sockets.size;
    port.setOption = () => -ERRNO.ENOMEM;
    const dialing = network.dial(listener.localAddress);
    await assert.rejects(dialing, { code: "ConnectionFailed", errno: "ENOMEM" });
    const binding = network.bind("127.0.0.1:0");
    await assert.rejects(binding, { code: "BindFailed", errno: "ENOMEM" });
    assert.is(sim.kernel.sockets.size, open);
  });
});

test("a name of which one family is not there fails as the other one did", async () => {
  const kernel = { ipv6: false };
  await withPair({ kernel }, async ({ network, sim }) => {
    const addresses = [{ address: "::1", family: 6 as const }, {
      address: "127.0.0.1",
      family: 4 as const,
    }];
    sim.host.names.set("forward", addresses);
    sim.host.names.set("backward", addresses.toReversed());
    for (const name of ["forward", "backward", "localhost"]) {
      await assert.rejects(network.dial(`${name}:9`), {
        code: "ConnectionFailed",
        errno: "ECONNREFUSED",
      });
    }
    await assert.rejects(network.dial("[::1]:9"), { errno: "EADDRNOTAVAIL" });
  });
});

test("a dial without a listener fails with ECONNREFUSED", async () => {
  await withPair({}, async ({ network }) => {
    await assert.rejects(network.dial("127.0.0.1:9"), {
      code: "ConnectionFailed",
      errno: "ECONNREFUSED",
    });
  });
});

test("a dial that times out closes its descriptor when the connect lands", async () => {
  const faults = { cancelLoses: 0.5, late: 0.5 };
  await withSeeds(20, { faults }, async ({ network, sim }) => {
    const listener = await network.bind("127.0.0.1:0", { backlog: 1 });
    const dials = [1, 2, 3].map(() =>
      outcomeOf(network.dial(listener.localAddress, { timeoutMs: sim.random.int(10, 50) }))
    );
    const ends = await Promise.all(dials);
    for (const end of ends) {
      if ("value" in end) end.value.reset();
      else assert.is((end.error as { code: string }).code, "Timeout");
    }
    await listener.close();
  });
});

test("a dial aborted at any moment leaves nothing behind", async () => {
  const faults = { cancelLoses: 0.5, late: 0.3, cancelInterrupts: 0.3 };
  await withSeeds(40, { faults }, async ({ network, listener, sim }) => {
    const controller = new AbortController();
    const reason = new Error("never mind");
    const dialing = outcomeOf(
      network.dial(listener.localAddress, { signal: controller.signal }),
    );
    sim.host.at(sim.random.float() * 0.2, () => controller.abort(reason));
    const end = await dialing;
    if ("value" in end) await end.value.close();
    else assert.is(end.error, reason);
  });
});

test("a dial that is given up while it waits for memory leaves no timer", async () => {
  const options = { sizes: { blockCount: 66 }, config: { shutdownTimeoutMs: 0 } };
  await withPair(options, async ({ network, sim }) => {
    sim.kernel.options.latencyMs = () => 50;
    sim.host.lateness = () => 30;
    const dials: Promise<unknown>[] = [];
    for (let i = 0; i < 5; i++) dials.push(outcomeOf(network.dial("10.9.9.9:1")));
    await sim.sleep(0.5);
    assert.ok(sim.host.timers.size > 1, "some wait besides the one deadline of all");
    sim.host.lateness = () => 0;
    await network.close();
    sim.checkNoTimers();
    await Promise.all(dials);
  });
});

test("however many listeners wait, others bind, accept and dial", async () => {
  await withPair({ sizes: { blockCount: 258 } }, async ({ network, sim }) => {
    const listeners: Listener[] = [];
    const accepting: Promise<Connection>[] = [];
    for (let i = 0; i < 300; i++) {
      const listener = await network.bind("127.0.0.1:0");
      listeners.push(listener);
      accepting.push(listener.accept());
      await sim.sleep(1);
    }
    for (const [index, listener] of listeners.entries()) {
      const client = await network.dial(listener.localAddress);
      const server = await accepting[index];
      assert.equal(server.remoteAddress, client.localAddress);
      client.reset();
      server.reset();
    }
    await Promise.all(listeners.map((listener) => listener.close()));
  });
});

test("a name with several addresses is dialled address by address", async () => {
  const sim = new Sim();
  sim.host.names.set("example.test", [
    { address: "10.0.0.1", family: 4 },
    { address: "10.0.0.2", family: 4 },
  ]);
  await sim.run(async () => {
    const network = sim.open();
    const listener = await network.bind("10.0.0.2:80");
    const [client, server] = await Promise.all([
      network.dial("example.test:80"),
      listener.accept(),
    ]);
    assert.equal(client.remoteAddress, { hostname: "10.0.0.2", port: 80 });
    await Promise.all([client.close(), server.close()]);
    await network.close();
  });
  sim.checkNothingLeft();
});

test.run();
