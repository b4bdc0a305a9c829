/**
 * Receiving: exact lengths, peeking, order, and patience that loses nothing.
 *
 * @module
 */
import { type Connection, IoBuf, type NetworkConfig } from "../../../mod.ts";
import { assert, bytesEqual, Random } from "../../harness.ts";
import {
  concat,
  connect,
  type ContractSuite,
  countedMs,
  expectAlive,
  expectBytes,
  expectText,
  pattern,
  pause,
  settlesWithin,
  SOON_MS,
  started,
  until,
} from "../fixture.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

export function receiving(test: ContractSuite, config: NetworkConfig): void {
  test("1,000 messages of 8 KiB are echoed, one after the other", async ({ network }) => {
    await using pair = await connect(network);
    const message = Uint8Array.from({ length: 8_192 }, (_, i) => i % 256);
    const echo = (async () => {
      for (let i = 0; i < 1_000; i++) {
        await pair.server.sink.send(await pair.server.stream.recv(8_192));
      }
    })();
    for (let i = 0; i < 1_000; i++) {
      await pair.client.sink.send(message);
      using received = (await pair.client.stream.recv(8_192)).coalesce();
      bytesEqual(received.bytes, message, `message ${i}`);
    }
    await echo;
  });

  test("a small send arrives through the read buffer", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send("0123456789");
    await expectText(pair.server, "0123456789");
  });

  test("peek: 28 bytes, received in two parts", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    assert.is(stream.peek(100).length, 0, "nothing has arrived");
    await pair.client.sink.send("hello world - peek test data");
    await expectText(pair.server, "hello");
    const first = text(stream.peek(100));
    assert.ok(first.length > 0);
    assert.is(text(stream.peek(100)), first, "peeking consumes nothing");
    assert.is(text(stream.peek(3)), first.slice(0, 3));
    await expectText(pair.server, " world - peek test data");
    assert.is(stream.peek(100).length, 0, "everything is received");
  });

  test("peek: hello, then world", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    await pair.client.sink.send("hello world");
    await expectText(pair.server, "hello");
    assert.is(stream.buffered, 6);
    assert.is(text(stream.peek(100)), " world");
    assert.is(text(stream.peek(100)), " world");
    assert.is(text(stream.peek(3)), " wo");
    assert.is(stream.peek(0).length, 0);
    await expectText(pair.server, " world");
    assert.is(stream.peek(100).length, 0);
    assert.is(stream.buffered, 0);
  });

  test("peek joins what arrived in several pieces", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const parts = [pattern(40_000, 1), pattern(50_000, 2), pattern(30, 3)];
    const controller = new AbortController();
    const waiting = stream.recv(200_000, { signal: controller.signal }).catch((error) => error);
    let sent = 0;
    for (const part of parts) {
      await pair.client.sink.send(part);
      sent += part.length;
      await until(() => stream.bytesReceived === sent, "the part has come");
    }
    controller.abort("enough");
    assert.is(await waiting, "enough");
    assert.is(stream.buffered, 90_030);
    bytesEqual(stream.peek(200_000), concat(parts));
    bytesEqual(stream.peek(40_010), concat(parts).subarray(0, 40_010));
    await expectBytes(pair.server, concat(parts));
  });

  test("a receive that times out loses no byte", async () => {
    await using own = await started({ ...config, readTimeoutMs: 100 });
    await using pair = await connect(own.network);
    const { stream } = pair.server;
    await pair.client.sink.send("12345");
    await stream.wait(5, { timeoutMs: SOON_MS });
    const start = performance.now();
    const receiving = stream.recv(100);
    const counted = countedMs(receiving);
    await assert.rejects(receiving, {
      code: "Timeout",
      operation: "recv",
      bytesDone: 5,
      endOfStream: false,
    });
    assert.ok(performance.now() - start >= 100, "not before its budget is over");
    assert.ok(await counted < 300, `it took ${await counted} ms`);
    assert.not(stream.closed);
    assert.is(stream.buffered, 5);
    assert.is(text(stream.peek(10)), "12345");
    await pair.client.sink.send("67890");
    await expectText(pair.server, "1234567890");
    await expectAlive(pair);
  });

  test("a budget counts for the whole call, not for each arrival", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    // The first byte is there before the budget begins, however long it takes to come.
    await pair.client.sink.send("x");
    await stream.wait(1);
    let sent = 1;
    const recv = stream.recv(100_000, { timeoutMs: 100 });
    const outcome = recv.catch((error) => error);
    while (!await settlesWithin(outcome, 10)) {
      await pair.client.sink.send("x");
      sent++;
    }
    const error = await outcome;
    assert.is(error.code, "Timeout");
    assert.is(error.bytesDone <= sent && error.bytesDone > 0, true);
    await until(() => sent === 0 || stream.bytesReceived <= sent, "counted");
    await expectText(pair.server, "x".repeat(sent));
  });

  test("a receive whose budget is over at once takes only what is there", async ({ network }) => {
    await using pair = await connect(network);
    await assert.rejects(pair.server.stream.recv(1, { timeoutMs: 0 }), { code: "Timeout" });
    await pair.client.sink.send("abc");
    await expectText(pair.server, "a");
    assert.is((await pair.server.stream.recv(1, { timeoutMs: 0 })).text(), "b");
    assert.is((await pair.server.stream.recvSome(9, { timeoutMs: 0 }))?.text(), "c");
    await expectAlive(pair);
  });

  test("an aborted receive loses no byte", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const reason = new Error("no longer wanted");
    const aborted = stream.recv(10, { signal: AbortSignal.abort(reason) });
    assert.is(await aborted.catch((error) => error), reason);
    for (const length of [100, 65_536, 1 << 20]) {
      const controller = new AbortController();
      const recv = stream.recv(length, { signal: controller.signal });
      const outcome = recv.catch((error) => error);
      await pair.client.sink.send("12345");
      assert.not(await settlesWithin(outcome, 20));
      controller.abort(reason);
      assert.is(await outcome, reason);
      await pair.client.sink.send("67890");
      await expectText(pair.server, "1234567890");
    }
    await pair.server.sink.send("ok");
    await expectText(pair.client, "ok");
    assert.not(stream.closed);
  });

  test("a small receive given up before it is in flight, then a large one", async ({ network }) => {
    // A row of small messages changes how the library receives; how long a row is its own affair.
    for (let row = 10; row <= 24; row++) {
      await using pair = await connect(network);
      const { stream } = pair.client;
      for (let i = 0; i < row; i++) {
        const small = stream.recv(10);
        await pair.server.sink.send(pattern(10, i));
        bytesEqual((await small).toUint8Array(), pattern(10, i));
      }
      const controller = new AbortController();
      const aborted = stream.recv(10, { signal: controller.signal }).catch((error) => error);
      controller.abort("at once");
      const large = stream.recv(200_000, { timeoutMs: SOON_MS });
      await pair.server.sink.send(pattern(200_000, row));
      bytesEqual((await large).toUint8Array(), pattern(200_000, row));
      assert.is(await aborted, "at once");
    }
  });

  test("an aborted receive rejects with the reason, whatever it is", async ({ network }) => {
    await using pair = await connect(network);
    for (const reason of [null, 0, "", false, new Error("x"), { code: "Timeout" }]) {
      const controller = new AbortController();
      const outcome = pair.server.stream.recv(1, { signal: controller.signal }).then(
        () => assert.unreachable("nothing was sent"),
        (thrown) => ({ thrown }),
      );
      controller.abort(reason);
      assert.is((await outcome)?.thrown, reason);
    }
    await expectAlive(pair);
  });

  test("receives with the same budget time out in order", async ({ network }) => {
    await using pair = await connect(network);
    let order = "";
    const calls = [..."ABCDE"].map((name) =>
      assert.rejects(pair.client.stream.recv(1, { timeoutMs: 20 }), { code: "Timeout" })
        .then(() => order += name)
    );
    await Promise.all(calls);
    assert.is(order, "ABCDE");
  });

  test("an aborted call in the middle of the queue lets others through", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const controller = new AbortController();
    const first = stream.recv(3);
    const second = stream.recv(3, { signal: controller.signal });
    const third = stream.recvSome(3);
    const fourth = stream.recv(3, { timeoutMs: 20 });
    controller.abort("second");
    assert.is(await second.catch((reason) => reason), "second");
    await assert.rejects(fourth, { code: "Timeout" });
    await pair.client.sink.send("abcdef");
    assert.is((await first).text(), "abc");
    assert.is((await third)?.text(), "def");
    await expectAlive(pair);
  });

  test("a receive that times out behind another one counts no bytes", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const first = stream.recv(100);
    await pair.client.sink.send(pattern(50));
    await until(() => stream.buffered === 50, "half of the first one's bytes are there");
    const behind = [stream.recv(10, { timeoutMs: 0 }), stream.recvSome(9, { timeoutMs: 0 })];
    const errors = await Promise.all(behind.map((call) => call.catch((error) => error)));
    await pair.client.sink.send(pattern(100).subarray(50));
    bytesEqual((await first).toUint8Array(), pattern(100));
    assert.equal(errors.map(({ code, bytesDone }) => [code, bytesDone]), [
      ["Timeout", 0],
      ["Timeout", 0],
    ]);
    await expectAlive(pair);
  });

  for (const readBufferSize of [65_536, 512, 0]) {
    test(
      `impatient receives of a trickle: no byte is lost (read buffer ${readBufferSize})`,
      async () => {
        await using own = await started({ ...config, readBufferSize });
        await using pair = await connect(own.network);
        await impatience(pair.client, pair.server);
      },
      { timeoutMs: 30_000 },
    );
  }

  test("unbuffered: exact receives, no byte to peek at", async () => {
    await using own = await started({ ...config, readBufferSize: 0 });
    await using pair = await connect(own.network);
    const { stream } = pair.server;
    assert.is(stream.peek(10).length, 0);
    await pair.client.sink.send("first");
    await pair.client.sink.send("after");
    await expectText(pair.server, "first");
    assert.is(stream.peek(10).length, 0);
    assert.is(stream.buffered, 0);
    await expectText(pair.server, "after");
    assert.is(stream.peek(10).length, 0);
    await pair.client.sink.send(pattern(200_000));
    await expectBytes(pair.server, pattern(200_000).subarray(0, 10));
    assert.is(stream.tryRecv(1), null);
    for (let at = 10; at < 200_000;) {
      using some = await stream.recvSome() as IoBuf;
      assert.instance(some, IoBuf);
      bytesEqual(some.bytes, pattern(200_000).subarray(at, at + some.length));
      at += some.length;
    }
    assert.is(stream.buffered, 0);
  });

  test("unbuffered: recvSome takes the arrived bytes without waiting for more", async () => {
    await using own = await started({ ...config, readBufferSize: 0 });
    await using pair = await connect(own.network);
    const { stream } = pair.server;
    const pending = stream.recvSome();
    await pair.client.sink.send("hello");
    assert.is((await pending)?.text(), "hello");
    await pair.client.sink.send("world");
    assert.is((await stream.recvSome(3, { timeoutMs: SOON_MS }))?.text(), "wor");
    assert.is((await stream.recvSome(9, { timeoutMs: SOON_MS }))?.text(), "ld");
    const last = stream.recvSome();
    await pair.client.sink.close();
    assert.is(await last, null);
  });

  test("unbuffered: the bytes of a timed-out receive stay for the next one", async () => {
    await using own = await started({ ...config, readBufferSize: 0 });
    await using pair = await connect(own.network);
    await pair.client.sink.send("12345");
    await assert.rejects(pair.server.stream.recv(10, { timeoutMs: 40 }), { code: "Timeout" });
    await pair.client.sink.send("67890abc");
    await expectText(pair.server, "1234567890");
    await expectText(pair.server, "abc");
  });

  test("a receive as large as the read buffer bypasses it, and reads no further", async () => {
    await using own = await started({ ...config, readBufferSize: 8 });
    await using pair = await connect(own.network);
    const { stream } = pair.server;
    const recv = stream.recv(8);
    await pair.client.sink.send("abcdefghi");
    assert.is((await recv).text(), "abcdefgh");
    assert.is(stream.peek(1).length, 0);
    assert.is(stream.buffered, 0);
    await expectText(pair.server, "i");
  });

  test("a large receive begins with the buffered bytes and takes exactly the rest", async () => {
    await using own = await started({ ...config, readBufferSize: 64 });
    await using pair = await connect(own.network);
    const bytes = pattern(1_000, 4);
    await pair.client.sink.send(bytes);
    await expectBytes(pair.server, bytes.subarray(0, 10));
    assert.is(pair.server.stream.buffered, 54);
    await expectBytes(pair.server, bytes.subarray(10, 900));
    assert.is(pair.server.stream.buffered, 0);
    await expectBytes(pair.server, bytes.subarray(900));
  });

  test("an exact receive waits for bytes that come later", async ({ network }) => {
    await using pair = await connect(network);
    const recv = pair.server.stream.recv(100);
    await pair.client.sink.send(pattern(100).subarray(0, 40));
    assert.not(await settlesWithin(recv, 20));
    await pair.client.sink.send(pattern(100).subarray(40));
    bytesEqual((await recv).toUint8Array(), pattern(100));
  });

  test("overlapping receives are served in order", async ({ network }) => {
    await using pair = await connect(network);
    const random = new Random();
    const parts = Array.from(
      { length: 300 },
      (_, i) => pattern(random.pick([1, 10, 1_000, 65_535, 65_536, 100_000]), i),
    );
    const resolved: number[] = [];
    const receives = parts.map(async (part, i) => {
      const received = await pair.server.stream.recv(part.length);
      resolved.push(i);
      bytesEqual(received.toUint8Array(), part, `receive ${i}`);
    });
    await pair.client.sink.send(concat(parts));
    await Promise.all(receives);
    assert.equal(resolved, parts.map((_, i) => i));
  });

  test("recv, recvSome and tryRecv in any mixture give each byte once", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const random = new Random();
    const bytes = pattern(2 << 20, 8);
    const sending = (async () => {
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(at + random.int(1, 150_000), bytes.length);
        await pair.client.sink.send(bytes.subarray(at, end));
        at = end;
      }
    })();
    for (let at = 0; at < bytes.length;) {
      const wanted = Math.min(random.pick([1, 100, 5_000, 70_000, 200_000]), bytes.length - at);
      let received: { length: number; toUint8Array(): Uint8Array } | null;
      const kind = random.int(0, 2);
      if (kind === 0) received = await stream.recv(wanted);
      else if (kind === 1) received = await stream.recvSome(wanted);
      else received = stream.tryRecv(wanted);
      if (received === null) {
        assert.ok(kind === 2 && stream.buffered < wanted);
        continue;
      }
      const { length } = received;
      assert.ok(length >= 1 && length <= wanted && (kind === 1 || length === wanted));
      bytesEqual(received.toUint8Array(), bytes.subarray(at, at + length), `at ${at}`);
      at += length;
    }
    await sending;
    assert.is(stream.bytesReceived, bytes.length);
  });

  test("tryRecv takes buffered bytes, and never overtakes a call", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    assert.is(stream.tryRecv(1), null);
    assert.is(stream.tryRecv(0)?.length, 0);
    await pair.client.sink.send("abcdef");
    await expectText(pair.server, "a");
    assert.is(stream.tryRecv(6), null);
    assert.is(stream.tryRecv(2)?.text(), "bc");
    const waiting = stream.recv(5);
    assert.is(stream.tryRecv(1), null, "three bytes are buffered, but a call waits for them");
    await pair.client.sink.send("gh");
    assert.is((await waiting).text(), "defgh");
  });

  test("recvSome takes the bytes that have arrived, up to its limit", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    await pair.client.sink.send("hello world");
    assert.is((await stream.recvSome(5))?.text(), "hello");
    assert.is((await stream.recvSome(1))?.text(), " ");
    assert.is((await stream.recvSome())?.text(), "world");
    const pending = stream.recvSome(2);
    await pair.client.sink.send("xyz");
    assert.is((await pending)?.text(), "xy");
    assert.is((await stream.recvSome())?.text(), "z");
  });

  test("recv(0) resolves at once, whichever calls wait", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    assert.is((await stream.recv(0)).length, 0);
    const waiting = stream.recv(1);
    assert.is((await stream.recv(0)).text(), "");
    await pair.client.sink.send("x");
    assert.is((await waiting).text(), "x");
  });

  test("a receive larger than every class of the pool", async ({ network }) => {
    await using pair = await connect(network);
    for (const length of [65_537, 1 << 20, 10 << 20]) {
      const bytes = pattern(length, length);
      const [received] = await Promise.all([
        pair.server.stream.recv(length),
        pair.client.sink.send(bytes),
      ]);
      assert.is(received.length, length);
      bytesEqual(received.toUint8Array(), bytes);
    }
  });

  test("iterating over a stream yields plain copies until the end", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = pattern(500_000, 6);
    const sending = pair.client.sink.send(bytes).then(() => pair.client.sink.close());
    const parts: Uint8Array[] = [];
    for await (const part of pair.server.stream) {
      assert.instance(part, Uint8Array);
      parts.push(part);
    }
    bytesEqual(concat(parts), bytes);
    await sending;
  });

  test("leaving the iteration leaves the stream open", async ({ network }) => {
    await using pair = await connect(network);
    for (const word of ["one", "two"]) {
      await pair.client.sink.send(word);
      for await (const part of pair.server.stream) {
        assert.is(text(part), word);
        break;
      }
    }
    await expectAlive(pair);
  });

  test("received buffers live on after their connection and their network", async () => {
    await using own = await started(config);
    const bytes = pattern(100_000);
    let whole, part;
    {
      await using pair = await connect(own.network);
      const sending = pair.client.sink.send(bytes);
      whole = await pair.server.stream.recv(90_000);
      part = whole.slice(10, 20);
      await expectBytes(pair.server, bytes.subarray(90_000));
      await sending;
    }
    bytesEqual(whole.toUint8Array(), bytes.subarray(0, 90_000));
    bytesEqual(part.toUint8Array(), bytes.subarray(10, 20));
  });

  test("waiting calls hold no buffers: 400 idle receives", async () => {
    await using own = await started(config);
    const { network } = own;
    const listener = await network.bind("127.0.0.1:0");
    const connections: Connection[] = [];
    const pending: Promise<unknown>[] = [];
    for (let i = 0; i < 200; i++) {
      const [client, server] = await Promise.all([
        network.dial(listener.localAddress),
        listener.accept(),
      ]);
      connections.push(client, server);
      for (const each of [client, server]) pending.push(each.stream.recvSome().catch(() => null));
    }
    await pause(20);
    const big = network.pool.stats().classes.find(({ sizeBytes }) => sizeBytes === 65_536);
    assert.ok(big !== undefined && big.allocated <= 256, `${big?.allocated} read buffers`);
    await Promise.all(connections.map((connection) => connection.close()));
    await Promise.all([...pending, listener.close()]);
  });
}

