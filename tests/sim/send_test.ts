/**
 * Sending on a fake kernel: short writes, retries, and sends whose callers change their minds.
 *
 * @module
 */
import { COUNT } from "../../src/base/meter.ts";
import { HEADER } from "../../src/ring/port.ts";
import { IoBuf } from "../../src/buf/io_buf.ts";
import { IoBufs } from "../../src/buf/io_bufs.ts";
import type { Sendable } from "../../src/net/send/load_call.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, type Pair, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/send");

const NARROW = { sendCapacity: 4_096, recvCapacity: 4_096 };
/** The bytes that a narrow connection takes before its peer reads. */
const NARROW_BYTES = 8_192;

/** Chunks in pool memory, large enough to stay iovecs of their own. */
function chunks({ network }: Pair, key: number, lengths: number[]): IoBufs {
  const parts = new IoBufs();
  let at = 0;
  for (const length of lengths) {
    const buffer = network.pool.alloc(length);
    buffer.bytes.set(contentOf(key, length, at));
    parts.append(buffer);
    at += length;
  }
  return parts;
}

async function receives({ server }: Pair, expected: Uint8Array): Promise<void> {
  const got = await server.stream.recv(expected.length);
  assert.bytesEqual(got.toUint8Array(), expected);
}

/** Fills both socket buffers, so that the next send waits with no byte taken. */
async function fill({ client, sim }: Pair): Promise<void> {
  await client.sink.send(contentOf(9, NARROW_BYTES));
  await sim.sleep(10);
}

test("a send whose memory is gone fails alone, also when it leaves at that moment", async () => {
  await withPair({}, async ({ client, server, network }) => {
    const { sendRing } = network.context;
    const { turn } = sendRing;
    const controller = new AbortController();
    const lost = IoBuf.from(contentOf(1, 3_000));
    const { buffer } = lost.bytes;
    const first = outcomeOf(client.sink.send(lost, { signal: controller.signal }));
    const second = outcomeOf(client.sink.send(IoBuf.from(contentOf(2, 3_000))));
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    // The caller leaves between the turn and what follows it.
    sendRing.turn = (flags) => {
      const count = turn.call(sendRing, flags);
      controller.abort("left");
      return count;
    };
    assert.equal(await first, { error: "left" });
    assert.equal(await second, { value: undefined });
    assert.bytesEqual((await server.stream.recv(3_000)).toUint8Array(), contentOf(2, 3_000));
  });
});

test("Sink.send() resumes inside an iovec after a short write", async () => {
  // Cuts at the edges of three iovecs, beside them, and inside.
  for (const cut of [1, 2_999, 3_000, 3_001, 4_500, 5_999, 6_000, 8_999]) {
    await withPair({}, async (pair) => {
      pair.sim.faults.cuts.push(cut);
      const sending = pair.client.sink.send(chunks(pair, 5, [3_000, 3_000, 3_000]));
      await receives(pair, contentOf(5, 9_000));
      await sending;
      assert.is(pair.client.sink.bytesSent, 9_000);
      assert.is(pair.network.stats().shortSends, 1);
    });
  }
});

test("Sink.send() arrives whole when the kernel takes one byte at a time", async () => {
  const kernel = { sendCapacity: 1, recvCapacity: 1 };
  await withPair({ kernel, faults: { shortSend: 1, oneByte: 1 } }, async (pair) => {
    const sending = pair.client.sink.send(chunks(pair, 3, [100, 200, 50]));
    await receives(pair, contentOf(3, 350));
    await sending;
  });
});

test("more than 32 chunks leave in sends of at most 32 iovecs", async () => {
  // The fake ring refuses more.
  await withPair({}, async (pair) => {
    const lengths = new Array<number>(100).fill(2_100);
    const sending = pair.client.sink.send(chunks(pair, 4, lengths));
    await receives(pair, contentOf(4, 210_000));
    await sending;
  });
});

test("bytes adjacent to a full batch do not overtake bytes that found no room", async () => {
  await withPair({}, async (pair) => {
    const { network, client } = pair;
    const large = contentOf(2, 65_636);
    const sends = [client.sink.send(chunks(pair, 1, new Array<number>(31).fill(3_000)))];
    // The 32nd range is the first window of this one; its last 100 bytes find no room.
    sends.push(client.sink.send(large));
    const neighbour = network.pool.alloc(65_536);
    neighbour.bytes.set(contentOf(3, 65_536));
    sends.push(client.sink.send(neighbour));
    await receives(pair, contentOf(1, 31 * 3_000));
    await receives(pair, large);
    await receives(pair, contentOf(3, 65_536));
    await Promise.all(sends);
  });
});

