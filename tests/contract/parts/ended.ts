/**
 * How a stream ends: FIN, RST and errors, and what can still be had after each.
 *
 * @module
 */
import { type NetworkConfig, NetworkError } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  expectAlive,
  expectBytes,
  expectEnd,
  expectText,
  pattern,
  pause,
  started,
} from "../fixture.ts";

export function ended(test: ContractSuite, config: NetworkConfig): void {
  test("FIN: recvSome gives null, now and in later calls", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send("last words");
    await pair.client.sink.close();
    assert.is((await pair.server.stream.recvSome())?.text(), "last words");
    await expectEnd(pair.server);
    assert.ok(pair.server.stream.closed);
    assert.is((await pair.server.stream.recv(0)).length, 0);
    await expectEnd(pair.server);
    const late = { code: "Closed", endOfStream: true, bytesDone: 0 };
    await assert.rejects(pair.server.stream.recv(1), late);
    await expectEnd(pair.server);
  });

  test("FIN ends calls that wait already, each with its own result", async ({ network }) => {
    await using pair = await connect(network);
    const calls = [
      pair.server.stream.recv(5),
      pair.server.stream.recvSome(5),
      pair.server.stream.recvSome(5),
    ];
    const [first, ...others] = calls;
    const rejected = assert.rejects(first, {
      code: "RecvFailed",
      endOfStream: true,
      errno: null,
      bytesDone: 0,
    });
    await pair.client.sink.close();
    assert.instance(await rejected, NetworkError);
    assert.equal(await Promise.all(others), [null, null]);
  });

  for (const readBufferSize of [65_536, 50, 0]) {
    test(`FIN in the middle of a message (read buffer ${readBufferSize})`, async () => {
      await using own = await started({ ...config, readBufferSize });
      await using pair = await connect(own.network);
      await pair.client.sink.send(pattern(50));
      await pair.client.sink.close();
      await assert.rejects(pair.server.stream.recv(100), {
        code: "RecvFailed",
        operation: "recv",
        endOfStream: true,
        errno: null,
        bytesDone: 50,
      });
      assert.ok(pair.server.stream.closed);
      await pair.server.sink.send("the sink still works");
      await expectText(pair.client, "the sink still works");
      await expectBytes(pair.server, pattern(50), "what had arrived stays readable");
      await expectEnd(pair.server);
      await assert.rejects(pair.server.stream.recv(1), NetworkError);
      await assert.rejects(pair.server.stream.recv(1), { code: "Closed" });
    });
  }

  test("half close in both orders", async ({ network }) => {
    for (const order of ["client first", "server first"]) {
      await using pair = await connect(network);
      const [first, second] = order === "client first"
        ? [pair.client, pair.server]
        : [pair.server, pair.client];
      await first.sink.send("question");
      await first.sink.close();
      await expectText(second, "question");
      await expectEnd(second);
      await second.sink.send("answer");
      await expectText(first, "answer");
      await second.sink.close();
      await expectEnd(first);
      await Promise.all([first.close(), second.close()]);
    }
  });

  test("RST is no clean end: RecvFailed, ECONNRESET, then Closed", async ({ network }) => {
    await using pair = await connect(network);
    pair.client.reset();
    await assert.rejects(pair.server.stream.recvSome(), {
      code: "RecvFailed",
      operation: "recvSome",
      errno: "ECONNRESET",
      endOfStream: false,
    });
    await assert.rejects(pair.server.stream.recvSome(), { code: "Closed" });
    await assert.rejects(pair.server.stream.recv(1), { code: "Closed" });
    assert.ok(pair.server.stream.closed);
  });

  test("RST ends calls that wait already: the first one gets the reason", async ({ network }) => {
    await using pair = await connect(network);
    const first = assert.rejects(pair.server.stream.recv(10), {
      code: "RecvFailed",
      errno: "ECONNRESET",
    });
    const second = assert.rejects(pair.server.stream.recvSome(), { code: "Closed" });
    await pause(5);
    pair.client.reset();
    await Promise.all([first, second]);
  });

  test("RST after data: bytes received before stay readable", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send("0123456789");
    await expectText(pair.server, "01");
    assert.is(pair.server.stream.buffered, 8);
    pair.client.reset();
    await assert.rejects(pair.server.stream.recv(100), {
      code: "RecvFailed",
      errno: "ECONNRESET",
      bytesDone: 8,
    });
    await expectText(pair.server, "2345");
    assert.is((await pair.server.stream.recvSome())?.text(), "6789");
    await assert.rejects(pair.server.stream.recvSome(), { code: "Closed" });
  });

  // The kernel tells of RST once. A send that is under way takes it for "so many bytes", and the
  // receive sees a plain end.
  for (const receives of ["afterwards", "meanwhile"]) {
    test(`RST in the middle of a send is no clean end for a receive ${receives}`, async () => {
      await using own = await started(config);
      for (let round = 0; round < 12; round++) {
        await using pair = await connect(own.network);
        const sending = assert.rejects(pair.client.sink.send(pattern(16 << 20)), {
          code: "SendFailed",
        });
        const early = receives === "meanwhile" ? pair.client.stream.recvSome() : null;
        early?.catch(() => {}); // Looked at below.
        await expectBytes(pair.server, pattern(1_000 + round * 7_001));
        pair.server.reset();
        await sending;
        await assert.rejects(early ?? pair.client.stream.recvSome(), {
          code: "RecvFailed",
          errno: "ECONNRESET",
        });
      }
    });
  }

  test("RST in the middle of a send, behind FIN: the stream has a clean end", async () => {
    await using own = await started(config);
    for (let round = 0; round < 12; round++) {
      await using pair = await connect(own.network);
      const sending = assert.rejects(pair.client.sink.send(pattern(16 << 20)), {
        code: "SendFailed",
      });
      await expectBytes(pair.server, pattern(1_000 + round * 7_001));
      if (round % 2 === 0) await pair.server.sink.send("enough");
      await pair.server.sink.close();
      pair.server.reset();
      await sending;
      if (round % 2 === 0) await expectText(pair.client, "enough");
      await expectEnd(pair.client);
    }
  });

  test("iteration throws at RST and ends at FIN", async ({ network }) => {
    await using reset = await connect(network);
    reset.client.reset();
    const loop = async () => {
      for await (const _ of reset.server.stream) assert.unreachable("nothing was sent");
    };
    await assert.rejects(loop, { code: "RecvFailed", errno: "ECONNRESET" });
    await using fin = await connect(network);
    await fin.client.sink.close();
    for await (const _ of fin.server.stream) assert.unreachable("nothing was sent");
  });

  test("a peer that closes with unread data: still FIN after what it sent", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send("never read");
    await pair.server.sink.send("goodbye");
    await pause(5);
    await pair.server.close();
    await expectText(pair.client, "goodbye");
    await expectEnd(pair.client);
  });

  test("bytesReceived and bytesSent count what the kernel carried", async ({ network }) => {
    await using pair = await connect(network);
    const before = network.stats();
    await pair.client.sink.send(pattern(1_000));
    await pair.client.sink.send("é");
    await expectBytes(pair.server, pattern(1_000));
    await expectText(pair.server, "é");
    assert.is(pair.client.sink.bytesSent, 1_002);
    assert.is(pair.server.stream.bytesReceived, 1_002);
    const after = network.stats();
    assert.is(after.outboundBytes - before.outboundBytes, 1_002);
    assert.is(after.inboundBytes - before.inboundBytes, 1_002);
    await expectAlive(pair);
  });
}
