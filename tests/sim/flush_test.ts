/**
 * A flush and a close wait for the sends that were made before, and for no others.
 *
 * @module
 */
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, type Pair, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/flush");

const NARROW = { sendCapacity: 4_096, recvCapacity: 4_096 };
/** The bytes that a narrow connection takes before its peer reads. */
const NARROW_BYTES = 8_192;
/** Both ways of sending: each awaited by the kernel, and resolved when buffered. */
const MODES = { "without write buffering": 0, "with write buffering": 1 << 20 };

/** Whether a promise is settled, as of now. */
function watched(promise: Promise<unknown>): { settled: boolean } {
  const watch = { settled: false };
  const settle = () => void (watch.settled = true);
  promise.then(settle, settle);
  return watch;
}

async function receives({ server }: Pair, expected: Uint8Array): Promise<void> {
  const got = await server.stream.recv(expected.length);
  assert.bytesEqual(got.toUint8Array(), expected);
}

/** Fills both socket buffers, so that what follows waits with no byte taken. */
async function fill({ client, sim }: Pair): Promise<void> {
  await client.sink.send(contentOf(9, NARROW_BYTES));
  await client.sink.flush();
  await sim.sleep(10);
}

for (const [mode, writeBufferSize] of Object.entries(MODES)) {
  const options = { kernel: NARROW, config: { writeBufferSize } };

  test(`a flush settles while other sends keep the queue from running empty, ${mode}`, async () => {
    await withSeeds(20, options, async (pair) => {
      const { client, server, sim } = pair;
      const sends: Promise<void>[] = [];
      let going = true;
      let ahead = 0;
      const topUp = () => {
        // More than the operation in flight holds, so that the queue never runs empty.
        for (; going && ahead < 60_000; ahead += 3_000) {
          sends.push(client.sink.send(contentOf(1, 3_000)));
        }
      };
      const reading = (async () => {
        for (let part; (part = await server.stream.recvSome()) !== null;) {
          ahead -= part.length;
          part.release();
          topUp();
        }
      })();
      topUp();
      await sim.sleep(5);
      for (let i = 0; i < 5; i++) {
        const given = client.sink.bytesSent + client.sink.bytesQueued;
        await client.sink.flush();
        assert.ok(client.sink.bytesSent >= given, "the kernel has what was given before");
        assert.ok(client.sink.bytesQueued > 0, "and not all that was given since");
      }
      going = false;
      await Promise.all(sends);
      await client.sink.close();
      await reading;
    });
  });

  test(`flushes at several places settle one after the other, ${mode}`, async () => {
    await withSeeds(20, options, async (pair) => {
      const { client, sim } = pair;
      await fill(pair);
      const lengths = [3_000, 1, 20_000, 5_000, 70_000, 10];
      const sends: Promise<void>[] = [];
      const flushes: { settled: boolean }[][] = [];
      const ends: Promise<void>[] = [];
      for (const [key, length] of lengths.entries()) {
        sends.push(client.sink.send(contentOf(key, length)));
        const two = [client.sink.flush(), client.sink.flush()];
        flushes.push(two.map(watched));
        ends.push(...two);
      }
      const last = client.sink.send(contentOf(8, 50_000));
      await sim.sleep(1);
      let given = client.sink.bytesSent;
      await receives(pair, contentOf(9, NARROW_BYTES));
      for (const [key, length] of lengths.entries()) {
        // All but the last byte of the message, and what fits into the buffers, can be taken.
        given += length;
        await receives(pair, contentOf(key, length));
        await sim.sleep(10);
        assert.ok(client.sink.bytesSent >= given);
        for (const [at, two] of flushes.entries()) {
          const position = lengths.slice(0, at + 1).reduce((sum, each) => sum + each, NARROW_BYTES);
          const reached = client.sink.bytesSent >= position;
          assert.equal(two.map(({ settled }) => settled), [reached, reached], `flush ${at}`);
        }
      }
      await receives(pair, contentOf(8, 50_000));
      await Promise.all([...sends, ...ends, last]);
    });
  });

  test(`a flush gets Closed when a part of its bytes is dropped, ${mode}`, async () => {
    await withSeeds(10, options, async (pair) => {
      const { client, sim } = pair;
      await fill(pair);
      const sends = [outcomeOf(client.sink.send(contentOf(1, 3_000)))];
      const reached = outcomeOf(client.sink.flush());
      sends.push(outcomeOf(client.sink.send(contentOf(2, 20_000))));
      const cut = outcomeOf(client.sink.flush());
      sends.push(outcomeOf(client.sink.send(contentOf(3, 10))));
      const behind = outcomeOf(client.sink.flush());
      await receives(pair, contentOf(9, NARROW_BYTES));
      await sim.sleep(5);
      assert.ok(client.sink.bytesSent >= NARROW_BYTES + 3_000);
      client.reset();
      assert.equal(await reached, { value: undefined });
      const [first, second] = await Promise.all([cut, behind]) as { error: { code: string } }[];
      // The first to be told has the error of a buffered send, where there is one.
      assert.equal([first.error.code, second.error.code], ["Closed", "Closed"]);
      await Promise.all(sends);
    });
  });

  test(`a flush that gives up ends alone, and those around it wait on, ${mode}`, async () => {
    await withPair(options, async (pair) => {
      const { client, sim } = pair;
      await fill(pair);
      const sending = client.sink.send(contentOf(1, 3_000));
      const controller = new AbortController();
      const first = client.sink.flush();
      const overdue = outcomeOf(client.sink.flush({ timeoutMs: 20 }));
      const aborted = outcomeOf(client.sink.flush({ signal: controller.signal }));
      const last = client.sink.flush();
      const more = client.sink.send(contentOf(2, 3_000));
      const watches = [first, last].map(watched);
      controller.abort("enough");
      assert.equal(await aborted, { error: "enough" });
      assert.is((await overdue as { error: { code: string } }).error.code, "Timeout");
      await sim.sleep(10);
      assert.equal(watches, [{ settled: false }, { settled: false }]);
      await receives(pair, contentOf(9, NARROW_BYTES));
      await Promise.all([sending, first, last]);
      await receives(pair, contentOf(1, 3_000));
      await receives(pair, contentOf(2, 3_000));
      await more;
    });
  });

  test(`a close waits for what was given before it and refuses what follows, ${mode}`, async () => {
    for (const close of ["sink", "connection"] as const) {
      await withPair(options, async (pair) => {
        const { client, server } = pair;
        const sends = [1, 2, 3].map((key) => client.sink.send(contentOf(key, 9_000)));
        const flushing = client.sink.flush();
        const closing = close === "sink" ? client.sink.close() : client.close();
        const refused = outcomeOf(client.sink.send(contentOf(4, 9_000)));
        for (const key of [1, 2, 3]) await receives(pair, contentOf(key, 9_000));
        assert.is(await server.stream.recvSome(), null);
        await Promise.all([...sends, flushing, closing]);
        const { error } = await refused as { error: { code: string } };
        assert.is(error.code, "Closed");
      });
    }
  });
}

