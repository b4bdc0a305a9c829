/**
 * Everything that can be sent, in every shape and size, byte by byte.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { IoBuf, IoBufs, type Network, type NetworkConfig, type Sendable } from "../../../mod.ts";
import { assert, bytesEqual, Random } from "../../harness.ts";
import {
  concat,
  connect,
  type ContractSuite,
  expectAlive,
  expectBytes,
  expectText,
  pattern,
} from "../fixture.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

function filled(network: Network, bytes: Uint8Array) {
  const buffer = network.pool.alloc(bytes.length);
  buffer.bytes.set(bytes);
  return buffer;
}

const WORDS = "grüße, 世界 🌍 \u0000 end";

const SAMPLES: readonly [string, (network: Network) => Sendable, Uint8Array][] = [
  ["Uint8Array", () => pattern(100), pattern(100)],
  [
    "Uint8Array, a part of its buffer",
    () => pattern(100).subarray(20, 70),
    pattern(100).slice(20, 70),
  ],
  ["Buffer", () => Buffer.from("a Buffer"), utf8("a Buffer")],
  ["ArrayBuffer", () => pattern(300).buffer, pattern(300)],
  ["Uint8Array of a SharedArrayBuffer", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(5_000));
    shared.set(pattern(5_000));
    return shared as Uint8Array;
  }, pattern(5_000)],
  ["Uint8Array of a resizable ArrayBuffer", () => {
    const view = new Uint8Array(new ArrayBuffer(50, { maxByteLength: 100 }));
    view.set(pattern(50));
    return view;
  }, pattern(50)],
  ["string", () => "plain text", utf8("plain text")],
  ["string of several bytes a character", () => WORDS, utf8(WORDS)],
  ["string with a lone surrogate", () => "a\ud800b", utf8("a\ufffdb")],
  ["long string", () => WORDS.repeat(20_000), utf8(WORDS.repeat(20_000))],
  ["IoBuf, plain", () => IoBuf.from(pattern(99)), pattern(99)],
  ["IoBuf, from the pool", (network) => filled(network, pattern(99)).freeze(), pattern(99)],
  ["IoBuf, a slice", (network) => {
    using whole = filled(network, pattern(4_000)).freeze();
    return whole.slice(500, 3_500);
  }, pattern(4_000).slice(500, 3_500)],
  ["IoBufMut", (network) => filled(network, pattern(65_536)), pattern(65_536)],
  [
    "IoBufMut, too large for the pool",
    (network) => filled(network, pattern(200_000)),
    pattern(200_000),
  ],
  ["IoBufs", (network) => {
    const parts = [filled(network, pattern(10, 1)), filled(network, pattern(5_000, 2)).freeze()];
    return new IoBufs(...parts, "text", pattern(3_000, 3)).prepend("first");
  }, concat([utf8("first"), pattern(10, 1), pattern(5_000, 2), utf8("text"), pattern(3_000, 3)])],
  [
    "Uint8Array[]",
    () => [pattern(3, 1), pattern(0), pattern(4, 2)],
    concat([pattern(3, 1), pattern(4, 2)]),
  ],
  ["Uint8Array[] of one", () => [pattern(77)], pattern(77)],
  [
    "frozen Uint8Array[]",
    () => Object.freeze([pattern(7), pattern(8)]),
    concat([pattern(7), pattern(8)]),
  ],
];

const EMPTY: readonly [string, (network: Network) => Sendable][] = [
  ["Uint8Array", () => new Uint8Array(0)],
  ["ArrayBuffer", () => new ArrayBuffer(0)],
  ["string", () => ""],
  ["IoBuf", () => IoBuf.from("")],
  ["IoBufMut", (network) => network.pool.alloc(0)],
  ["IoBufMut with room", (network) => {
    const buffer = network.pool.alloc(10);
    buffer.setLength(0);
    return buffer;
  }],
  ["IoBufs", () => new IoBufs()],
  ["Uint8Array[] without arrays", () => []],
  ["Uint8Array[] of empty arrays", () => [new Uint8Array(0), new Uint8Array(0)]],
];

export function sendables(test: ContractSuite, _config: NetworkConfig): void {
  for (const [name, make, expected] of SAMPLES) {
    test(`sends: ${name}`, async ({ network }) => {
      await using pair = await connect(network);
      const sending = pair.client.sink.send(make(network));
      await expectBytes(pair.server, expected, name);
      await sending;
      assert.is(pair.client.sink.bytesSent, expected.length);
      assert.is(pair.server.stream.bytesReceived, expected.length);
      await expectAlive(pair);
    });
  }

  for (const [name, make] of EMPTY) {
    test(`sends nothing: an empty ${name}`, async ({ network }) => {
      await using pair = await connect(network);
      await pair.client.sink.send(make(network));
      assert.is(pair.client.sink.bytesSent, 0);
      await Promise.all([pair.client.sink.send(make(network)), pair.client.sink.send("after")]);
      await expectText(pair.server, "after");
      assert.is(pair.server.stream.buffered, 0);
    });
  }

  test("a vectored send arrives as one byte string", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send(["client_", "vectored_", "send"].map(utf8));
    await expectText(pair.server, "client_vectored_send");
  });

  test("vectored sends of 1 to 100 pieces of mixed sizes", async ({ network }) => {
    await using pair = await connect(network);
    const random = new Random();
    const size = () => random.pick([0, 1, 2, 60, 500, 2_047, 2_048, 2_049, 4_096, 9_000]);
    for (let count = 1; count <= 100; count++) {
      const pieces = Array.from({ length: count }, (_, i) => pattern(size(), count * 101 + i));
      const sending = pair.client.sink.send(pieces);
      await expectBytes(pair.server, concat(pieces), `${count} pieces`);
      await sending;
    }
  });

  test("the same pieces as buffers that are moved in", async ({ network }) => {
    await using pair = await connect(network);
    const random = new Random();
    for (let count = 1; count <= 100; count += 3) {
      const pieces = Array.from(
        { length: count },
        (_, i) =>
          pattern(random.pick([1, 60, 2_047, 2_048, 4_096, 9_000, 70_000]), count * 101 + i),
      );
      const buffers = new IoBufs(
        ...pieces.map((piece, i) => i % 2 === 0 ? filled(network, piece) : IoBuf.from(piece)),
      );
      const sending = pair.client.sink.send(buffers);
      assert.ok(buffers.released, "moved in at once");
      await expectBytes(pair.server, concat(pieces), `${count} pieces`);
      await sending;
    }
  });

  for (
    const length of [1, 2_047, 2_048, 65_535, 65_536, 65_537, 131_072, 262_144, 262_145, 10 << 20]
  ) {
    test(`sends ${length} bytes, and no other`, async ({ network }) => {
      await using pair = await connect(network);
      const bytes = pattern(length, length);
      const sending = pair.client.sink.send(bytes);
      await expectBytes(pair.server, bytes);
      await sending;
      await pair.client.sink.close();
      assert.is(await pair.server.stream.recvSome(), null);
    });
  }

  test("an array up to 64 KiB may change as soon as send returns", async ({ network }) => {
    await using pair = await connect(network);
    for (const length of [1, 1_000, 2_048, 65_536]) {
      const bytes = pattern(length, 7);
      const sending = pair.client.sink.send(bytes);
      bytes.fill(0xee);
      await expectBytes(pair.server, pattern(length, 7), `${length} bytes`);
      await sending;
    }
    const pieces = [pattern(30_000, 1), pattern(30_000, 2)];
    const sending = pair.client.sink.send(pieces);
    for (const piece of pieces) piece.fill(0xee);
    await expectBytes(pair.server, concat([pattern(30_000, 1), pattern(30_000, 2)]));
    await sending;
  });

  test("received buffers are echoed without a copy", async ({ network }) => {
    await using pair = await connect(network);
    const echo = (async () => {
      for (let data = await pair.server.stream.recvSome(); data !== null;) {
        const { bytes } = data;
        assert.ok(data.pooled && bytes.length === data.length);
        const sending = pair.server.sink.send(data);
        assert.ok(data.released, "moved in");
        assert.throws(() => data?.bytes, /moved/);
        await sending;
        data = await pair.server.stream.recvSome();
      }
      await pair.server.sink.close();
    })();
    const random = new Random();
    for (let round = 0; round < 50; round++) {
      const bytes = pattern(random.int(1, 100_000), round);
      const sending = pair.client.sink.send(bytes);
      await expectBytes(pair.client, bytes);
      await sending;
    }
    await pair.client.sink.close();
    await echo;
    assert.is(await pair.client.stream.recvSome(), null);
  });

  test("an exact receive is echoed without a copy as well", async ({ network }) => {
    await using pair = await connect(network);
    for (const length of [5, 65_536, 300_000]) {
      const bytes = pattern(length, length);
      const sending = pair.client.sink.send(bytes);
      const received = await pair.server.stream.recv(length);
      assert.is(received.length, length);
      const echoing = pair.server.sink.send(received);
      assert.ok(received.released);
      await expectBytes(pair.client, bytes);
      await Promise.all([sending, echoing]);
    }
  });

  test("one frozen buffer goes to many peers", async ({ network }) => {
    const pairs = await Promise.all(Array.from({ length: 20 }, () => connect(network)));
    const bytes = pattern(10_000);
    {
      using message = filled(network, bytes).freeze();
      const sends = pairs.map((pair) => pair.client.sink.send(message.clone()));
      await Promise.all(pairs.map((pair) => expectBytes(pair.server, bytes)));
      await Promise.all(sends);
      bytesEqual(message.bytes, bytes, "still held");
    }
    await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
  });
}
