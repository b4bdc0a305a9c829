/**
 * Servers, frames and the peer's end on a fake kernel: cuts at any byte, aborts at any step, ends
 * in any order; no byte is lost and nothing is left behind.
 *
 * @module
 */
import { LIMITS } from "../../src/base/limits.ts";
import type { NetworkError } from "../../src/base/network_error.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import type { Listener } from "../../src/net/accept/listener.ts";
import { formatAddress } from "../../src/net/address/address.ts";
import { copy, copyBidirectional } from "../../src/serve/copy.ts";
import { delimited } from "../../src/serve/delimited.ts";
import { framed } from "../../src/serve/framed.ts";
import { lengthPrefixed } from "../../src/serve/length_prefixed.ts";
import { serve } from "../../src/serve/serve.ts";
import type { Server } from "../../src/serve/server.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, withPair, withSeeds } from "../support/pair.ts";
import { seedCount } from "../support/seed_count.ts";
import { Sim } from "../support/sim.ts";

const test = suite("sim/serve");

/** The arguments of a handler for a connection from the backlog. */
interface BacklogParts {
  sim: Sim;
  listener: Listener;
  server: Server;
  connection: Connection;
}

const FAULTS = { shortRecv: 0.3, shortSend: 0.3, late: 0.2, cancelLoses: 0.3, deferred: 0.2 };

test("a copy that was aborted leaves later receives of its source alone", async () => {
  const narrow = { sendCapacity: 100, recvCapacity: 100 };
  await withPair({ kernel: narrow }, async ({ client, server, sim }) => {
    const controller = new AbortController();
    const copied = outcomeOf(copy(server, server, { signal: controller.signal }));
    // The third piece cannot leave, because the client does not read.
    for (let i = 0; i < 3; i++) {
      await client.sink.send(contentOf(i, 100));
      await sim.sleep(5);
    }
    assert.is(server.sink.bytesQueued, 100);
    // The end of the send comes after the end of the copy.
    sim.faults.rates.late = 1;
    controller.abort("enough");
    assert.equal(await copied, { error: "enough" });
    const later = server.stream.recv(5);
    await sim.sleep(50);
    assert.is(server.sink.bytesQueued, 0, "the send has been aborted as well");
    await client.sink.send("later");
    assert.is((await later).text(), "later");
  });
});

test("frames survive timeouts and aborts at any step, whatever the cuts", async () => {
  let repeated = 0;
  for (const readBufferSize of [65_536, 128]) {
    await withSeeds(60, { faults: FAULTS, config: { readBufferSize } }, async (pair, seed) => {
      const { client, server, sim } = pair;
      const codec = lengthPrefixed({ lengthBytes: sim.random.pick([1, 2, 4, 8] as const) });
      const lengths = Array.from({ length: 8 }, () => sim.random.int(0, 255));
      const sending = (async () => {
        const sender = framed(client, codec);
        for (const [index, length] of lengths.entries()) {
          await sender.send(contentOf(seed, length, index));
          if (sim.random.int(0, 2) === 0) await sim.sleep(sim.random.float() * 3);
        }
        await client.sink.close();
      })();
      for (let index = 0;;) {
        const timeoutMs = sim.random.pick([null, 0, 1, 3]);
        const controller = new AbortController();
        if (sim.random.int(0, 2) === 0) {
          sim.host.at(sim.random.float() * 2, () => controller.abort(new Error("enough")));
        }
        const { signal } = controller;
        const got = await outcomeOf(codec.decode(server.stream, { timeoutMs, signal }));
        if (!("value" in got)) {
          repeated++;
          continue;
        }
        if (got.value === null) {
          assert.is(index, lengths.length);
          break;
        }
        assert.bytesEqual(got.value.toUint8Array(), contentOf(seed, lengths[index], index));
        index++;
      }
      await sending;
    });
  }
  assert.ok(repeated > 100, `${repeated} were repeated`);
});