test("a flush does not wait for a send that has given up of which no byte was taken", async () => {
  for (const end of ["abort", "timeout"]) {
    await withPair({ kernel: NARROW }, async (pair) => {
      const { client, sim } = pair;
      const filling = outcomeOf(client.sink.send(contentOf(9, 400_000)));
      const controller = new AbortController();
      const options = end === "abort" ? { signal: controller.signal } : { timeoutMs: 20 };
      const given = client.sink.flush();
      const ended = outcomeOf(client.sink.send(contentOf(1, 100), options));
      const flushed = client.sink.flush();
      await sim.sleep(1);
      if (end === "abort") controller.abort("enough");
      assert.ok("error" in await ended);
      // It comes later than both flushes, and stands where the one that gave up had stood.
      const later = outcomeOf(client.sink.send(contentOf(2, 400_000)));
      await receives(pair, contentOf(9, 400_000));
      await Promise.all([filling, given, flushed]);
      assert.ok(client.sink.bytesQueued > 300_000, "the later send is not done");
      await receives(pair, contentOf(2, 400_000));
      await later;
    });
  }
});

test("a flush settles at once when all that it waits for is aborted", async () => {
  await withSeeds(20, { kernel: NARROW, faults: { cancelInterrupts: 0.5 } }, async (pair) => {
    const { client, sim } = pair;
    await fill(pair);
    const controller = new AbortController();
    const { signal } = controller;
    // Some are with the kernel already, some wait, and what comes later goes on waiting.
    const aborted = [3_000, 70_000, 10].map((length) =>
      outcomeOf(client.sink.send(contentOf(1, length), { signal }))
    );
    const flushing = client.sink.flush();
    const later = client.sink.send(contentOf(2, 5_000));
    const watch = watched(later);
    await sim.sleep(sim.random.float());
    controller.abort("enough");
    await Promise.all([...aborted, flushing]);
    assert.not(watch.settled);
    assert.is(client.sink.bytesSent, NARROW_BYTES);
    await receives(pair, contentOf(9, NARROW_BYTES));
    await receives(pair, contentOf(2, 5_000));
    await later;
  });
});

