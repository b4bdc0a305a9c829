/**
 * Storms of errnos that are tried again, and results of zero: a storm that passes is not noticed,
 * one that does not pass ends in a typed error after a bounded wait or at the deadline, and what
 * the call had not done can be done afterwards.
 *
 * @module
 */
import type { NetworkConfig } from "../../mod.ts";
import { COUNT } from "../../src/base/meter.ts";
import { LIMITS } from "../../src/base/limits.ts";
import { countedMs, readAll, until } from "../contract/fixture.ts";
import { assert, bytesEqual } from "../harness.ts";
import {
  errorOf,
  expectError,
  faultSuite,
  type FaultyPair,
  Script,
  withFaulty,
  withPair,
} from "./fixture.ts";
import { table } from "./table.ts";

const test = faultSuite("storms");

const RECEIVES: readonly [name: string, kind: "recv" | "recvSelect", config: NetworkConfig][] = [
  ["straight into its result", "recv", { readBufferSize: 0 }],
  ["into a read buffer", "recvSelect", {}],
];

async function message(
  { client, server }: FaultyPair,
  script: Script,
  length: number,
): Promise<void> {
  const received = client.stream.recv(length);
  received.catch(() => {});
  await server.sink.send(script.next(length));
  script.check((await received).toUint8Array());
}

for (const errno of ["EAGAIN", "EINTR", "ENOBUFS", "ENOMEM"]) {
  // Pauses begin with 1 ms and double: six of them are 63 ms.
  const repeat = errno.startsWith("EN") ? 6 : LIMITS.retryCountMax;

  for (const [name, kind, config] of RECEIVES) {
    test(`class 2: ${repeat} times ${errno} before a receive ${name}`, async ({ healthy }) => {
      await withPair(healthy, config, async (pair) => {
        const script = new Script(10_000);
        for (const length of [10, 3_000]) {
          table.reset({ on: kind, errno, repeat });
          await message(pair, script, length);
          assert.is(table.acted(), repeat);
        }
        assert.is(pair.faulty.context.meter.counts[COUNT.retriesRecv], 2 * repeat);
      });
    });
  }

  test(`class 2: ${repeat} times ${errno} before each of some sends`, async ({ healthy }) => {
    await withPair(healthy, {}, async ({ faulty, client, server }) => {
      const script = new Script(100_000);
      const arrived = readAll(server);
      for (const length of [10, 3_000, 80_000]) {
        table.reset({ on: "send", errno, repeat }, { on: "sendmsg", errno, repeat });
        await client.sink.send(script.next(length));
        assert.is(table.acted(0) + table.acted(1) >= repeat, true);
      }
      assert.ok(faulty.context.meter.counts[COUNT.retriesSend] >= 3 * repeat);
      await client.sink.close();
      script.check(await arrived);
    });
  });
}

test("class 2: a storm of EAGAIN on a receive that completes many times", async ({ healthy }) => {
  await withPair(healthy, {}, async (pair) => {
    const script = new Script(10_000);
    table.reset({ on: "recvMultishot", errno: "EAGAIN", repeat: 30 });
    for (let i = 0; i < 100; i++) await message(pair, script, 50);
    assert.is(table.acted(), 30);
  });
});

test("class 2: a receive that the kernel ends after one completion is asked again", async (c) => {
  await withPair(c.healthy, {}, async (pair) => {
    const script = new Script(10_000);
    table.reset({ on: "recvMultishot", clampBytes: 20 });
    for (let i = 0; i < 100; i++) await message(pair, script, 50);
    assert.ok(table.acted() > 100);
  });
});

for (const errno of ["EAGAIN", "EINTR"]) {
  test(`class 2: ${errno} without end: a bounded number of attempts`, async ({ healthy }) => {
    await withPair(healthy, {}, async ({ client, server }) => {
      table.reset({ on: "send", errno });
      const error = await errorOf(client.sink.send("hello"));
      expectError(error, { code: "SendFailed", errno, operation: "send", bytesDone: 0 });
      assert.is(table.acted(), LIMITS.retryCountMax + 1);
      // No byte had left: the sink stays usable.
      table.reset();
      await client.sink.send("world");
      assert.is((await server.stream.recv(5)).text(), "world");
      table.reset({ on: "recvSelect", errno });
      const failed = await errorOf(client.stream.recv(5));
      expectError(failed, { code: "RecvFailed", errno, operation: "recv", bytesDone: 0 });
      assert.is(table.acted(), LIMITS.retryCountMax + 1);
    });
  });
}

test("class 2: ENOBUFS without end: some seconds of attempts, then typed errors", async (c) => {
  await withPair(c.healthy, {}, async ({ client, server }) => {
    table.reset({ on: "send", errno: "ENOBUFS" }, { on: "recvSelect", errno: "ENOBUFS" });
    const calls = Promise.all([
      errorOf(client.sink.send("hello")),
      errorOf(client.stream.recv(5)),
    ]);
    const counted = countedMs(calls);
    const [sent, received] = await calls;
    assert.ok(await counted < 20_000);
    expectError(sent, { code: "SendFailed", errno: "ENOBUFS", bytesDone: 0 });
    expectError(received, { code: "RecvFailed", errno: "ENOBUFS", bytesDone: 0 });
    table.reset();
    await client.sink.send("world");
    assert.is((await server.stream.recv(5)).text(), "world");
  });
});

