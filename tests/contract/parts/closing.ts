/**
 * Closing, resetting, disposing: connections and networks, in every order and twice.
 *
 * @module
 */
import { type Connection, type NetworkConfig, NetworkError } from "../../../mod.ts";
import { assert, bytesEqual } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  countedMs,
  descriptors,
  expectAlive,
  expectEnd,
  expectNoNewDescriptors,
  expectText,
  pattern,
  pause,
  readAll,
  settledDescriptors,
  settlesWithin,
  started,
  until,
} from "../fixture.ts";

/** Bytes that the kernel takes while the peer reads nothing. */
const FITTING = 120_000;
const TOO_MUCH = 24 << 20;

/** Everything that a program may do with a closed connection, and the result. */
async function expectClosed(connection: Connection): Promise<void> {
  assert.ok(connection.sink.closed);
  assert.ok(connection.stream.closed);
  await assert.rejects(connection.sink.send("x"), { code: "Closed", operation: "send" });
  await assert.rejects(connection.stream.recv(1), { code: "Closed", operation: "recv" });
  await assert.rejects(connection.stream.recvSome(), { code: "Closed", operation: "recvSome" });
  assert.is((await connection.stream.recv(0)).length, 0);
  assert.is(connection.stream.tryRecv(1), null);
  assert.is(connection.stream.peek(10).length, 0);
  assert.is(connection.stream.buffered, 0);
  connection.setNoDelay(true);
  connection.setKeepAlive({ idleSeconds: 5 });
  connection.ref();
  connection.unref();
  connection.reset();
  await Promise.all([connection.close(), connection.sink.close(), connection.close()]);
  await connection.sink.flush();
  await connection[Symbol.asyncDispose]();
}