test("a flush behind a sent message resolves when the next one is cut off", async () => {
  for (const end of ["abort", "timeout", "errno"]) {
    await withPair({ kernel: NARROW }, async (pair) => {
      const { client, sim } = pair;
      await fill(pair);
      const controller = new AbortController();
      const options = end === "abort"
        ? { signal: controller.signal }
        : { timeoutMs: end === "timeout" ? 40 : null };
      const sent = client.sink.send(contentOf(1, 3_000));
      const before = outcomeOf(client.sink.flush());
      const cut = outcomeOf(client.sink.send(contentOf(2, 20_000), options));
      const behind = outcomeOf(client.sink.flush());
      await sim.sleep(1);
      await receives(pair, contentOf(9, NARROW_BYTES));
      await sim.sleep(10);
      if (end === "abort") controller.abort("enough");
      if (end === "errno") pair.server.reset();
      const { error: cause } = await cut as { error: unknown };
      await sent;
      assert.equal(await before, { value: undefined });
      const { error } = await behind as { error: { code: string; cause: unknown } };
      assert.is(error.code, "Closed");
      if (end !== "abort") assert.is(error.cause, cause);
    });
  }
});

test("the error of a buffered send is not shown to a flush that came before it", async () => {
  const config = { writeBufferSize: 1 << 20 };
  const faults = { late: 0.5, deferred: 0.5, cancelLoses: 0.5 };
  let reachedCount = 0;
  let laterCount = 0;
  await withSeeds(100, { kernel: NARROW, config, faults }, async (pair) => {
    const { client, sim } = pair;
    await fill(pair);
    await client.sink.send(contentOf(1, 3_000));
    const before = outcomeOf(client.sink.flush());
    await client.sink.send(contentOf(2, 50_000));
    const reading = receives(pair, contentOf(9, NARROW_BYTES));
    await sim.sleep(sim.random.float() * 2);
    // The second send is dropped at once; the answer about the first may be still to come.
    client.reset();
    const end = await before;
    const next = await outcomeOf(client.sink.flush());
    await reading.catch(() => {});
    if ("error" in end) {
      assert.match((end.error as Error).message, /Cannot send 3000 bytes/);
    } else {
      reachedCount++;
      if ("error" in next) {
        assert.match((next.error as Error).message, /Cannot send 50000 bytes/);
        laterCount++;
      }
    }
  });
  assert.ok(reachedCount > 0 && laterCount > 0, `${reachedCount} reached, ${laterCount} later`);
});

test("an error of a buffered send that leaves the sink open shows to a flush behind", async () => {
  await withPair({ config: { writeBufferSize: 10_000 } }, async (pair) => {
    const { client, sim } = pair;
    sim.faults.plan("memory", 100);
    await client.sink.send(contentOf(1, 100));
    const flushes = [1, 2].map(() => outcomeOf(client.sink.flush()));
    const [first, second] = await Promise.all(flushes);
    assert.is((first as { error: { code: string } }).error.code, "SendFailed");
    assert.equal(second, { value: undefined }, "an error is shown once");
    sim.faults.plan("memory", 0);
    assert.not(client.sink.closed);
    await client.sink.send(contentOf(2, 100));
    await client.sink.flush();
    await receives(pair, contentOf(2, 100));
  });
});

test("flushes after the queue was empty, and after flushes that gave up, begin anew", async () => {
  await withPair({ kernel: NARROW }, async (pair) => {
    const { client } = pair;
    for (let round = 0; round < 5; round++) {
      await fill(pair);
      const sends = [client.sink.send(contentOf(1, 100))];
      const overdue = [1, 2, 3].map(() => outcomeOf(client.sink.flush({ timeoutMs: 5 })));
      await Promise.all(overdue);
      sends.push(client.sink.send(contentOf(2, 3_000)));
      const flushing = client.sink.flush();
      const watch = watched(flushing);
      await pair.sim.sleep(10);
      assert.not(watch.settled);
      await receives(pair, contentOf(9, NARROW_BYTES));
      await Promise.all([...sends, flushing]);
      await receives(pair, contentOf(1, 100));
      await receives(pair, contentOf(2, 3_000));
    }
  });
});

test.run();