interface Shaped {
  bytes: Uint8Array<ArrayBuffer>;
  data: Sendable;
}

/** A message in one of the shapes that become ranges in different ways. */
function shaped({ network, sim }: Pair, key: number): Shaped {
  const { random } = sim;
  const longest = random.pick([300, 3_000, 16_384, 65_536, 65_536, 66_000, 140_000]);
  const bytes = contentOf(key, random.chance(0.3) ? longest : random.int(1, longest));
  if (random.chance(0.3)) return { bytes, data: bytes };
  if (random.chance(0.3)) {
    const middle = random.int(0, bytes.length);
    return { bytes, data: [bytes.subarray(0, middle), bytes.subarray(middle)] };
  }
  const buffer = network.pool.alloc(bytes.length);
  buffer.bytes.set(bytes);
  return { bytes, data: buffer };
}

test("messages of all shapes around a full batch stay in order", async () => {
  await withSeeds(600, { config: { pool: { debug: true } } }, async (pair) => {
    const { client, sim } = pair;
    const ranges = new Array<number>(sim.random.int(26, 32)).fill(3_000);
    const sends = [client.sink.send(chunks(pair, 1, ranges))];
    const expected = [contentOf(1, ranges.length * 3_000)];
    for (let key = 2; key < 10; key++) {
      const { bytes, data } = shaped(pair, key);
      sends.push(client.sink.send(data));
      expected.push(bytes);
    }
    for (const bytes of expected) await receives(pair, bytes);
    await Promise.all(sends);
  });
}, { timeoutMs: 60_000 });

test("storms of EAGAIN and EINTR are not seen by the caller", async () => {
  await withSeeds(20, { faults: { again: 0.7 } }, async (pair) => {
    const sending = pair.client.sink.send(contentOf(1, 100_000));
    await receives(pair, contentOf(1, 100_000));
    await sending;
  });
});

test("ENOBUFS retries are bounded and then fail with errno", async () => {
  await withPair({}, async (pair) => {
    const { sim, client } = pair;
    sim.faults.plan("memory", 1_000);
    const error = await assert.rejects(client.sink.send(contentOf(1, 100)), { code: "SendFailed" });
    assert.ok(error.errno === "ENOBUFS" || error.errno === "ENOMEM", String(error.errno));
    assert.is(error.bytesDone, 0);
    // No byte had gone out: the sink stays as it was.
    sim.faults.plan("memory", 0);
    assert.not(client.sink.closed);
    await client.sink.send(contentOf(2, 100));
    await receives(pair, contentOf(2, 100));
  });
});

test("a send behind one that used up its retries has retries of its own", async () => {
  await withPair({}, async (pair) => {
    const { sim, client } = pair;
    sim.faults.plan("memory", 1_000);
    await assert.rejects(client.sink.send(contentOf(1, 100)), { code: "SendFailed" });
    sim.faults.plan("memory", 0);
    sim.faults.plan("again", 3);
    await client.sink.send(contentOf(2, 100));
    await receives(pair, contentOf(2, 100));
  });
});

test("a send that takes nothing is an error, not an endless loop", async () => {
  await withPair({}, async ({ sim, client }) => {
    sim.faults.plan("zeroSend", 1);
    await assert.rejects(client.sink.send(contentOf(1, 100)), { code: "SendFailed", errno: null });
    await assert.rejects(client.sink.send(contentOf(1, 100)), { code: "Closed" });
  });
});

test("a hard errno ends the sends that wait with Closed", async () => {
  await withPair({ kernel: NARROW }, async (pair) => {
    await fill(pair);
    const waiting = [contentOf(1, 100), contentOf(2, 100), contentOf(3, 5_000)]
      .map((bytes) => outcomeOf(pair.client.sink.send(bytes)));
    pair.server.reset();
    const ends = await Promise.all(waiting) as { error: { code: string } }[];
    assert.equal(ends.map(({ error }) => error.code), ["SendFailed", "Closed", "Closed"]);
  });
});

