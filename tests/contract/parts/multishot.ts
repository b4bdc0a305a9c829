/**
 * Connections whose messages are small and awaited: after a row of them the library may keep one
 * receive in flight that completes many times. Whatever it does, nothing of the contract changes.
 *
 * @module
 */
import { type NetworkConfig } from "../../../mod.ts";
import { assert, bytesEqual, Random } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  expectBytes,
  expectEnd,
  expectText,
  type Pair,
  pattern,
  started,
  until,
} from "../fixture.ts";

/** More than enough small messages in a row. */
const ROW = 64;

/** Small messages in both directions, each awaited before it comes. */
async function chat(pair: Pair, count = ROW): Promise<void> {
  for (let i = 0; i < count; i++) {
    const there = pair.server.stream.recvSome();
    await pair.client.sink.send(`ping ${i}`);
    assert.is((await there)?.text(), `ping ${i}`);
    const back = pair.client.stream.recv(4);
    await pair.server.sink.send("pong");
    assert.is((await back).text(), "pong");
  }
}

export function multishot(test: ContractSuite, config: NetworkConfig): void {
  test("after a row of small messages, bytes that no call awaits are bounded", async () => {
    await using own = await started(config);
    await using pair = await connect(own.network);
    await chat(pair);
    const total = 8 << 20;
    const sent = pair.client.sink.send(pattern(total));
    // The peer's send cannot finish: the sockets' buffers are smaller, and this side does not read.
    await until(() => pair.server.stream.buffered > 0, "bytes are buffered");
    let seen = -1;
    await until(() => {
      const { bytesReceived } = pair.server.stream;
      const quiet = bytesReceived === seen;
      seen = bytesReceived;
      return quiet;
    }, "nothing more comes");
    assert.ok(pair.server.stream.buffered <= 1 << 20, `${pair.server.stream.buffered} buffered`);
    await expectBytes(pair.server, pattern(total));
    await sent;
    await chat(pair);
  });

  test("after a row of small messages, a large one and more small ones", async ({ network }) => {
    await using pair = await connect(network);
    const random = new Random();
    for (let round = 0; round < 6; round++) {
      await chat(pair);
      const message = pattern(random.int(1, 400_000), round);
      const received = pair.server.stream.recv(message.length);
      await Promise.all([received, pair.client.sink.send(message)]);
      using whole = (await received).coalesce();
      bytesEqual(whole.bytes, message, `round ${round}`);
      await pair.client.sink.send("tail");
      await expectText(pair.server, "tail");
    }
  });

  test("after a row of small messages, large ones come in large parts", async ({ network }) => {
    await using pair = await connect(network);
    await chat(pair);
    const total = 4 << 20;
    const sent = pair.client.sink.send(pattern(total));
    let largest = 0;
    for (let received = 0; received < total;) {
      using part = await pair.server.stream.recvSome();
      received += part?.length ?? total;
      largest = Math.max(largest, part?.length ?? 0);
    }
    await sent;
    assert.ok(largest > 16_384, `${largest} bytes at the most`);
  });

  test("after a row of small messages, a timeout loses nothing", async ({ network }) => {
    await using pair = await connect(network);
    await chat(pair);
    const late = pair.server.stream.recv(10, { timeoutMs: 20 });
    await pair.client.sink.send("01234");
    await assert.rejects(late, { code: "Timeout" });
    await pair.client.sink.send("56789");
    await expectText(pair.server, "0123456789");
    await chat(pair);
  });

  test("after a row of small messages, the end of the stream is reported", async ({ network }) => {
    await using pair = await connect(network);
    await chat(pair);
    await pair.client.sink.send("last words");
    await pair.client.sink.close();
    await expectText(pair.server, "last words");
    await expectEnd(pair.server);
    await pair.server.sink.send("still here");
    await expectText(pair.client, "still here");
  });

  test("after a row of small messages, a reset is no clean end", async ({ network }) => {
    await using pair = await connect(network);
    await chat(pair);
    const waiting = pair.server.stream.recvSome();
    pair.client.reset();
    await assert.rejects(waiting, { code: "RecvFailed", errno: "ECONNRESET" });
  });

  test("after a row of small messages, close() ends a pending receive", async ({ network }) => {
    await using pair = await connect(network);
    await chat(pair);
    const waiting = pair.server.stream.recv(1);
    const rejected = assert.rejects(waiting, { code: "Closed" });
    await pair.server.close();
    await rejected;
    await expectEnd(pair.client);
  });

  test("400 connections that chat at once, with few buffers", async () => {
    await using own = await started({ ...config, pool: { maxPerClass: 8 } });
    const pairs = await Promise.all(Array.from({ length: 400 }, () => connect(own.network)));
    for (let round = 0; round < 3; round++) {
      await Promise.all(pairs.map((pair) => chat(pair, 24)));
      // All of them send at once, before any receive is pending.
      await Promise.all(pairs.map((pair) => pair.client.sink.send(pattern(5_000, round))));
      await Promise.all(pairs.map((pair) => expectBytes(pair.server, pattern(5_000, round))));
    }
    await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
  });
}
