/**
 * The peer's end, noticed without receiving: `peerFinished` and `signal`; and options of sockets.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Connection, NetworkConfig, NetworkError } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  expectEnd,
  expectText,
  pause,
  settlesWithin,
  socketPath,
  SOON_MS,
  started,
  until,
} from "../fixture.ts";

const SOON = { timeoutMs: SOON_MS };

function aborted(connection: Connection): Promise<unknown> {
  const { signal } = connection;
  if (signal.aborted) return Promise.resolve(signal.reason);
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

export function peerEnd(test: ContractSuite, config: NetworkConfig): void {
  test("peerFinished() notices FIN behind bytes that were not received", async ({ network }) => {
    for (const address of ["127.0.0.1:0", `unix:${socketPath()}`]) {
      await using pair = await connect(network, address);
      const waits = [pair.server.peerFinished(SOON), pair.server.peerFinished(SOON)];
      await pair.client.sink.send("first");
      assert.is(await settlesWithin(waits[0], 20), false, "bytes are no end");
      await pair.client.sink.close();
      await Promise.all(waits);
      await pair.server.peerFinished();
      assert.is(pair.server.stream.bytesReceived, 0, "nothing was received for it");
      await expectText(pair.server, "first");
      await expectEnd(pair.server);
      await pair.server.sink.send("still open");
      await expectText(pair.client, "still open");
    }
  });

  test("peerFinished() notices a reset, and the stream reports it as well", async () => {
    await using own = await started(config);
    await using pair = await connect(own.network);
    const finished = pair.server.peerFinished(SOON);
    await pause(5);
    pair.client.reset();
    await finished;
    await assert.rejects(pair.server.stream.recv(1), { errno: "ECONNRESET" });
  });

  test("peerFinished() beside a receive: both notice the end", async ({ network }) => {
    await using pair = await connect(network);
    const received = pair.server.stream.recvSome(undefined, SOON);
    const finished = pair.server.peerFinished(SOON);
    await pair.client.sink.send("x");
    assert.is((await received)?.text(), "x");
    const end = pair.server.stream.recvSome(undefined, SOON);
    await pair.client.sink.close();
    await finished;
    assert.is(await end, null);
  });

  test("peerFinished() times out, is aborted, and can be asked again", async ({ network }) => {
    await using pair = await connect(network);
    const controller = new AbortController();
    const rejected = [
      assert.rejects(pair.server.peerFinished({ timeoutMs: 20 }), {
        code: "Timeout",
        operation: "peerFinished",
      }),
      assert.rejects(pair.server.peerFinished({ signal: controller.signal }), /enough/),
    ];
    controller.abort(new Error("enough"));
    await Promise.all(rejected);
    const again = pair.server.peerFinished(SOON);
    await pair.client.sink.close();
    await again;
    await assert.rejects(pair.client.peerFinished({ timeoutMs: -1 }), RangeError);
    await assert.rejects(pair.client.peerFinished({ signal: AbortSignal.abort() }), /abort/i);
  });

  test("peerFinished() ends with Closed when this end closes or resets", async ({ network }) => {
    for (const end of ["close", "reset"] as const) {
      await using pair = await connect(network);
      const pending = assert.rejects(pair.server.peerFinished(), { code: "Closed" });
      await pause(2);
      void pair.server[end]();
      await pending;
      await pair.server.close();
      await assert.rejects(pair.server.peerFinished(), {
        code: "Closed",
        operation: "peerFinished",
      });
    }
  });

  test("signal: a reset by the peer aborts it, FIN alone does not", async ({ network }) => {
    await using pair = await connect(network);
    const { signal } = pair.server;
    assert.is(pair.server.signal, signal, "made once");
    assert.is(signal.aborted, false);
    await pair.client.sink.close();
    await pair.server.peerFinished(SOON);
    await pause(10);
    assert.is(signal.aborted, false, "the peer has only finished sending");
    await pair.server.sink.send("answer");
    await expectText(pair.client, "answer");
    const reason = aborted(pair.server);
    pair.client.reset();
    const error = (await reason) as NetworkError;
    assert.is(error.code, "Closed");
    assert.match(error.message, /has ended/);
  });

  test("signal: the end of both halves, close() and reset() abort it", async ({ network }) => {
    for (const end of ["halves", "close", "reset"] as const) {
      for (const address of ["127.0.0.1:0", `unix:${socketPath()}`]) {
        await using pair = await connect(network, address);
        const reason = aborted(pair.server);
        await pause(2);
        if (end === "halves") {
          await Promise.all([pair.client.sink.close(), pair.server.sink.close()]);
        } else {
          void pair.server[end]();
        }
        assert.is(((await reason) as NetworkError).code, "Closed");
      }
    }
  });

  test("signal: first used after the end, it is aborted already", async ({ network }) => {
    for (const end of ["close", "reset"] as const) {
      await using pair = await connect(network);
      void pair.server[end]();
      await pair.server.close();
      const { signal } = pair.server;
      assert.is(signal.aborted, true);
      assert.is((signal.reason as NetworkError).code, "Closed");
      await pause(1);
      assert.is(pair.server.signal.reason, signal.reason, "aborted once");
    }
  });

  test("signal: a call that has it ends with the connection", async ({ network }) => {
    await using pair = await connect(network);
    const { signal } = pair.server;
    await using other = await connect(network);
    const waiting = assert.rejects(other.server.stream.recv(1, { signal }), { code: "Closed" });
    await pause(2);
    pair.client.reset();
    await waiting;
  });

  test("signal: its listeners have the async context of its first use", async ({ network }) => {
    const storage = new AsyncLocalStorage<string>();
    const stores: unknown[] = [];
    for (const name of ["first", "second"]) {
      await storage.run(name, async () => {
        await using pair = await connect(network);
        const ends = [aborted(pair.server), aborted(pair.client)];
        for (const { signal } of [pair.server, pair.client]) {
          signal.addEventListener("abort", () => void stores.push(storage.getStore()));
        }
        storage.run("another", () => pair.client.reset());
        await Promise.all(ends);
      });
    }
    assert.equal(stores, ["first", "first", "second", "second"]);
  });

  test("a pending poll takes no place among the receives", async () => {
    await using own = await started({ ...config, ring: { ...config.ring, maxInFlight: 1 } });
    const listener = await own.network.bind("127.0.0.1:0");
    // The accept in flight would be the one operation that is allowed.
    const client = await own.network.dial(listener.localAddress);
    const server = await listener.accept();
    const finished = [client.peerFinished(SOON), server.peerFinished(SOON)];
    assert.is(server.signal.aborted, false);
    for (let i = 0; i < 3; i++) {
      await client.sink.send("ping");
      await expectText(server, "ping");
    }
    await Promise.all([client.sink.close(), server.sink.close(), ...finished]);
    await until(() => server.signal.aborted, "the signal");
    await Promise.all([client.close(), server.close(), listener.close()]);
  });

  test("setOptions() sets all options or none, and refuses wrong ones", async ({ network }) => {
    for (const address of ["127.0.0.1:0", `unix:${socketPath()}`]) {
      await using pair = await connect(network, address);
      pair.client.setOptions({});
      pair.client.setOptions({
        noDelay: false,
        keepAlive: { idleSeconds: 9 },
        sendBufferBytes: 100_000,
        recvBufferBytes: 100_000,
        userTimeoutMs: 5_000,
        trafficClass: 0x10,
      });
      const wrong: [unknown, RegExp][] = [
        [undefined, /"options"/],
        [null, /"options"/],
        [{ noDelay: 1 }, /"options.noDelay"/],
        [{ keepAlive: null }, /"options.keepAlive"/],
        [{ keepAlive: { count: 0 } }, /"options.keepAlive.count"/],
        [{ sendBufferBytes: 0 }, /"options.sendBufferBytes"/],
        [{ recvBufferBytes: 2 ** 31 }, /"options.recvBufferBytes"/],
        [{ userTimeoutMs: -1 }, /"options.userTimeoutMs"/],
        [{ trafficClass: 256 }, /"options.trafficClass".*0 to 255, given 256/],
        [{ nagle: true }, /"options.nagle".*only/],
      ];
      for (const [options, message] of wrong) {
        assert.throws(
          () => pair.client.setOptions(options as never),
          (error: Error) =>
            (error instanceof TypeError || error instanceof RangeError) &&
            message.test(error.message),
        );
      }
      await pair.client.close();
      pair.client.setOptions({ noDelay: true });
    }
  });
}
