/**
 * The waits of `flush` and of the closes: they wait for the bytes that were given before, with and
 * without write buffering, while others go on sending and receiving.
 *
 * @module
 */
import { IoBufs, type NetworkConfig } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  countedMs,
  expectAlive,
  expectBytes,
  expectEnd,
  type Pair,
  pattern,
  settlesWithin,
  SOON_MS,
  started,
  until,
} from "../fixture.ts";

const MODES = { "awaited sends": 0, "buffered sends": 4 << 20 };
/** More than the kernel takes for a peer that does not read. */
const TOO_MUCH = 24 << 20;

/** Keeps the connection busy: its queue never runs empty, and its peer reads. */
function busy({ client, server }: Pair) {
  let going = true;
  let ahead = 0;
  const sends: Promise<void>[] = [];
  const chunk = pattern(256 << 10);
  // More than all socket buffers and one operation hold.
  const topUp = () => {
    for (; going && ahead < TOO_MUCH; ahead += chunk.length) {
      const send = client.sink.send(chunk);
      send.catch(() => {}); // Looked at in the end.
      sends.push(send);
    }
  };
  topUp();
  const reading = (async () => {
    for (let part; (part = await server.stream.recvSome()) !== null;) {
      ahead -= part.length;
      part.release();
      topUp();
    }
  })();
  return {
    stop: async () => {
      going = false;
      await Promise.all(sends);
      await client.sink.close();
      await reading;
    },
    /** Ends with the connection: sends get Closed. */
    ended: async () => {
      going = false;
      const ends = await Promise.allSettled(sends);
      await reading;
      return ends.filter(({ status }) => status === "rejected").length;
    },
  };
}