test("a send aborted with no byte taken leaves order and sink intact", async () => {
  await withSeeds(20, { kernel: NARROW, faults: { deferred: 0.5 } }, async (pair, seed) => {
    const { sim, client } = pair;
    await fill(pair);
    const controller = new AbortController();
    const { signal } = controller;
    // Seeds decide whether the kernel has the send already.
    const aborted = outcomeOf(client.sink.send(contentOf(1, 3_000), { signal }));
    const next = client.sink.send(contentOf(2, 3_000));
    if (seed % 2 === 0) await sim.sleep(sim.random.float());
    const reason = new Error("changed my mind");
    controller.abort(reason);
    const last = client.sink.send(contentOf(3, 3_000));
    await receives(pair, contentOf(9, NARROW_BYTES));
    await receives(pair, contentOf(2, 3_000));
    await receives(pair, contentOf(3, 3_000));
    assert.equal(await aborted, { error: reason });
    await Promise.all([next, last]);
    assert.not(client.sink.closed);
  });
});

test("a cancel that shows as EINTR ends no other send", async () => {
  const faults = { cancelInterrupts: 1 };
  await withPair({ kernel: NARROW, faults }, async (pair) => {
    const { sim, client } = pair;
    await fill(pair);
    const controller = new AbortController();
    const first = client.sink.send(contentOf(1, 3_000));
    const second = outcomeOf(
      client.sink.send(contentOf(2, 3_000), { signal: controller.signal }),
    );
    await sim.sleep(1);
    controller.abort(new Error("enough"));
    await sim.sleep(1);
    await receives(pair, contentOf(9, NARROW_BYTES));
    await receives(pair, contentOf(1, 3_000));
    await first;
    assert.ok("error" in await second);
  });
});

test("a partially taken aborted send poisons and sends FIN once", async () => {
  await withPair({ kernel: NARROW }, async (pair) => {
    const { sim, client, server, clientSocket } = pair;
    const controller = new AbortController();
    const reason = new Error("too slow");
    const aborted = outcomeOf(
      client.sink.send(contentOf(1, 20_000), { signal: controller.signal }),
    );
    const waiting = outcomeOf(client.sink.send(contentOf(2, 10)));
    await sim.sleep(10);
    controller.abort(reason);
    assert.equal(await aborted, { error: reason });
    assert.is((await waiting as { error: { code: string } }).error.code, "Closed");
    assert.ok(client.sink.closed);
    await assert.rejects(client.sink.send(contentOf(2, 10)), { code: "Closed" });
    await client.sink.close();
    await receives(pair, contentOf(1, clientSocket.wire.length));
    assert.is(await server.stream.recvSome(), null);
    assert.is(clientSocket.finCount, 1);
  });
});

test("a send that times out says how many bytes the kernel took", async () => {
  await withPair({ kernel: NARROW }, async (pair) => {
    const { client, clientSocket } = pair;
    const sending = client.sink.send(contentOf(1, 20_000), { timeoutMs: 20 });
    const error = await assert.rejects(sending, { code: "Timeout" });
    assert.is(error.bytesDone, clientSocket.wire.length);
    assert.is(error.bytesDone, NARROW_BYTES);
  });
});

test("a cancel that comes too late lets the send succeed", async () => {
  await withSeeds(10, { faults: { late: 1 } }, async (pair) => {
    const controller = new AbortController();
    const sending = pair.client.sink.send(contentOf(1, 100), { signal: controller.signal });
    await pair.sim.sleep(0.5);
    // The kernel has taken the bytes; only the completion is on its way.
    controller.abort(new Error("too late"));
    await sending;
    await receives(pair, contentOf(1, 100));
  });
});

test("user arrays detached between windows fail with TypeError and leak nothing", async () => {
  await withPair({ kernel: NARROW }, async (pair) => {
    const { sim, client, clientSocket } = pair;
    const bytes = contentOf(1, 1_000_000);
    const sending = outcomeOf(client.sink.send(bytes));
    await sim.sleep(10);
    bytes.buffer.transfer();
    const draining = (async () => {
      for await (const chunk of pair.server.stream) assert.ok(chunk.length > 0);
    })();
    const end = await sending;
    assert.instance((end as { error: unknown }).error, TypeError);
    await draining;
    // The bytes that went out before are correct, and the half is closed behind them.
    const { wire } = clientSocket;
    assert.ok(wire.length > 0 && wire.length < 1_000_000);
    assert.ok(wire.holds(contentOf(1, wire.length), 0));
    await assert.rejects(client.sink.send("more"), { code: "Closed" });
  });
});

