/**
 * `recvUntil`, `lines` and `wait` on a fake kernel: an abort at each step, bytes that come one by
 * one, want of buffers.
 *
 * @module
 */
import { IoBufs } from "../../src/buf/io_bufs.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/delimiters");

const STEP_COUNT = 60;
/** Not in the content: that is below 128. */
const DELIMITER = new Uint8Array([200, 200, 201]);
const CONFIGS = [65_536, 256, 1, 0].map((readBufferSize) => ({ readBufferSize }));

const LINE_FEED = 10;

/** A message and the delimiter behind it, of which it has the beginning inside. */
function message(key: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length + DELIMITER.length);
  bytes.set(contentOf(key, length).map((byte) => byte === LINE_FEED ? 0 : byte));
  bytes.set(DELIMITER.subarray(0, 2), length >> 1);
  bytes.set(DELIMITER, length);
  return bytes;
}

type Start = (server: Connection, length: number, signal: AbortSignal) => Promise<unknown>;

const STARTS: Readonly<Record<string, Start>> = {
  "recvUntil()": ({ stream }, _, signal) => stream.recvUntil(DELIMITER, { signal }),
  "wait()": ({ stream }, length, signal) => stream.wait(length, { signal }),
  // No message has the end of a line.
  "lines()": ({ stream }, _, signal) => stream.lines({ signal })[Symbol.asyncIterator]().next(),
};

for (const [name, start] of Object.entries(STARTS)) {
  test(`an abort of ${name} at each step around an arrival loses no byte of it`, async () => {
    for (const config of CONFIGS) {
      const length = config.readBufferSize === 1 ? 60 : 1_000;
      let aborted = 0;
      for (let step = 0; step < STEP_COUNT; step++) {
        const kernel = { sendCapacity: length / 10, recvCapacity: length / 10 };
        const faults = { cancelLoses: 0.5, deferred: 0.3, late: 0.2 };
        const options = { config, kernel, faults, seed: step + 1 };
        await withPair(options, async ({ client, server, sim }) => {
          const controller = new AbortController();
          const reason = new Error("enough");
          let count = 0;
          sim.onStep = () => {
            if (count++ === step) controller.abort(reason);
          };
          const first = message(1, length);
          const sending = client.sink.send([first, message(2, length)]);
          const end = await outcomeOf(start(server, length, controller.signal));
          if ("error" in end && end.error === reason) aborted++;
          else if ("error" in end) throw end.error;
          const got = "value" in end && end.value instanceof IoBufs
            ? end.value
            : await server.stream.recvUntil(DELIMITER);
          assert.bytesEqual(got.toUint8Array(), first, `step ${step}`);
          const second = await server.stream.recvUntil(DELIMITER);
          assert.bytesEqual(second.toUint8Array(), message(2, length), `step ${step}`);
          await sending;
        });
      }
      assert.ok(aborted > 10, `${aborted} calls were aborted`);
    }
  });
}

test("messages of any length are found whole, however the bytes come", async () => {
  for (const config of CONFIGS) {
    for (const faults of [{ oneByte: 1 }, { shortRecv: 0.5, deferred: 0.2 }, { exhausted: 0.5 }]) {
      await withSeeds(5, { config, faults }, async ({ client, server, sim }) => {
        const most = "oneByte" in faults || config.readBufferSize === 1 ? 40 : 5_000;
        const lengths = Array.from({ length: 12 }, () => sim.random.int(2, most));
        const sending = client.sink.send(lengths.map((length, key) => message(key, length)));
        for (const [key, length] of lengths.entries()) {
          const got = await server.stream.recvUntil(DELIMITER);
          assert.bytesEqual(got.toUint8Array(), message(key, length));
        }
        await sending;
      });
    }
  }
});

test("lines come whole, and each is a sink's last words at the end", async () => {
  const lines = Array.from({ length: 40 }, (_, at) => "\u20ac".repeat(at % 7) + at);
  for (const config of CONFIGS) {
    for (const faults of [{ oneByte: 1 }, { shortRecv: 0.5, late: 0.3 }]) {
      await withSeeds(5, { config, faults }, async ({ client, server, sim }) => {
        const ends = lines.map((line) => line + sim.random.pick(["\n", "\r\n"]));
        const sending = client.sink.send(`${ends.join("")}last`).then(() => client.sink.close());
        const got: string[] = [];
        for await (const line of server.stream.lines()) got.push(line);
        assert.equal(got, [...lines, "last"]);
        await sending;
      });
    }
  }
});

test("an idle wait() and recvUntil() hold no read buffer", async () => {
  await withPair({}, async ({ server, network, sim }) => {
    const controller = new AbortController();
    const calls = [
      outcomeOf(server.stream.wait(1_000, controller)),
      outcomeOf(server.stream.recvUntil("\n", controller)),
    ];
    await sim.sleep(5);
    const stats = network.pool.stats();
    // Buffers that are provided to the kernel do not belong to the connection.
    assert.is(server.stream.buffered, 0);
    assert.ok(stats.classes.reduce((sum, { allocated }) => sum + allocated, 0) <= 1);
    controller.abort(new Error("enough"));
    await Promise.all(calls);
  });
});

test("a peer without a delimiter piles up one receive behind maxLength", async () => {
  for (const config of CONFIGS.slice(0, 2)) {
    await withPair({ config }, async ({ client, server, sim }) => {
      const sending = client.sink.send(contentOf(1, 400_000));
      const error = await assert.rejects(
        server.stream.recvUntil(DELIMITER, { maxLength: 100_000 }),
        { code: "TooLong" },
      );
      await sim.sleep(20);
      const { buffered } = server.stream;
      assert.ok(buffered >= 100_000 && buffered <= 100_000 + 65_536, `${buffered} bytes`);
      assert.is(error.bytesDone, buffered);
      const got = await server.stream.recv(400_000);
      assert.bytesEqual(got.toUint8Array(), contentOf(1, 400_000));
      await sending;
    });
  }
});

test.run();