test("delimited messages, delimiters of any length, cut anywhere", async () => {
  await withSeeds(60, { faults: FAULTS }, async ({ client, server, sim }) => {
    const letters = () => String.fromCharCode(97 + sim.random.int(0, 1));
    const delimiter = Array.from({ length: sim.random.int(1, 5) }, letters).join("");
    const codec = delimited({ delimiter });
    const messages: string[] = [];
    const sender = framed(client, codec);
    for (let i = 0; i < 30; i++) {
      const message = Array.from({ length: sim.random.int(0, 12) }, letters).join("");
      // The codec refuses exactly the messages that the peer would misread.
      const sent = await outcomeOf(sender.send(message));
      if ("value" in sent) messages.push(message);
      else assert.ok((message + delimiter).indexOf(delimiter) < message.length, message);
    }
    await client.sink.close();
    const seen: string[] = [];
    for await (const bytes of framed(server, codec)) seen.push(new TextDecoder().decode(bytes));
    assert.equal(seen, messages);
  });
});

test("copyBidirectional() loses no byte, or rejects and resets both", async () => {
  let copied = 0;
  let failed = 0;
  for (let seed = 1; seed <= seedCount(60); seed++) {
    const sim = new Sim({ seed });
    await sim.run(async () => {
      const network = sim.open({ readBufferSize: sim.random.pick([65_536, 200]) });
      const [left, right] = [await network.bind("127.0.0.1:0"), await network.bind("127.0.0.1:0")];
      const [client, a, b, server] = await Promise.all([
        network.dial(left.localAddress),
        left.accept(),
        network.dial(right.localAddress),
        right.accept(),
      ]);
      Object.assign(sim.faults.rates, FAULTS);
      const [up, down] = [sim.random.int(0, 20_000), sim.random.int(0, 20_000)];
      const controller = new AbortController();
      if (sim.random.int(0, 2) === 0) {
        sim.host.at(sim.random.float() * 4, () => controller.abort(new Error("enough")));
      }
      const copying = outcomeOf(copyBidirectional(a, b, { signal: controller.signal }));
      const play = async (end: Connection, sent: number, wanted: number) => {
        const sending = outcomeOf((async () => {
          await end.sink.send(contentOf(seed, sent));
          await end.sink.close();
        })());
        const got: Uint8Array[] = [];
        for await (const bytes of end.stream) got.push(bytes);
        const told = await sending;
        if ("error" in told) throw told.error;
        return got.reduce((sum, { length }) => sum + length, 0) === wanted;
      };
      const plays = [outcomeOf(play(client, up, down)), outcomeOf(play(server, down, up))];
      const [end, ...played] = await Promise.all([copying, ...plays]);
      if ("value" in end) {
        copied++;
        assert.equal(end.value, { aToB: up, bToA: down });
        assert.equal(played, [{ value: true }, { value: true }]);
      } else {
        failed++;
        // Neither end takes what it got for all of it, unless it is.
        for (const one of played) assert.ok("error" in one || one.value);
      }
      for (const connection of [client, a, b, server]) connection.reset();
      await network.close();
    });
    sim.checkNothingLeft();
  }
  assert.ok(copied > 20 && failed > 3, `${copied} copied, ${failed} failed`);
});

test("a peer is not idle because the program has blocked the thread", async () => {
  // After 34 ms, three of the four checks have seen nothing of the peer.
  for (const quietMs of [9, 34]) await askBetweenBlocks(quietMs);
});

/** A peer that is quiet for a time, then asks, while the program blocks the thread. */
async function askBetweenBlocks(quietMs: number): Promise<void> {
  const sim = new Sim({ seed: 1 });
  await sim.run(async () => {
    const network = sim.open();
    const clients = sim.open();
    const listener = await network.bind("127.0.0.1:0");
    const errors: unknown[] = [];
    const server = serve(listener, async ({ stream, sink }) => {
      for (let bytes; (bytes = await stream.recvSome()) !== null;) await sink.send(bytes);
    }, { idleTimeoutMs: 40, onError: (error) => errors.push(error) });
    const client = await clients.dial(listener.localAddress);
    for (let count = 0; count < 20; count++) {
      await sim.sleep(quietMs);
      await client.sink.send("!");
      // Now the server's check and the byte are both due, and the check may come first.
      sim.host.clockMs += 100;
      (await client.stream.recv(1)).release();
    }
    assert.equal(errors, [], "a peer that goes on asking");
    await sim.sleep(60);
    assert.is((errors[0] as NetworkError).code, "Timeout", "a peer that asks no more");
    await Promise.all([client.close(), server.close()]);
    await Promise.all([network.close(), clients.close()]);
  });
  sim.checkNothingLeft();
}

