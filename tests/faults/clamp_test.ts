/**
 * The kernel takes and gives one byte at a time: whatever is sent or received in whatever way, the
 * bytes are right and in order.
 *
 * @module
 */
import type { NetworkConfig, Sendable } from "../../mod.ts";
import { LIMITS } from "../../src/base/limits.ts";
import { IoBufs } from "../../src/buf/io_bufs.ts";
import { pattern, readAll } from "../contract/fixture.ts";
import { assert, bytesEqual, Random } from "../harness.ts";
import {
  type FaultContext,
  faultSuite,
  type FaultyPair,
  Script,
  soon,
  withPair,
} from "./fixture.ts";
import type { FaultyNetwork } from "./library.ts";
import { type Fault, table } from "./table.ts";

const test = faultSuite("one byte at a time");

const ONE_BYTE: readonly Fault[] = (["send", "sendmsg", "recv", "recvSelect", "provide"] as const)
  .map((on) => ({ on, clampBytes: 1 }));

/** Larger than the first window of a send, and than any read buffer. */
const LARGE_BYTES = 70_000;

function buffers(network: FaultyNetwork, bytes: Uint8Array, size: number): IoBufs {
  const whole = new IoBufs();
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    const buffer = network.pool.alloc(part.length);
    buffer.bytes.set(part);
    whole.append(at % (3 * size) === 0 ? buffer.freeze() : buffer);
  }
  return whole;
}

const SENDABLES: readonly [string, number, (bytes: Uint8Array, n: FaultyNetwork) => Sendable][] = [
  ["a Uint8Array", 1, (bytes) => bytes],
  ["a Uint8Array", 1_000, (bytes) => bytes],
  ["a Uint8Array", LARGE_BYTES, (bytes) => bytes],
  ["an ArrayBuffer", 3_000, (bytes) => bytes.slice().buffer],
  ["an IoBufMut", 3_000, (bytes, network) => {
    const buffer = network.pool.alloc(bytes.length);
    buffer.bytes.set(bytes);
    return buffer;
  }],
  ["IoBufs of 40 small pieces", 4_000, (bytes, network) => buffers(network, bytes, 100)],
  ["IoBufs of 4 large pieces", 12_000, (bytes, network) => buffers(network, bytes, 3_000)],
  ["IoBufs of 40 large pieces", 90_000, (bytes, network) => buffers(network, bytes, 2_250)],
  [
    "50 arrays",
    5_000,
    (bytes) => Array.from({ length: 50 }, (_, i) => bytes.subarray(i * 100, i * 100 + 100)),
  ],
];

for (const [name, length, make] of SENDABLES) {
  test(`class 1: ${name} of ${length} bytes leaves byte by byte`, async ({ healthy }) => {
    await withPair(healthy, {}, async ({ faulty, client, server }) => {
      table.reset(...ONE_BYTE);
      const bytes = pattern(length, 5);
      const arrived = readAll(server);
      await client.sink.send(make(bytes, faulty));
      assert.is(client.sink.bytesSent, length);
      await client.sink.close();
      bytesEqual(await arrived, bytes);
      assert.ok(table.acted(0) + table.acted(1) >= length, "each byte was an operation");
    });
  });
}

test("class 1: overlapping sends of all kinds leave byte by byte, in order", async (context) => {
  await withPair(context.healthy, {}, async ({ faulty, client, server }) => {
    table.reset(...ONE_BYTE);
    const random = new Random(7);
    const script = new Script(40_000);
    const arrived = readAll(server);
    const sends: Promise<void>[] = [];
    for (let i = 0; i < 40; i++) {
      const bytes = script.next(random.int(1, random.pick([20, 2_500])));
      sends.push(client.sink.send(i % 2 === 0 ? bytes : buffers(faulty, bytes, 900)));
    }
    await Promise.all([...sends, client.sink.close()]);
    script.check(await arrived);
    assert.is(script.received, script.sent);
  });
});

// ---------------------------------------------------------------------------------------- receives