export function flushing(test: ContractSuite, config: NetworkConfig): void {
  for (const [mode, writeBufferSize] of Object.entries(MODES)) {
    const own = () => started({ ...config, writeBufferSize });

    test(`flush ends while others go on sending (${mode})`, async () => {
      await using network = await own();
      await using pair = await connect(network.network);
      const { sink } = pair.client;
      const others = busy(pair);
      for (let i = 0; i < 3; i++) {
        const given = sink.bytesSent + sink.bytesQueued;
        await sink.flush({ timeoutMs: SOON_MS });
        assert.ok(sink.bytesSent >= given, "the kernel has what was given before");
        assert.ok(sink.bytesQueued > 0, "and not all that was given since");
      }
      await others.stop();
    }, { timeoutMs: 30_000 });

    test(`flush does not wait for later bytes that the peer does not read (${mode})`, async () => {
      await using network = await own();
      await using pair = await connect(network.network);
      const { sink } = pair.client;
      const first = sink.send(pattern(1_000, 1));
      const flushed = [sink.flush(), sink.flush()];
      // The kernel would take a part of this together with the first, and never the rest.
      const second = sink.send(pattern(TOO_MUCH, 2));
      const behind = sink.flush();
      await Promise.all([first, ...flushed]);
      await until(() => sink.bytesSent > 1_000, "a part is taken");
      assert.not(await settlesWithin(behind, 20));
      await expectBytes(pair.server, pattern(1_000, 1));
      await expectBytes(pair.server, pattern(TOO_MUCH, 2));
      await Promise.all([second, behind]);
      await expectAlive(pair);
    }, { timeoutMs: 30_000 });

    test(`flush does not wait for an earlier send that gave up (${mode})`, async () => {
      await using network = await own();
      await using pair = await connect(network.network);
      const { sink } = pair.client;
      const filling = sink.send(pattern(TOO_MUCH, 1));
      await until(() => sink.bytesSent > 0, "a part is taken");
      const controller = new AbortController();
      const { signal } = controller;
      // Larger than the write buffer: it is awaited in both modes.
      const aborted = sink.send(pattern(5 << 20, 2), { signal });
      const overdue = sink.send(pattern(5 << 20, 3), { timeoutMs: 10 });
      const flushed = sink.flush();
      controller.abort("enough");
      assert.is(await aborted.catch((reason) => reason), "enough");
      await assert.rejects(overdue, { code: "Timeout", bytesDone: 0 });
      const later = sink.send(pattern(TOO_MUCH, 4));
      await expectBytes(pair.server, pattern(TOO_MUCH, 1));
      await Promise.all([filling, flushed]);
      assert.ok(sink.bytesQueued > 0, "the later send is not done");
      await expectBytes(pair.server, pattern(TOO_MUCH, 4));
      await later;
    }, { timeoutMs: 30_000 });

    test(`a cut message: the flush before it resolves, the next one fails (${mode})`, async () => {
      await using network = await own();
      await using pair = await connect(network.network);
      const { sink } = pair.client;
      await sink.send(pattern(1_000));
      const before = sink.flush();
      const controller = new AbortController();
      const cut = sink.send(pattern(TOO_MUCH, 2), { signal: controller.signal });
      const behind = assert.rejects(sink.flush(), { code: "Closed", operation: "flush" });
      await before;
      await until(() => sink.bytesSent > 1_000, "a part is taken");
      controller.abort("enough");
      assert.is(await cut.catch((reason) => reason), "enough");
      await behind;
      assert.ok(sink.closed);
    });

    test(`connection.close() does not wait for other senders (${mode})`, async () => {
      await using network = await own();
      await using pair = await connect(network.network);
      const others = busy(pair);
      await pair.client.sink.flush({ timeoutMs: SOON_MS });
      const given = pair.client.sink.bytesSent + pair.client.sink.bytesQueued;
      const closing = pair.client.close();
      await closing;
      assert.is(pair.client.sink.bytesSent, given, "what was given before, and no more");
      const refused = await others.ended();
      assert.ok(refused > 0, "sends that came later were refused");
      await expectEnd(pair.server);
    }, { timeoutMs: 30_000 });

    test(`closing the writable does not wait for other senders (${mode})`, async () => {
      await using network = await own();
      await using pair = await connect(network.network);
      const writer = pair.client.writable.getWriter();
      const others = busy(pair);
      await writer.write(new TextEncoder().encode("a chunk between"));
      const closing = writer.close();
      const given = pair.client.sink.bytesSent + pair.client.sink.bytesQueued;
      await closing;
      assert.is(pair.client.sink.bytesSent, given, "what was given before, and no more");
      assert.ok(await others.ended() > 0, "sends that came later were refused");
      await expectEnd(pair.server);
    }, { timeoutMs: 30_000 });

    test(`aborting the writable waits for no other sender (${mode})`, async () => {
      await using network = await own();
      await using pair = await connect(network.network);
      const sends = [1, 2].map((seed) => pair.client.sink.send(pattern(TOO_MUCH, seed)));
      sends.forEach((send) => send.catch(() => {}));
      await until(() => pair.client.sink.bytesSent > 0, "a part is taken");
      await pair.client.writable.abort("enough");
      for (const send of sends) await assert.rejects(send, { code: "Closed" });
      const counted = await countedMs(pair.client.close());
      assert.ok(counted < 2_500, `close() took ${counted} ms`);
    });
  }

  test("cancelling the readable waits for no receive and no send", async ({ network }) => {
    await using pair = await connect(network);
    const sending = pair.client.sink.send(pattern(TOO_MUCH, 1));
    const receives = [1, 2].map(() => pair.client.stream.recv(100));
    const ends = receives.map((call) => assert.rejects(call, { code: "Closed" }));
    await pair.client.readable.cancel("enough");
    await Promise.all(ends);
    const got = await pair.server.stream.recv(TOO_MUCH);
    assert.ok(got instanceof IoBufs);
    assert.bytesEqual(got.toUint8Array(), pattern(TOO_MUCH, 1));
    await sending;
  });
}