test("class 2: ENOBUFS without end: the deadline comes first, nothing is lost", async (c) => {
  await withPair(c.healthy, {}, async ({ client, server }) => {
    table.reset({ on: "send", errno: "ENOBUFS" }, { on: "recvSelect", errno: "ENOBUFS" });
    await server.sink.send("there");
    const errors = await Promise.all([
      errorOf(client.sink.send("hello", { timeoutMs: 60 })),
      errorOf(client.stream.recv(5, { timeoutMs: 60 })),
    ]);
    for (const error of errors) expectError(error, { code: "Timeout", bytesDone: 0 });
    table.reset();
    await client.sink.send("world");
    assert.is((await server.stream.recv(5)).text(), "world");
    assert.is((await client.stream.recv(5)).text(), "there");
  });
});

test("class 2: a storm ends with an abort, and with close()", async ({ healthy }) => {
  await withPair(healthy, {}, async ({ client }) => {
    table.reset({ on: "send", errno: "ENOBUFS" }, { on: "recvSelect", errno: "ENOMEM" });
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [client.sink.send("hello", { signal }), client.stream.recv(5, { signal })];
    const ends = calls.map((call) => call.then(() => "done", (reason) => reason));
    setTimeout(() => controller.abort("enough"), 10);
    assert.equal(await Promise.all(ends), ["enough", "enough"]);
    const waiting = errorOf(client.stream.recv(5));
    const sending = errorOf(client.sink.send("hello"));
    setTimeout(() => client.reset(), 10);
    expectError(await waiting, { code: "Closed", operation: "recv" });
    expectError(await sending, { code: "Closed", operation: "send" });
  });
});

test("class 12: errnos of accept that pass are not noticed, however many", async ({ healthy }) => {
  await withFaulty({}, async (faulty) => {
    const listener = await faulty.bind("127.0.0.1:0");
    for (const errno of ["ECONNABORTED", "EPERM", "EPROTO", "ENETDOWN", "ETIMEDOUT"]) {
      table.reset({ on: "accept", errno, repeat: LIMITS.retryCountMax });
      const [client, server] = await Promise.all([
        healthy.dial(listener.localAddress),
        listener.accept(),
      ]);
      assert.is(table.acted(), LIMITS.retryCountMax);
      await Promise.all([client.close(), server.close()]);
    }
    table.reset({ on: "accept", errno: "ECONNABORTED" });
    const error = await errorOf(listener.accept());
    expectError(error, { code: "AcceptFailed", errno: "ECONNABORTED", operation: "accept" });
    await listener.close();
  });
});

for (const errno of ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]) {
  test(`class 11: ${errno} without end in accept: back-off, deadline, recovery`, async (c) => {
    await withFaulty({}, async (faulty) => {
      const listener = await faulty.bind("127.0.0.1:0");
      table.reset({ on: "accept", errno });
      const client = await c.healthy.dial(listener.localAddress);
      const start = performance.now();
      const timeout = await errorOf(listener.accept({ timeoutMs: 200 }));
      expectError(timeout, { code: "Timeout", operation: "accept" });
      // Pauses of 5, 10, 20, 40, ... ms: it does not spin.
      const attemptsMax = 3 + Math.log2((performance.now() - start) / LIMITS.acceptBackOffFirstMs);
      assert.ok(table.acted() <= attemptsMax, `${table.acted()} attempts in 200 ms`);
      const waiting = listener.accept();
      const before = table.acted();
      await until(() => table.acted() > before + 1, "it is tried again");
      table.reset();
      const server = await waiting;
      await Promise.all([client.close(), server.close(), listener.close()]);
    });
  });
}

for (const errno of ["EADDRNOTAVAIL", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", "EACCES"]) {
  test(`class 14: a dial that meets ${errno} says so, and leaves nothing`, async ({ healthy }) => {
    await withFaulty({}, async (faulty) => {
      const listener = await healthy.bind("127.0.0.1:0");
      table.reset({ on: "connect", errno });
      const dials = Array.from({ length: 20 }, () => errorOf(faulty.dial(listener.localAddress)));
      for (const error of await Promise.all(dials)) {
        expectError(error, { code: "ConnectionFailed", errno, operation: "dial" });
      }
      await listener.close();
    });
  });
}

// -------------------------------------------------------------------------------------------- zero

for (const [name, kind, config] of RECEIVES) {
  test(`class 7: zero is the end of the stream for a receive ${name}`, async ({ healthy }) => {
    await withPair(healthy, config, async (pair) => {
      table.reset({ on: kind, zero: true, after: 1 });
      const script = new Script(100);
      const received = pair.client.stream.recv(100);
      await pair.server.sink.send(script.next(40));
      const error = await errorOf(received);
      expectError(error, { code: "RecvFailed", errno: null, bytesDone: 40, endOfStream: true });
      script.check((await pair.client.stream.recv(40)).toUint8Array());
      assert.is(await pair.client.stream.recvSome(), null);
    });
  });
}

test("class 7: zero ends a receive that completes many times", async ({ healthy }) => {
  await withPair(healthy, {}, async (pair) => {
    const script = new Script(1_000);
    table.reset({ on: "recvMultishot", zero: true });
    for (let i = 0; i < LIMITS.multishotAfterCount; i++) await message(pair, script, 10);
    assert.is(await pair.client.stream.recvSome(), null);
    assert.is(table.acted(), 1);
  });
});

test("class 2: a send that takes zero bytes is an error, with the bytes before it", async (c) => {
  for (const after of [0, 1, 3]) {
    await withPair(c.healthy, {}, async ({ client, server }) => {
      table.reset({ on: "send", zero: true, after }, { on: "send", clampBytes: 10 });
      const script = new Script(100);
      const arrived = readAll(server);
      const error = await errorOf(client.sink.send(script.next(100)));
      expectError(error, { code: "SendFailed", errno: null, bytesDone: after * 10 });
      bytesEqual(await arrived, script.bytes.subarray(0, after * 10));
    });
  }
});

test.run();