test("sends that queue up behind one in flight leave together", async () => {
  await withPair({ kernel: NARROW }, async (pair) => {
    const { sim, client } = pair;
    await fill(pair);
    const first = client.sink.send(contentOf(1, 10));
    await sim.sleep(1);
    const [ring] = sim.native.rings;
    const before = ring.header[HEADER.submissions];
    const sends: Promise<void>[] = [first];
    for (let i = 0; i < 500; i++) sends.push(client.sink.send(contentOf(i, 8)));
    await receives(pair, contentOf(9, NARROW_BYTES));
    await Promise.all(sends);
    // One send for all of them; the rest is what receiving took.
    assert.ok(ring.header[HEADER.submissions] - before < 20);
    (await pair.server.stream.recv(4_010)).release();
  });
});

/** Operations that sent something so far. */
function sendCount({ network }: Pair): number {
  return network.context.meter.sendIovecs.buckets.reduce((sum, count) => sum + count, 0);
}

test("messages that were received together leave as one range where they lie", async () => {
  await withPair({}, async (pair) => {
    const { sim, network, client, server } = pair;
    await client.sink.send(contentOf(1, 300));
    await sim.sleep(10);
    const messages = [await server.stream.recv(100)];
    for (let i = 0; i < 2; i++) messages.push(await server.stream.recv(100));
    const taken = () => network.pool.stats().classes.map(({ allocations }) => allocations);
    const before = { taken: taken(), sends: sendCount(pair) };
    await Promise.all(messages.map((message) => server.sink.send(message)));
    assert.equal({ taken: taken(), sends: sendCount(pair) - 1 }, before, "one send, and no copy");
    assert.is(network.context.meter.sendIovecs.sum, 2, "one range, as the message before");
    await receives({ ...pair, server: client }, contentOf(1, 300));
  });
});

test("answers to buffered messages leave together, however the program awaits", async () => {
  await withPair({ config: { writeBufferSize: 65_536 } }, async (pair) => {
    const { sim, client, server } = pair;
    await client.sink.send(contentOf(1, 32 * 50));
    await sim.sleep(10);
    const before = sendCount(pair);
    for (let i = 0; i < 32; i++) {
      const header = await server.stream.recv(10);
      await server.sink.send(header.append(await server.stream.recv(40)));
    }
    await receives({ ...pair, server: client }, contentOf(1, 32 * 50));
    assert.is(sendCount(pair) - before, 1);
  });
});

test("the first of very many answers leaves before the last is made", async () => {
  const MESSAGES = 2_000;
  await withPair({ config: { writeBufferSize: 65_536 } }, async ({ sim, client, server }) => {
    await client.sink.send(contentOf(1, MESSAGES * 10));
    await sim.sleep(10);
    for (let i = 0; i < MESSAGES; i++) await server.sink.send(await server.stream.recv(10));
    assert.ok(server.sink.bytesSent > 0, "none has left");
    (await client.stream.recv(MESSAGES * 10)).release();
  });
});

test("a send to a closed sink takes its buffers and gives them back", async () => {
  await withPair({}, async ({ network, client }) => {
    await client.sink.close();
    const buffer = network.pool.alloc(100);
    await assert.rejects(client.sink.send(buffer), { code: "Closed" });
    assert.ok(buffer.released);
    await assert.rejects(client.sink.send("small, and gathered"), { code: "Closed" });
  });
});

/** How the bytes that a flush waits for can be dropped. */
const DROPS: Record<string, (pair: Pair) => void | Promise<void>> = {
  "a reset": ({ client }) => client.reset(),
  "a reset while the kernel has a part": async ({ client, sim }) => {
    await sim.sleep(10);
    client.reset();
  },
  "a peer that resets": async ({ server, sim }) => {
    await sim.sleep(10);
    server.reset();
  },
  "a half close that runs out of time": ({ client }) => client.sink.close(),
  "a close that runs out of time": ({ client }) => client.close(),
};

