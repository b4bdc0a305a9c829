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

/** The largest number of calls that settle in one round of the event loop. */
class Rounds {
  most = 0;
  #settled = 0;
  #isOver = false;

  constructor({ host }: Sim) {
    const look = () => {
      this.most = Math.max(this.most, this.#settled);
      this.#settled = 0;
      if (!this.#isOver) host.setMacrotask(look);
    };
    host.setMacrotask(look);
  }

  noteSettled(): void {
    this.#settled++;
  }

  end(): void {
    this.#isOver = true;
    this.most = Math.max(this.most, this.#settled);
  }
}

function codeOf(end: unknown): string {
  return (end as { error?: { code: string } }).error?.code ?? "a clean end";
}

/** The reactions of handlers to an ended receive, while the handlers of others have not run. */
const REACTIONS: Record<string, (connection: Connection) => Promise<unknown> | void> = {
  "nothing": () => {},
  "a half close": ({ sink }) => outcomeOf(sink.close()),
  "a send": ({ sink }) => outcomeOf(sink.send("a farewell")),
  "another receive": async ({ stream }) => {
    assert.is(codeOf(await outcomeOf(stream.recv(1))), "Closed");
  },
  "a close": (connection) => connection.close(),
  "a reset": (connection) => connection.reset(),
};

for (const shutdownTimeoutMs of [0, 5_000]) {
  for (const [name, react] of Object.entries(REACTIONS)) {
    test(`callers are told in rounds, then ${name}: ${shutdownTimeoutMs} ms`, async () => {
      const sim = new Sim();
      await sim.run(async () => {
        // Both ends in one network, so that a call could meet what the handler of another does.
        const network = sim.open({ shutdownTimeoutMs });
        const listener = await network.bind("127.0.0.1:0");
        const rounds = new Rounds(sim);
        const codes: string[] = [];
        const receive = async (connection: Connection) => {
          // One of them with a part of its result, which was received directly.
          const length = codes.length === 0 ? 100_000 : 10;
          const end = await outcomeOf(connection.stream.recv(length, { timeoutMs: 60_000 }));
          rounds.noteSettled();
          codes.push(codeOf(end));
          await react(connection);
        };
        const receiving: Promise<void>[] = [];
        while (receiving.length < 4 * LIMITS.toldCountMax) {
          const pair = await Promise.all([network.dial(listener.localAddress), listener.accept()]);
          receiving.push(...pair.map(receive));
        }
        await network.close();
        await Promise.all(receiving);
        rounds.end();
        assert.equal(codes, receiving.map(() => "Closed"));
        assert.ok(rounds.most <= 2 * LIMITS.toldCountMax, `${rounds.most} calls in one round`);
      });
      sim.checkNothingLeft();
    });
  }
}

interface Late {
  sim: Sim;
  network: SimNetwork;
  /** All accepted connections but one. */
  others: Connection[];
  /** Is told in a later round than the first of the others. */
  last: Connection;
  /** The other end of the last connection. */
  peer: Connection;
}

async function withLast(config: NetworkConfig, body: (late: Late) => Promise<void>) {
  const sim = new Sim();
  await sim.run(async () => {
    const [network, peers] = [sim.open(config), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const pair = () => Promise.all([listener.accept(), peers.dial(listener.localAddress)]);
    const others: Connection[] = [];
    while (others.length < LIMITS.toldCountMax) others.push((await pair())[0]);
    const [last, peer] = await pair();
    // The listener's place among the open objects goes to the object behind all others.
    others.push((await pair())[0]);
    await body({ sim, network, others, last, peer });
    await Promise.all([network.close(), peers.close()]);
    sim.checkNoTimers();
  });
  sim.checkNothingLeft();
}

for (const how of ["bytes", "an abort", "the end of its budget"] as const) {
  test(`a call that has ended gets Closed, although ${how} comes before its turn`, async () => {
    await withLast({}, async ({ sim, network, others, last, peer }) => {
      const abort = new AbortController();
      const options = {
        timeoutMs: how === "the end of its budget" ? 50 : null,
        ...how === "an abort" ? { signal: sim.watchSignal(abort.signal) } : {},
      };
      const ends = others.map(({ stream }) => outcomeOf(stream.recv(1)));
      let isTold = false;
      const end = outcomeOf(last.stream.recv(1, options)).finally(() => isTold = true);
      const closing = network.close();
      await ends[0];
      assert.not(isTold, "the last call waits for its turn");
      if (how === "bytes") await peer.sink.send("!");
      if (how === "the end of its budget") sim.host.clockMs += 100;
      abort.abort(new Error("too late"));
      for (const one of await Promise.all([...ends, end])) assert.is(codeOf(one), "Closed");
      await closing;
    });
  });
}

test("a part of a message counts in the error of a call that ends with many others", async () => {
  const sim = new Sim();
  await sim.run(async () => {
    const [network, peers] = [sim.open({ shutdownTimeoutMs: 20 }), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const pair = await Promise.all([listener.accept(), peers.dial(listener.localAddress)]);
    const end = outcomeOf(pair[0].stream.recv(200_000));
    await pair[1].sink.send(contentOf(1, 70_000));
    while (pair[0].stream.bytesReceived < 70_000) await sim.sleep(1);
    await network.close();
    const { error } = await end as { error: { code: string; bytesDone: number } };
    assert.equal([error.code, error.bytesDone], ["Closed", 70_000]);
    await peers.close();
  });
  sim.checkNothingLeft();
});

for (const shutdownTimeoutMs of [0, 5_000]) {
  for (const what of ["close", "recv"] as const) {
    const name = `an ended receive is told before a ${what} that follows: ${shutdownTimeoutMs} ms`;
    test(name, async () => {
      await withLast({ shutdownTimeoutMs }, async ({ network, others, last }) => {
        const order: string[] = [];
        const ends = others.map(({ stream }) => outcomeOf(stream.recv(1)));
        const end = outcomeOf(last.stream.recv(1)).then(() => order.push("the first"));
        const closing = network.close();
        await ends[0];
        assert.equal(order, [], "the last call waits for its turn");
        await outcomeOf<unknown>(what === "close" ? last.close() : last.stream.recv(2));
        order.push(what);
        await Promise.all([closing, end]);
        assert.equal(order, ["the first", what]);
      });
    });
  }
}

test("a server at the end of its budget tells the callers of its handlers in rounds", async () => {
  const sim = new Sim();
  await sim.run(async () => {
    const [network, peers] = [sim.open(), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const rounds = new Rounds(sim);
    const handler = async ({ stream }: Connection) => {
      assert.is(codeOf(await outcomeOf(stream.recv(1))), "Closed");
      rounds.noteSettled();
    };
    const server = serve(listener, handler, { drainTimeoutMs: 10 });
    const count = 3 * LIMITS.toldCountMax;
    for (let i = 0; i < count; i++) await peers.dial(listener.localAddress);
    while (server.connections < count) await sim.sleep(1);
    await server.close();
    rounds.end();
    assert.ok(rounds.most > 0 && rounds.most <= LIMITS.toldCountMax, `${rounds.most} in one round`);
    await Promise.all([network.close(), peers.close()]);
  });
  sim.checkNothingLeft();
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
