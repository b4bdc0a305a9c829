/**
 * Connections with much to read: the library may receive more at a time than the read buffer holds.
 * Whatever it does, nothing of the contract changes.
 *
 * @module
 */
import { type NetworkConfig, NetworkError, type SocketAddress } from "../../../mod.ts";
import { assert, bytesEqual, Random } from "../../harness.ts";
import { RawPeer } from "../../support/raw_peer.ts";
import { connect, type ContractSuite, expectText, pattern, SOON_MS, started } from "../fixture.ts";

const READ_BUFFER_BYTES = 65_536;
const MESSAGE_BYTES = 1 << 20;
/** More than it takes until a ring that receives nothing else gathers bytes: 16 MiB. */
const STREAM_MESSAGE_COUNT = 256;
/** Far more than it takes until a large receive finds much. */
const MESSAGE_COUNT_MAX = 200;

export function bulk(test: ContractSuite, config: NetworkConfig): void {
  test(
    "recvSome() without a length brings more than a read buffer where much comes",
    async ({ network }) => {
      await using pair = await connect(network);
      const message = pattern(MESSAGE_BYTES);
      let largest = 0;
      for (let i = 0; i < MESSAGE_COUNT_MAX && largest <= READ_BUFFER_BYTES; i++) {
        const sent = pair.client.sink.send(message);
        for (let at = 0; at < message.length;) {
          const some = await pair.server.stream.recvSome();
          assert.ok(some !== null);
          bytesEqual(some.bytes, message.subarray(at, at + some.length), `message ${i}, at ${at}`);
          at += some.length;
          largest = Math.max(largest, some.length);
          some.release();
        }
        await sent;
      }
      assert.ok(largest > READ_BUFFER_BYTES, `the largest of all chunks has ${largest} bytes`);
      await pair.client.sink.send("tail");
      await expectText(pair.server, "tail");
    },
    { timeoutMs: 30_000 },
  );

  test("no byte of a long stream waits for bytes that its peer does not send", async (t) => {
    await using listener = await t.network.bind("127.0.0.1:0");
    const { port } = listener.localAddress as SocketAddress;
    using peer = RawPeer.connect(port);
    await using connection = await listener.accept();
    const text = "0123456789abcdef".repeat(READ_BUFFER_BYTES / 16);
    for (let i = 0; i < STREAM_MESSAGE_COUNT; i++) {
      peer.send(text);
      for (let at = 0; at < text.length;) {
        const some = await connection.stream.recvSome(undefined, { timeoutMs: SOON_MS });
        assert.ok(some !== null);
        const { length } = some;
        assert.is(some.text(), text.slice(at, at + length));
        at += length;
      }
    }
    peer.send("tail");
    await expectText(connection, "tail");
  });

  test("a pool with a budget lends no more than it has, however much comes", async () => {
    const budgetBytes = 4 << 20;
    await using own = await started({ ...config, pool: { budgetBytes } });
    await using pair = await connect(own.network);
    const message = pattern(32 << 20);
    const sent = pair.client.sink.send(message);
    const kept = [];
    let pooledBytes = 0;
    for (let at = 0; at < message.length;) {
      const some = await pair.server.stream.recvSome();
      assert.ok(some !== null);
      bytesEqual(some.bytes, message.subarray(at, at + some.length));
      at += some.length;
      if (some.pooled) pooledBytes += some.length;
      kept.push(some);
    }
    await sent;
    assert.ok(pooledBytes <= budgetBytes, `${pooledBytes} bytes are in pooled buffers`);
    for (const some of kept) some.release();
  });

  test(
    "calls of every kind share a stream of much, and some of them give up",
    async ({ network }) => {
      await using pair = await connect(network);
      const random = new Random();
      const { stream } = pair.server;
      for (let round = 0; round < 4; round++) {
        const message = pattern(random.int(1, 3) * MESSAGE_BYTES, round);
        const sent = pair.client.sink.send(message);
        for (let at = 0; at < message.length;) {
          const rest = message.length - at;
          const lengthMax = random.pick([1, 1_000, READ_BUFFER_BYTES, 100_000, 1_000_000, rest]);
          const length = Math.min(lengthMax, rest);
          const options = random.chance(0.2) ? { timeoutMs: random.int(0, 2) } : {};
          try {
            const got = random.chance(0.5)
              ? (await stream.recv(length, options)).coalesce()
              : await stream.recvSome(length, options);
            assert.ok(got !== null && got.length <= length);
            bytesEqual(
              got.bytes,
              message.subarray(at, at + got.length),
              `round ${round}, at ${at}`,
            );
            at += got.length;
            got.release();
          } catch (error) {
            assert.ok(error instanceof NetworkError && error.code === "Timeout", String(error));
          }
        }
        await sent;
        assert.is(stream.buffered, 0);
      }
    },
    { timeoutMs: 30_000 },
  );
}