test("a server that is closed at any step answers the calls that have begun", async () => {
  let answered = 0;
  let reset = 0;
  for (let seed = 1; seed <= seedCount(80); seed++) {
    const sim = new Sim({ seed });
    await sim.run(async () => {
      const network = sim.open({ shutdownTimeoutMs: sim.random.pick([30, 5_000]) });
      const clients = sim.open();
      const listener = await network.bind("127.0.0.1:0");
      let serving = 0;
      const server = serve(listener, async ({ stream, sink }) => {
        serving++;
        const request = await stream.recv(4);
        await sim.sleep(sim.random.float() * 60);
        await sink.send(request);
      }, {
        maxConnections: sim.random.pick([2, 100]),
        onError: () => {},
        idleTimeoutMs: sim.random.pick([null, 40]),
      });
      const asks = Array.from({ length: 6 }, async (_, i) => {
        const client = await clients.dial(listener.localAddress);
        await sim.sleep(sim.random.float() * 5);
        await client.sink.send(`req${i}`);
        const answer = (await client.stream.recv(4)).text();
        await client.close();
        return answer;
      }).map(outcomeOf);
      await sim.sleep(sim.random.float() * 40);
      const ending = sim.random.pick(["server", "network"] as const);
      await (ending === "server" ? server.close() : network.close());
      assert.is(server.connections, 0);
      await server.finished;
      for (const [i, end] of (await Promise.all(asks)).entries()) {
        if ("value" in end) {
          answered++;
          assert.is(end.value, `req${i}`);
        } else {
          reset++;
          const { code, endOfStream } = end.error as NetworkError;
          assert.ok(code !== "RecvFailed" || !endOfStream, `seed ${seed}: a clean end`);
        }
      }
      assert.ok(serving > 0 || ending !== undefined);
      await Promise.all([network.close(), clients.close()]);
    });
    sim.checkNothingLeft();
    assert.equal(sim.host.warnings, []);
  }
  assert.ok(answered > 100 && reset > 20, `${answered} answered, ${reset} reset`);
});

test("a server that drains answers every peer that waits in the backlog", async () => {
  let late = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const sim = new Sim({ seed, faults: FAULTS });
    await sim.run(async () => {
      const [network, clients] = [sim.open({ shutdownTimeoutMs: null }), sim.open()];
      const listener = await network.bind("127.0.0.1:0");
      // Peers that were accepted before the drain: without a request they end at once.
      const early = new Set<string>();
      const server = serve(listener, async ({ stream, sink, remoteAddress }, { signal }) => {
        if (!server.draining) early.add(formatAddress(remoteAddress));
        if (signal.aborted) throw new Error("the signal of a new connection is aborted");
        for (;;) {
          const data = await stream.recv(4, { signal });
          if (!early.has(formatAddress(remoteAddress))) late++;
          await sim.sleep(sim.random.float() * 3);
          await sink.send(data);
        }
      }, { maxConnections: sim.random.pick([1, 3, 100]), onError: () => {} });
      const stopped = { by: Infinity };
      const asks = Array.from({ length: 12 }, async (_, i) => {
        await sim.sleep(sim.random.float() * 10);
        const client = await clients.dial(listener.localAddress);
        const isCounted = sim.host.now() < stopped.by;
        const answer = await outcomeOf((async () => {
          await client.sink.send(`re${i + 10}`);
          return (await client.stream.recv(4)).text();
        })());
        client.reset();
        if (isCounted && !early.has(formatAddress(client.localAddress))) {
          assert.equal(answer, { value: `re${i + 10}` }, `seed ${seed}`);
        }
      }).map(outcomeOf);
      await sim.sleep(sim.random.float() * 12);
      stopped.by = sim.host.now();
      const ending = sim.random.pick(["server", "network"] as const);
      await (ending === "server" ? server.close() : network.close());
      for (const end of await Promise.all(asks)) {
        const error = "error" in end ? end.error as NetworkError : null;
        if (error !== null) assert.is(error.code, "ConnectionFailed", error.message);
      }
      await Promise.all([network.close(), clients.close()]);
    });
    sim.checkNothingLeft();
  }
  assert.ok(late > 50, `${late} requests while a server drained`);
});

