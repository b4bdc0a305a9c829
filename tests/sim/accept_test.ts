/**
 * Accepting and connecting on a fake kernel: races of cancels, and descriptors that run out.
 *
 * @module
 */
import { COUNT } from "../../src/base/meter.ts";
import { assert, suite } from "../harness.ts";
import { outcomeOf, withPair, withSeeds } from "../support/pair.ts";
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

test("a dial that nobody listens for fails with ECONNREFUSED", async () => {
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