for (const [how, drop] of Object.entries(DROPS)) {
  test(`a flush gets Closed when its bytes are dropped by ${how}, closes do not`, async () => {
    const config = { shutdownTimeoutMs: 50 };
    await withPair({ kernel: NARROW, config }, async (pair) => {
      const { sink } = pair.client;
      const sends = [20_000, 10].map((length) => outcomeOf(sink.send(contentOf(1, length))));
      const flushes = [sink.flush(), sink.flush({ timeoutMs: 60_000 })]
        .map((flush) => assert.rejects(flush, { code: "Closed", operation: "flush" }));
      const closing = sink.close();
      await drop(pair);
      await Promise.all([...flushes, closing, sink.close()]);
      const ends = await Promise.all(sends);
      assert.ok(ends.every((end) => "error" in end));
    });
  });
}

test("a flush behind a send that poisons the sink gets Closed, with the reason", async () => {
  await withPair({ kernel: NARROW }, async ({ client }) => {
    const sending = outcomeOf(client.sink.send(contentOf(1, 20_000), { timeoutMs: 20 }));
    const error = await assert.rejects(client.sink.flush(), { code: "Closed", operation: "flush" });
    assert.equal(await sending, { error: error.cause });
  });
});

test("a flush waits on when a send gives up of which no byte was taken", async () => {
  await withPair({ kernel: NARROW }, async (pair) => {
    await fill(pair);
    const { sink } = pair.client;
    const sending = outcomeOf(sink.send(contentOf(1, 100), { timeoutMs: 20 }));
    const last = sink.send(contentOf(2, 100));
    const flushing = sink.flush();
    assert.ok("error" in await sending);
    await receives(pair, contentOf(9, NARROW_BYTES));
    await receives(pair, contentOf(2, 100));
    await Promise.all([last, flushing]);
  });
});

test("a flush that waits for a buffered send which fails has that send's error", async () => {
  const config = { writeBufferSize: 10_000 };
  await withPair({ kernel: NARROW, config }, async (pair) => {
    await fill(pair);
    await pair.client.sink.send(contentOf(1, 100));
    const flushing = pair.client.sink.flush();
    pair.server.reset();
    await assert.rejects(flushing, { code: "SendFailed", operation: "send" });
  });
});

test("an error of a buffered send shows on the next call", async () => {
  await withPair({ config: { writeBufferSize: 10_000 } }, async ({ sim, client }) => {
    sim.faults.plan("sendErrno", 1);
    await client.sink.send(contentOf(1, 100));
    await sim.sleep(1);
    await assert.rejects(client.sink.flush(), { code: "SendFailed" });
  });
});

test("an empty pool slows a send down and does not stop it", async () => {
  const config = { pool: { maxPerClass: 1, debug: true } };
  await withSeeds(10, { config, kernel: NARROW }, async (pair) => {
    const sends = [70_000, 100, 30_000, 5_000, 200_000]
      .map((length, key) => pair.client.sink.send(contentOf(key, length)));
    await receives(pair, contentOf(0, 70_000));
    await receives(pair, contentOf(1, 100));
    await receives(pair, contentOf(2, 30_000));
    await receives(pair, contentOf(3, 5_000));
    await receives(pair, contentOf(4, 200_000));
    await Promise.all(sends);
  });
});

test("a sink closes even when a send paused because memory was short", async () => {
  await withPair({ config: { shutdownTimeoutMs: null } }, async (pair) => {
    const { sim, network, client } = pair;
    const { setTimer } = sim.host;
    // The sink is closed as soon as the pause is over: a turn is due, but has not been taken.
    sim.host.setTimer = (callback, delayMs) =>
      setTimer.call(sim.host, () => {
        callback();
        void client.sink.close();
      }, delayMs);
    sim.faults.plan("memory", 1);
    const controller = new AbortController();
    const sending = outcomeOf(client.sink.send(contentOf(1, 100), { signal: controller.signal }));
    const { counts } = network.context.meter;
    while (counts[COUNT.retriesSend] === 0) await sim.sleep(0.01);
    sim.host.setTimer = setTimer;
    const reason = new Error("changed my mind");
    controller.abort(reason);
    assert.equal(await sending, { error: reason });
    await sim.sleep(100);
    await client.sink.close();
  });
});

test.run();