export function closing(test: ContractSuite, config: NetworkConfig): void {
  test("close: pending sends first, then FIN", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = pattern(8 << 20, 3);
    const sends = [pair.client.sink.send(bytes), pair.client.sink.send("the end")];
    const closed = pair.client.close();
    const arrived = await readAll(pair.server);
    bytesEqual(arrived.subarray(0, bytes.length), bytes);
    assert.is(new TextDecoder().decode(arrived.subarray(bytes.length)), "the end");
    await Promise.all([...sends, closed]);
    await expectClosed(pair.client);
  });

  test("close ends pending receives at once, with Closed", async ({ network }) => {
    await using pair = await connect(network);
    const pending = [
      pair.client.stream.recv(1),
      pair.client.stream.recvSome(),
      pair.client.stream.recv(1 << 20),
    ].map((call) => assert.rejects(call, { code: "Closed" }));
    const closed = pair.client.close();
    await Promise.all(pending);
    await closed;
    await expectEnd(pair.server);
    await expectClosed(pair.client);
  });

  test("close gives up unread sends after shutdownTimeoutMs", async () => {
    await using own = await started({ ...config, shutdownTimeoutMs: 80 });
    await using pair = await connect(own.network);
    const sending = assert.rejects(pair.client.sink.send(pattern(TOO_MUCH)), { code: "Closed" });
    const start = performance.now();
    const counted = await countedMs(pair.client.close());
    assert.ok(performance.now() - start >= 80, "not before its budget is over");
    assert.ok(counted < 1_000, `it took ${counted} ms`);
    const error = await sending;
    assert.ok((error.bytesDone as number) > 0);
    await expectClosed(pair.client);
    const end = await readAll(pair.server).catch((error) => error);
    assert.is(end.errno, "ECONNRESET", "a part of what was sent does not look like all of it");
  });

  test("half close gives up unread sends after shutdownTimeoutMs", async () => {
    await using own = await started({ ...config, shutdownTimeoutMs: 80 });
    await using pair = await connect(own.network);
    const sending = assert.rejects(pair.client.sink.send(pattern(TOO_MUCH)), { code: "Closed" });
    await pair.client.sink.close();
    const error = await sending;
    const arrived = await readAll(pair.server);
    assert.is(arrived.length, error.bytesDone);
    bytesEqual(arrived, pattern(TOO_MUCH).subarray(0, arrived.length));
    await pair.server.sink.send("still here");
    await expectText(pair.client, "still here");
  });

  test("reset: pending calls get Closed, the peer gets ECONNRESET", async ({ network }) => {
    await using pair = await connect(network);
    const sending = pair.client.sink.send(pattern(TOO_MUCH)).catch((error) => error);
    const receiving = pair.client.stream.recv(1).catch((error) => error);
    const flushing = pair.client.sink.flush().catch((error) => error);
    await pause(5);
    pair.client.reset();
    pair.client.reset();
    for (const call of [sending, receiving, flushing]) assert.is((await call).code, "Closed");
    await expectClosed(pair.client);
    const error = await readAll(pair.server).catch((error) => error);
    assert.instance(error, NetworkError);
    assert.is(error.errno, "ECONNRESET");
  });

  test("a reset behind a half close that still waits is no clean end", async () => {
    for (const soLinger of [null, 0]) {
      await using own = await started({ ...config, soLinger });
      await using pair = await connect(own.network);
      const { sink } = pair.client;
      const sending = Promise.allSettled([sink.send("never"), sink.close()]);
      if (soLinger === 0) void pair.client.close();
      else pair.client.reset();
      await sending;
      const end = await readAll(pair.server).catch((error) => error);
      assert.is(end.errno, "ECONNRESET", `soLinger ${soLinger}`);
    }
  });

  test("reset overtakes a close that still waits", async ({ network }) => {
    await using pair = await connect(network);
    const sending = pair.client.sink.send(pattern(TOO_MUCH)).catch((error) => error);
    const closed = pair.client.close();
    assert.not(await settlesWithin(closed, 20));
    pair.client.reset();
    const counted = await countedMs(closed);
    assert.ok(counted < 2_500, `close() took ${counted} ms`);
    assert.is((await sending).code, "Closed");
  });

  test("soLinger 0: close sends RST", async () => {
    await using own = await started({ ...config, soLinger: 0 });
    await using pair = await connect(own.network);
    await expectAlive(pair);
    await pair.client.close();
    await assert.rejects(pair.server.stream.recvSome(), {
      code: "RecvFailed",
      errno: "ECONNRESET",
    });
  });

  test("soLinger 0: close waits for no send", async () => {
    await using own = await started({ ...config, soLinger: 0 });
    await using pair = await connect(own.network);
    const sending = assert.rejects(pair.client.sink.send(pattern(TOO_MUCH)), { code: "Closed" });
    await until(() => pair.client.sink.bytesSent > 0, "a part is taken");
    const counted = await countedMs(pair.client.close());
    assert.ok(counted < 2_500, `close() took ${counted} ms`);
    await sending;
    const end = await readAll(pair.server).catch((error) => error);
    assert.is(end.errno, "ECONNRESET");
  });

  test("close while the peer sends: the peer gets an error, and has the answer", async () => {
    for (const address of ["127.0.0.1:0", { path: `\0uringnet-${crypto.randomUUID()}` }]) {
      await using own = await started(config);
      await using pair = await connect(own.network, address);
      const sending = pair.client.sink.send(pattern(TOO_MUCH)).catch((error) => error);
      (await pair.server.stream.recv(1_000)).release();
      assert.not(await settlesWithin(sending, 50), "the peer is in the middle of it");
      await pair.server.sink.send("too long");
      await pair.server.close();
      await expectText(pair.client, "too long");
      const error = await sending;
      assert.is(error.code, "SendFailed");
      assert.ok(["EPIPE", "ECONNRESET"].includes(error.errno), error.message);
    }
  });

  test("close against a peer that never stops sending: the peer gets all bytes", async () => {
    for (const address of ["127.0.0.1:0", { path: `\0uringnet-${crypto.randomUUID()}` }]) {
      // The peer reads slowly, on a busy machine for more than the default budget of a close.
      await using own = await started({ ...config, shutdownTimeoutMs: null });
      await using peers = await started(config);
      await using pair = await connect(own.network, address, peers.network);
      let flooding = true;
      const flood = (async () => {
        while (flooding) await pair.client.sink.send(pattern(60_000));
      })().catch(() => {});
      // As much as the kernel takes while the peer does not read.
      const bytes = pattern(TOO_MUCH, 9);
      const controller = new AbortController();
      // The first part fits, however long that takes on a busy machine.
      await pair.server.sink.send(bytes.subarray(0, FITTING));
      const rest = bytes.subarray(FITTING);
      await settlesWithin(pair.server.sink.send(rest, { signal: controller.signal }), 50);
      controller.abort();
      await until(() => pair.server.sink.bytesQueued === 0, "the send has ended");
      const { bytesSent } = pair.server.sink;
      assert.ok(bytesSent >= FITTING, `${bytesSent} bytes were taken`);
      const closing = pair.server.close();
      let received = 0;
      try {
        for (let part; (part = await pair.client.stream.recvSome()) !== null; await pause(1)) {
          const arrived = part.toUint8Array();
          bytesEqual(arrived, bytes.subarray(received, received + arrived.length));
          received += arrived.length;
        }
      } catch (error) {
        // Once the peer has everything, its own sends may fail.
        if (!(error instanceof NetworkError && error.errno === "ECONNRESET")) throw error;
      }
      assert.is(received, bytesSent);
      flooding = false;
      await Promise.all([closing, flood]);
    }
  });

  test("close with unread bytes is a clean end for the peer", async ({ network }) => {
    for (const address of ["127.0.0.1:0", { path: `\0uringnet-${crypto.randomUUID()}` }]) {
      await using pair = await connect(network, address);
      await pair.client.sink.send(pattern(100_000));
      (await pair.server.stream.recv(10)).release();
      await pair.server.sink.send("enough");
      await pair.server.close();
      await expectText(pair.client, "enough");
      await expectEnd(pair.client);
    }
  });

  test("a closed connection keeps its addresses", async ({ network }) => {
    for (const end of ["close", "reset"] as const) {
      await using pair = await connect(network);
      const { remoteAddress } = pair.server;
      await pair.client[end]();
      await pair.client.close();
      // The descriptor number belongs to another connection by now.
      await using next = await connect(network);
      assert.equal(pair.client.localAddress, remoteAddress);
      assert.equal(pair.client.remoteAddress, pair.listener.localAddress);
      assert.not.equal(next.client.localAddress, remoteAddress);
    }
  });

  test("soLinger of seconds: close does not block, and all bytes arrive", async () => {
    const soLinger = 20;
    await using own = await started({ ...config, soLinger });
    await using pair = await connect(own.network);
    const bytes = pattern(1 << 20);
    const arriving = readAll(pair.server);
    void pair.client.sink.send(bytes);
    const start = performance.now();
    await pair.client.close();
    // The peer is of the same thread, and reads nothing while that is blocked.
    assert.ok(performance.now() - start < soLinger * 500);
    bytesEqual(await arriving, bytes);
  });

  test("both ends close at the same moment", async () => {
    // A network of its own: a test that has failed may have left connections to that of the suite.
    await using own = await started(config);
    const { network } = own;
    for (let round = 0; round < 50; round++) {
      await using pair = await connect(network);
      void pair.client.stream.recvSome().catch(() => {});
      void pair.server.stream.recv(10).catch(() => {});
      void pair.client.sink.send("x").catch(() => {});
      await Promise.all([pair.client.close(), pair.server.close()]);
    }
    assert.is(network.stats().connections, 0);
  });

  test("await using closes connections, listeners and networks", async () => {
    const before = descriptors();
    let seen: Connection;
    {
      await using own = await started(config);
      await using listener = await own.network.bind("127.0.0.1:0");
      await using client = await own.network.dial(listener.localAddress);
      await using server = await listener.accept();
      await expectAlive({ client, server });
      seen = client;
    }
    await expectClosed(seen);
    await expectNoNewDescriptors(before);
  });

  test("a descriptor stays open until its last operation has landed", async ({ network }) => {
    await using pair = await connect(network);
    const before = await settledDescriptors();
    const controller = new AbortController();
    const recv = pair.client.stream.recv(1, { signal: controller.signal });
    const sending = pair.client.sink.send(pattern(TOO_MUCH)).catch(() => {});
    await pause(5);
    controller.abort();
    await recv.catch(() => {});
    assert.is(descriptors().size, before, "an aborted call closes nothing");
    pair.client.reset();
    await pair.client.close();
    assert.is(descriptors().size, before - 1, "closed when close() resolves");
    await sending;
  });

  test("ref and unref of a connection, at any time", async ({ network }) => {
    await using pair = await connect(network);
    pair.client.unref();
    const recv = pair.client.stream.recv(2);
    pair.client.ref();
    pair.client.unref();
    await pair.server.sink.send("ok");
    assert.is((await recv).text(), "ok");
    pair.client.ref();
    await expectAlive(pair);
  });

  test("the network closes everything that is open on it", async () => {
    const before = descriptors();
    const { network } = await started(config);
    const listener = await network.bind("127.0.0.1:0");
    const [client, server] = await Promise.all([
      network.dial(listener.localAddress),
      listener.accept(),
    ]);
    const pending = [
      listener.accept(),
      client.stream.recv(1),
      server.stream.recvSome(),
      client.stream.recv(100_000),
    ].map((call) => assert.rejects(call, { code: "Closed" }));
    const closing = network.close();
    const counted = countedMs(closing);
    await Promise.all(pending);
    await closing;
    assert.ok(await counted < 2_000, "nothing had to be waited for");
    for (const connection of [client, server]) await expectClosed(connection);
    await assert.rejects(listener.accept(), { code: "Closed" });
    await assert.rejects(network.bind("127.0.0.1:0"), { code: "Closed", operation: "bind" });
    await assert.rejects(network.dial("127.0.0.1:1"), { code: "Closed", operation: "dial" });
    await Promise.all([network.close(), listener.close(), network[Symbol.asyncDispose]()]);
    await expectNoNewDescriptors(before);
  });

  test("a closed network still has its numbers and refuses calls with Closed", async () => {
    const { network } = await started(config);
    await using pair = await connect(network);
    await pair.client.sink.send("x");
    await expectText(pair.server, "x");
    await network.close();
    const stats = network.stats();
    assert.is(stats.connections, 0);
    assert.is(stats.outboundBytes, 1);
    assert.is(stats.inboundBytes, 1);
    await assert.rejects(pair.client.sink.send("hello"), { code: "Closed" });
    await assert.rejects(pair.server.stream.recv(1), { code: "Closed" });
    assert.ok("port" in pair.client.remoteAddress);
    network.pool.alloc(100).release();
  });

  test("closing the network lets pending sends finish", async () => {
    await using other = await started(config);
    const { network } = await started(config);
    await using pair = await connect(other.network, "127.0.0.1:0", network);
    const bytes = pattern(8 << 20, 4);
    const sending = pair.client.sink.send(bytes);
    const closed = network.close();
    bytesEqual(await readAll(pair.server), bytes);
    await Promise.all([sending, closed]);
  });

  test("closing the network lets a receive in the middle of its message finish", async () => {
    await using other = await started(config);
    const { network } = await started(config);
    await using pair = await connect(other.network, "127.0.0.1:0", network);
    const recv = pair.client.stream.recv(10);
    await pair.server.sink.send("01234");
    while (pair.client.stream.bytesReceived < 5) await pause(1);
    const closed = network.close();
    assert.not(await settlesWithin(closed, 30), "it waits");
    await pair.server.sink.send("56789");
    assert.is((await recv).text(), "0123456789");
    await closed;
    await expectEnd(pair.server);
  });

  test("closing the network gives up after shutdownTimeoutMs", async () => {
    const before = descriptors();
    const { network } = await started({ ...config, shutdownTimeoutMs: 80, connectTimeoutMs: null });
    {
      await using pair = await connect(network);
      const full = await network.bind("127.0.0.1:0", { backlog: 0 });
      await network.dial(full.localAddress);
      const stuck = [
        pair.client.sink.send(pattern(TOO_MUCH)),
        network.dial(full.localAddress),
      ].map((call) => assert.rejects(call, { code: "Closed" }));
      await pause(5);
      const start = performance.now();
      const counted = await countedMs(network.close());
      assert.ok(performance.now() - start >= 70, "not before its budget is over");
      assert.ok(counted < 1_500, `it took ${counted} ms`);
      await Promise.all(stuck);
    }
    await expectNoNewDescriptors(before);
  });

  test("shutdownTimeoutMs 0 gives up at once", async () => {
    const { network } = await started({ ...config, shutdownTimeoutMs: 0 });
    await using pair = await connect(network);
    const sending = assert.rejects(pair.client.sink.send(pattern(TOO_MUCH)), { code: "Closed" });
    const recv = assert.rejects(pair.server.stream.recv(TOO_MUCH), { code: "Closed" });
    await pause(5);
    const counted = await countedMs(network.close());
    assert.ok(counted < 500, `it took ${counted} ms`);
    await Promise.all([sending, recv]);
  });

  test("a network that was never used leaves nothing behind", async () => {
    const before = descriptors();
    for (let i = 0; i < 5; i++) {
      await using _own = await started(config);
    }
    await expectNoNewDescriptors(before);
  });
}