/** Plays a way of receiving against a peer that sends all of the script at once. */
async function receiveAll(
  { healthy }: FaultContext,
  config: NetworkConfig,
  length: number,
  body: (pair: FaultyPair, script: Script) => Promise<void>,
): Promise<void> {
  await withPair(healthy, config, async (pair) => {
    table.reset(...ONE_BYTE);
    const script = new Script(length, 3);
    const sent = pair.server.sink.send(script.next(length));
    await body(pair, script);
    await sent;
    assert.is(script.received, length);
    const acted = table.acted(2) + table.acted(3) + table.acted(4);
    assert.ok(acted >= length, `each byte came alone: ${acted} for ${length}`);
    // Nothing was read beyond it, nothing is missing before the end.
    await pair.server.sink.close();
    assert.is(await pair.client.stream.recvSome(), null);
  });
}

for (const readBufferSize of [65_536, 8_192, 100, 0]) {
  const config = { readBufferSize };
  const small = `(read buffer ${readBufferSize})`;

  test(`class 1: exact receives of all sizes come byte by byte ${small}`, async (context) => {
    await receiveAll(context, config, 12_000, async ({ client }, script) => {
      for (const length of [1, 2, 99, 100, 101, 8_192, 1_000, 2_505]) {
        script.check((await client.stream.recv(length)).toUint8Array());
      }
    });
  });

  test(`class 1: a large receive comes byte by byte ${small}`, async (context) => {
    await receiveAll(context, config, LARGE_BYTES, async ({ client }, script) => {
      script.check((await client.stream.recv(LARGE_BYTES)).toUint8Array());
    });
  });

  test(`class 1: recvSome brings single bytes ${small}`, async (context) => {
    await receiveAll(context, config, 2_000, async ({ client }, script) => {
      while (script.received < 2_000) {
        script.check((await client.stream.recvSome())!.toUint8Array());
      }
    });
  });
}

test("class 1: peek and tryRecv see what came byte by byte", async (context) => {
  await receiveAll(context, {}, 1_500, async ({ client: { stream } }, script) => {
    const waiting = stream.recv(1_000, { timeoutMs: 30_000 });
    script.check((await waiting).toUint8Array());
    // 500 bytes are left; a receive that ends early buffers some of them.
    const controller = new AbortController();
    const early = stream.recv(600, { signal: controller.signal }).catch((reason) => reason);
    await soon(() => stream.bytesReceived > 1_000, "a byte has come");
    controller.abort("early");
    assert.is(await early, "early");
    const peeked = stream.peek(600).slice();
    assert.ok(peeked.length > 0);
    bytesEqual(peeked, script.bytes.subarray(1_000, 1_000 + peeked.length));
    script.check(stream.tryRecv(peeked.length)!.toUint8Array());
    const left = 1_500 - script.received;
    if (left > 0) script.check((await stream.recv(left)).toUint8Array());
  });
});

test("class 1: a multishot receive brings single bytes, thousands of them", async (context) => {
  await withPair(context.healthy, {}, async ({ client, server }) => {
    table.reset(...ONE_BYTE);
    const script = new Script(12_000);
    for (let i = 0; i < LIMITS.multishotAfterCount * 20; i++) {
      const bytes = script.next(1 + i % 30);
      await server.sink.send(bytes);
      script.check((await client.stream.recv(bytes.length)).toUint8Array());
    }
    assert.ok(table.acted(4) > 1_000, "buffers of one byte were provided");
  });
});

test("class 1: web streams carry single bytes both ways", async ({ healthy }) => {
  await withPair(healthy, {}, async ({ client, server }) => {
    table.reset(...ONE_BYTE);
    const bytes = pattern(3_000, 9);
    const echo = server.readable.pipeTo(server.writable);
    const writer = client.writable.getWriter();
    const written = (async () => {
      for (let at = 0; at < bytes.length; at += 250) await writer.write(bytes.slice(at, at + 250));
      await writer.close();
    })();
    const parts: number[] = [];
    for await (const part of client.readable) parts.push(...part);
    await Promise.all([written, echo]);
    bytesEqual(new Uint8Array(parts), bytes);
  });
});

test("class 1: an echo on the side with faults, message by message", async ({ healthy }) => {
  await withPair(healthy, {}, async ({ client, server }) => {
    table.reset(...ONE_BYTE);
    const echo = (async () => {
      for (let data; (data = await client.stream.recvSome()) !== null;) {
        await client.sink.send(data);
      }
      await client.sink.close();
    })();
    const bytes = pattern(6_000, 4);
    const back = readAll(server);
    await server.sink.send(bytes);
    await server.sink.close();
    await echo;
    bytesEqual(await back, bytes);
  });
});

test.run();