test("a greeting is no answer: a late peer has time to ask after it", async () => {
  const sim = new Sim({ seed: 1 });
  await sim.run(async () => {
    const [network, clients] = [sim.open(), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    // One handler at a time, so that the second peer waits in the backlog.
    const server = serve(listener, async ({ stream, sink }, { signal }) => {
      await sink.send("hello");
      const request = await stream.recv(4, { signal });
      await sink.send(request);
      await sink.close();
    }, { maxConnections: 1, onError: () => {} });
    const first = await clients.dial(listener.localAddress);
    const second = await clients.dial(listener.localAddress);
    assert.is((await first.stream.recv(5)).text(), "hello");
    const closing = server.close();
    await sim.sleep(10);
    first.reset();
    assert.is((await second.stream.recv(5)).text(), "hello");
    // Some looks of the server at its late connections pass.
    await sim.sleep(100);
    await second.sink.send("ping");
    assert.is((await second.stream.recv(4)).text(), "ping");
    await closing;
    second.reset();
    await Promise.all([network.close(), clients.close()]);
  });
  sim.checkNothingLeft();
});

/**
 * Runs `body` with a server whose `accept` is pending while peers wait in the backlog, because the
 * kernel had no descriptor for the first of them.
 */
async function withBacklog(
  options: { maxConnections: number; handler: (parts: BacklogParts) => void | Promise<void> },
  body: (parts: Omit<BacklogParts, "connection">) => Promise<void>,
): Promise<void> {
  const sim = new Sim();
  await sim.run(async () => {
    const [network, clients] = [sim.open(), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    sim.faults.plan("exhausted", 1);
    const server: Server = serve(
      listener,
      (connection) => options.handler({ sim, listener, server, connection }),
      { maxConnections: options.maxConnections },
    );
    const dials = Array.from({ length: 6 }, () => clients.dial(listener.localAddress));
    const ends = await Promise.all(dials);
    assert.is(server.connections, 0);
    await body({ sim, listener, server });
    await Promise.all(ends.map((end) => end.close()));
    await Promise.all([network.close(), clients.close()]);
  });
  sim.checkNothingLeft();
  assert.equal(sim.host.warnings, []);
}

test("a drain counts the pending accept of its server for maxConnections", async () => {
  let served = 0;
  let most = 0;
  const handler = async ({ sim, server }: BacklogParts) => {
    served++;
    most = Math.max(most, server.connections);
    await sim.sleep(1);
  };
  await withBacklog({ maxConnections: 2, handler }, ({ server }) => server.close());
  assert.equal([served, most], [6, 2]);
});

test("a server ends when the program closes its listener in the middle of a drain", async () => {
  let served = 0;
  let atClose = -1;
  const handler = ({ sim, listener, server }: BacklogParts) => {
    // The drain gives way to the event loop behind each connection.
    sim.host.clockMs += 2 * LIMITS.endStepMs;
    if (++served !== 3) return;
    sim.host.setMacrotask(() => {
      atClose = server.connections;
      void listener.close();
    });
  };
  await withBacklog({ maxConnections: 100, handler }, ({ server }) => server.close());
  assert.is(atClose, 0);
  assert.ok(served < 6, `${served} of 6 were served`);
});

test("a handler that closes the listener of a draining server ends the drain at once", async () => {
  let served = 0;
  const handler = ({ listener }: BacklogParts) => {
    if (++served === 1) void listener.close();
  };
  // The fake kernel complains about a later accept: another socket may have the descriptor by then.
  await withBacklog({ maxConnections: 100, handler }, ({ server }) => server.close());
  // The second one was taken for the pending accept.
  assert.is(served, 2);
});

test("a silent peer from the backlog ends cleanly, long before the budget", async () => {
  const sim = new Sim();
  await sim.run(async () => {
    const [network, clients] = [sim.open({ shutdownTimeoutMs: 60_000 }), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const server = serve(listener, async ({ stream }, { signal }) => {
      (await stream.recv(1, { signal })).release();
    }, { maxConnections: 1 });
    const [first, silent] = [
      await clients.dial(listener.localAddress),
      await clients.dial(listener.localAddress),
    ];
    await sim.sleep(5);
    assert.is(server.connections, 1);
    const startMs = sim.host.now();
    await server.close();
    const tookMs = sim.host.now() - startMs;
    assert.ok(tookMs >= LIMITS.lateRequestMs && tookMs < LIMITS.lateRequestMs + 100, `${tookMs}`);
    for (const { stream } of [first, silent]) assert.is(await stream.recvSome(), null);
    await Promise.all([network.close(), clients.close()]);
  });
  sim.checkNothingLeft();
  assert.equal(sim.host.warnings, []);
});

test("a backlog without descriptors to take it is told, and ends with the listener", async () => {
  const sim = new Sim({ kernel: { descriptorMax: 11 } });
  await sim.run(async () => {
    const [network, clients] = [sim.open(), sim.open()];
    const listener = await network.bind("127.0.0.1:0");
    const errors: unknown[] = [];
    const never = new Promise<void>(() => {});
    const options = { maxConnections: 1, onError: (error: unknown) => void errors.push(error) };
    const server = serve(listener, () => never, { ...options, drainTimeoutMs: 100 });
    const dialed: Connection[] = [];
    for (let i = 0; i < 6; i++) {
      const [end] = [await outcomeOf(clients.dial(listener.localAddress))];
      if ("value" in end) dialed.push(end.value);
    }
    await sim.sleep(5);
    await server.close();
    assert.is((errors[0] as NetworkError).errno, "EMFILE");
    for (const { stream } of dialed) await assert.rejects(stream.recv(1), { errno: "ECONNRESET" });
    await Promise.all([network.close(), clients.close()]);
  });
  sim.checkNothingLeft();
});

test("peerFinished() and signal under faults: told once, and nothing is left", async () => {
  const faults = { ...FAULTS, multishotEnds: 0.4, again: 0.05 };
  await withSeeds(80, { faults }, async ({ client, server, sim }) => {
    const reasons: unknown[] = [];
    server.signal.addEventListener("abort", () => reasons.push(server.signal.reason));
    const controller = new AbortController();
    const finished = outcomeOf(server.peerFinished());
    const aborted = outcomeOf(server.peerFinished({ signal: controller.signal, timeoutMs: 8 }));
    sim.host.at(sim.random.float() * 4, () => controller.abort(new Error("enough")));
    const end = sim.random.pick(["fin", "reset", "close", "own"] as const);
    await client.sink.send(contentOf(1, 500));
    await sim.sleep(sim.random.float() * 6);
    if (end === "fin") await client.sink.close();
    if (end === "reset") client.reset();
    if (end === "close") void client.close();
    if (end === "own") void server.close();
    const told = await finished;
    if (end === "own") assert.is((told as { error: NetworkError }).error.code, "Closed");
    else assert.ok("value" in told, `${end}: ${(told as { error: unknown }).error}`);
    await aborted;
    if (end === "fin") {
      assert.bytesEqual((await server.stream.recv(500)).toUint8Array(), contentOf(1, 500));
      assert.is(reasons.length, 0, "the other half is open");
    }
    server.reset();
    await server.close();
    await sim.sleep(1);
    assert.is(reasons.length, 1);
  });
});

test("a network that closes gives answers their time, and shows no clean end instead", async () => {
  let answered = 0;
  let reset = 0;
  for (let seed = 1; seed <= seedCount(80); seed++) {
    const sim = new Sim({ seed });
    await sim.run(async () => {
      const network = sim.open({ shutdownTimeoutMs: 40 });
      const clients = sim.open();
      const listener = await network.bind("127.0.0.1:0");
      const client = await clients.dial(listener.localAddress);
      const server = await listener.accept();
      const handling = outcomeOf((async () => {
        const request = await server.stream.recv(3);
        await sim.sleep(sim.random.float() * 80);
        await server.sink.send(request);
      })());
      await client.sink.send("ask");
      await sim.sleep(1 + sim.random.float() * 5);
      const closing = network.close();
      const end = await outcomeOf(client.stream.recv(3));
      if ("value" in end) {
        assert.is(end.value.text(), "ask");
        // Where the budget has ended in between: RST behind the answer.
        const next = await outcomeOf(client.stream.recvSome());
        assert.ok("error" in next || next.value === null);
        answered++;
      } else {
        assert.is((end.error as NetworkError).errno, "ECONNRESET", `seed ${seed}: ${end.error}`);
        reset++;
      }
      await Promise.all([closing, handling]);
      await clients.close();
    });
    sim.checkNothingLeft();
  }
  assert.ok(answered > 10 && reset > 10, `${answered} answered, ${reset} reset`);
});

test.run();