/** One side sends bit by bit, the other loses its patience again and again. */
async function impatience(from: Connection, to: Connection): Promise<void> {
  const random = new Random();
  const bytes = pattern(120_000, 11);
  const draws = random.fork();
  const sending = (async () => {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(at + draws.int(1, 2_000), bytes.length);
      await from.sink.send(bytes.subarray(at, end));
      if (draws.chance(0.5)) await pause(draws.int(0, 4));
      at = end;
    }
  })();
  let given = 0;
  for (let at = 0; at < bytes.length;) {
    const wanted = Math.min(random.pick([1, 100, 3_000, 20_000]), bytes.length - at);
    const controller = new AbortController();
    const options = random.chance(0.5)
      ? { timeoutMs: random.int(0, 8) }
      : { signal: controller.signal };
    const exact = random.chance(0.7);
    const call = exact ? to.stream.recv(wanted, options) : to.stream.recvSome(wanted, options);
    const outcome = (call as Promise<{ toUint8Array(): Uint8Array } | null>).catch(() => null);
    if ("signal" in options) {
      if (random.chance(0.5)) await pause(random.int(0, 6));
      controller.abort();
    }
    const received = (await outcome)?.toUint8Array();
    if (received === undefined) {
      given++;
      continue;
    }
    bytesEqual(received, bytes.subarray(at, at + received.length), `at ${at}`);
    at += received.length;
  }
  await sending;
  assert.ok(given > 5, `only ${given} calls gave up: the test proves nothing`);
  assert.is(to.stream.bytesReceived, bytes.length);
}
