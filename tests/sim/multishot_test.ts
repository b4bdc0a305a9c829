/**
 * Receives that complete many times, on a fake kernel: how they begin and end, and what races them.
 *
 * @module
 */
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, type Pair, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/multishot");

const CHAT_COUNT = 20;
const CHAT_BYTES = 100;
/** Bytes of the client's message 1 that `chat` has used up. */
const CHATTED = CHAT_COUNT * CHAT_BYTES;

/** Small, awaited messages until the server's receiving half has a multishot receive. */
async function chat({ client, server, serverSocket }: Pair): Promise<void> {
  for (let at = 0; at < CHATTED; at += CHAT_BYTES) {
    const receiving = server.stream.recv(CHAT_BYTES);
    await client.sink.send(contentOf(1, CHAT_BYTES, at));
    assert.bytesEqual((await receiving).toUint8Array(), contentOf(1, CHAT_BYTES, at));
  }
  assert.is(serverSocket.recv?.kind, "recvMultishot");
}

/** Reads to the end in pieces of any size, and compares. */
async function readOut({ server, sim }: Pair, length: number): Promise<void> {
  for (let at = CHATTED; at < CHATTED + length;) {
    const got = await server.stream.recvSome(sim.random.int(1, 20_000));
    assert.ok(got !== null, `the stream ends at ${at}`);
    const bytes = got!.toUint8Array();
    assert.bytesEqual(bytes, contentOf(1, bytes.length, at));
    at += bytes.length;
  }
}

test("small, awaited messages are received without a submission for each", async () => {
  await withPair({}, async (pair) => {
    await chat(pair);
    const { client, server, serverSocket } = pair;
    const { generation } = serverSocket.recv!;
    for (let at = CHATTED; at < CHATTED + 5_000; at += 100) {
      const receiving = server.stream.recv(100);
      await client.sink.send(contentOf(1, 100, at));
      assert.bytesEqual((await receiving).toUint8Array(), contentOf(1, 100, at));
    }
    assert.is(serverSocket.recv?.generation, generation);
  });
});

test("a multishot receive that ends early, or for lack of buffers, loses no byte", async () => {
  for (const bufferCount of [1, 3, 256]) {
    const sizes = { bufferCount };
    const faults = { multishotEnds: 0.3, shortRecv: 0.3, late: 0.2, reordered: 0.5, deferred: 0.3 };
    await withSeeds(15, { sizes }, async (pair) => {
      await chat(pair);
      Object.assign(pair.sim.faults.rates, faults);
      const { client, sim } = pair;
      const reading = readOut(pair, 60_000);
      let at = CHATTED;
      while (at < CHATTED + 60_000) {
        const length = Math.min(sim.random.pick([1, 300, 9_000, 30_000]), CHATTED + 60_000 - at);
        await client.sink.send(contentOf(1, length, at));
        at += length;
      }
      await reading;
    });
  }
});

test("FIN behind bytes ends a multishot receive after them, with any buffers", async () => {
  for (const bufferCount of [1, 256]) {
    await withSeeds(10, { sizes: { bufferCount } }, async (pair) => {
      await chat(pair);
      const { client, server, sim } = pair;
      const first = server.stream.recv(50);
      await client.sink.send(contentOf(1, 50, CHATTED));
      if (sim.random.chance(0.5)) await sim.sleep(sim.random.float());
      await client.sink.close();
      assert.bytesEqual((await first).toUint8Array(), contentOf(1, 50, CHATTED));
      assert.is(await server.stream.recvSome(), null);
      assert.is(server.stream.bytesReceived, CHATTED + 50);
    });
  }
});

test("RST ends a multishot receive with an error, and bytes stay readable", async () => {
  await withSeeds(10, {}, async (pair) => {
    await chat(pair);
    const { client, server, sim } = pair;
    const waiting = outcomeOf(server.stream.recv(1_000));
    await client.sink.send(contentOf(1, 300, CHATTED));
    await sim.sleep(1);
    client.reset();
    const { error } = await waiting as { error: Record<string, unknown> };
    assert.is(error.code, "RecvFailed");
    assert.is(error.errno, "ECONNRESET");
    assert.is(error.bytesDone, 300);
    const got = server.stream.tryRecv(300);
    assert.bytesEqual(got!.toUint8Array(), contentOf(1, 300, CHATTED));
  });
});

test("timeouts and aborts of calls that a multishot receive serves lose no byte", async () => {
  const faults = { late: 0.3, multishotEnds: 0.1, cancelLoses: 0.5, reordered: 0.5 };
  await withSeeds(30, {}, async (pair) => {
    await chat(pair);
    Object.assign(pair.sim.faults.rates, faults);
    const { client, server, sim } = pair;
    const { random } = sim;
    const end = CHATTED + 20_000;
    const sending = (async () => {
      for (let at = CHATTED; at < end; at += 200) {
        await client.sink.send(contentOf(1, 200, at));
        await sim.sleep(random.float());
      }
    })();
    let [at, gaveUp] = [CHATTED, 0];
    while (at < end) {
      const controller = new AbortController();
      const timeoutMs = random.chance(0.3) ? random.int(0, 5) : null;
      if (random.chance(0.3)) sim.host.at(random.float(), () => controller.abort(new Error("no")));
      const length = Math.min(random.int(1, 900), end - at);
      const { signal } = controller;
      const result = await outcomeOf(server.stream.recv(length, { timeoutMs, signal }));
      if ("error" in result) {
        gaveUp++;
        continue;
      }
      assert.bytesEqual(result.value.toUint8Array(), contentOf(1, length, at));
      at += length;
    }
    await sending;
    assert.ok(gaveUp > 0, "nobody gave up");
  });
});

test("a large recv() takes over from a multishot receive, whatever the cancel meets", async () => {
  const faults = { late: 0.5, cancelLoses: 0.5, cancelInterrupts: 0.3, cancelMisses: 0.3 };
  await withSeeds(40, {}, async (pair) => {
    await chat(pair);
    Object.assign(pair.sim.faults.rates, faults);
    const { client, server, sim } = pair;
    const sending = (async () => {
      for (let at = CHATTED; at < CHATTED + 100_000; at += 4_000) {
        await client.sink.send(contentOf(1, 4_000, at));
        if (sim.random.chance(0.3)) await sim.sleep(sim.random.float());
      }
    })();
    await sim.sleep(sim.random.float() * 2);
    const got = await server.stream.recv(99_000);
    assert.bytesEqual(got.toUint8Array(), contentOf(1, 99_000, CHATTED));
    const rest = await server.stream.recv(1_000);
    assert.bytesEqual(rest.toUint8Array(), contentOf(1, 1_000, CHATTED + 99_000));
    await sending;
  });
});

test("a multishot receive whose cancel is lost still ends with its connection", async () => {
  const ends: [end: (pair: Pair) => unknown, codes: string[]][] = [
    [({ server }) => server.close(), ["Closed"]],
    [({ server }) => server.reset(), ["Closed"]],
    // The client is closed as well, in the middle of a message.
    [({ network }) => network.close(), ["Closed", "RecvFailed"]],
  ];
  for (const soLinger of [null, 0]) {
    for (const [end, codes] of ends) {
      await withSeeds(10, { config: { soLinger, shutdownTimeoutMs: 10 } }, async (pair) => {
        await chat(pair);
        const { rates } = pair.sim.faults;
        Object.assign(rates, { cancelMisses: 1, late: 0.3 });
        const { client, server, sim } = pair;
        const waiting = outcomeOf(server.stream.recv(1_000));
        const sending = outcomeOf(client.sink.send(contentOf(1, sim.random.int(1, 900), CHATTED)));
        await sim.sleep(sim.random.float());
        const startedMs = sim.host.now();
        await end(pair);
        const { error } = await waiting as { error: { code: string } };
        assert.ok(codes.includes(error.code), error.code);
        while (pair.serverSocket.open) await sim.sleep(1);
        assert.ok(sim.host.now() - startedMs < 200, "the descriptor is closed soon");
        await sending;
      });
    }
  }
});

test("bytes that no call awaits end a multishot receive and stay in the kernel", async () => {
  await withSeeds(10, {}, async (pair) => {
    await chat(pair);
    const { client, server, sim } = pair;
    const sending = client.sink.send(contentOf(1, 400_000, CHATTED));
    await sim.sleep(50);
    const { buffered } = server.stream;
    assert.ok(buffered >= 8_192 && buffered <= 4 * 8_192, `${buffered} bytes are buffered`);
    assert.is(pair.serverSocket.recv, null);
    await readOut(pair, 400_000);
    await sending;
  });
});

test("buffers of the two kinds are not confused where one class serves small ones", async () => {
  const config = { pool: { minSize: 16_384, maxPerClass: 4, debug: true } };
  await withSeeds(5, { config }, async (pair) => {
    await chat(pair);
    const { client, server, sim } = pair;
    // Two arrivals that no call awaits: the second is copied behind the first, its buffer is free.
    for (const at of [0, 100]) {
      await client.sink.send(contentOf(1, 100, CHATTED + at));
      await sim.sleep(1);
    }
    // From here on reads are single ones, of up to 64 KiB.
    const sending = client.sink.send(contentOf(1, 300_000, CHATTED + 200));
    await readOut(pair, 300_200);
    assert.is(server.stream.buffered, 0);
    await sending;
  });
});

test.run();
