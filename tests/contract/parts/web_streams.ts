/**
 * `readable` and `writable`: the halves as web streams.
 *
 * @module
 */
import type { NetworkConfig } from "../../../mod.ts";
import { assert, bytesEqual } from "../../harness.ts";
import {
  concat,
  connect,
  type ContractSuite,
  expectEnd,
  expectText,
  pattern,
  pause,
  readAll,
  settlesWithin,
  until,
} from "../fixture.ts";

export function webStreams(test: ContractSuite, _config: NetworkConfig): void {
  test("readable and writable carry bytes to the end", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = pattern(1 << 20, 1);
    const writing = (async () => {
      const writer = pair.client.writable.getWriter();
      for (let at = 0; at < bytes.length; at += 50_000) {
        await writer.write(bytes.subarray(at, at + 50_000));
      }
      await writer.close();
    })();
    const parts: Uint8Array[] = [];
    const reader = pair.server.readable.getReader();
    for (let item = await reader.read(); !item.done; item = await reader.read()) {
      parts.push(item.value);
    }
    bytesEqual(concat(parts), bytes);
    await writing;
    await expectEnd(pair.server);
    await pair.server.sink.send("the other way");
    await expectText(pair.client, "the other way");
  });

  test("each web stream is made once, and only when asked for", async ({ network }) => {
    await using pair = await connect(network);
    assert.is(pair.client.readable, pair.client.readable);
    assert.is(pair.client.writable, pair.client.writable);
    assert.instance(pair.client.readable, ReadableStream);
    assert.instance(pair.client.writable, WritableStream);
  });

  test("an echo server is one pipeTo", async ({ network }) => {
    await using pair = await connect(network);
    const echo = pair.server.readable.pipeTo(pair.server.writable);
    const bytes = pattern(3 << 20, 2);
    const sending = pair.client.sink.send(bytes).then(() => pair.client.sink.close());
    bytesEqual(await readAll(pair.client), bytes);
    await Promise.all([echo, sending]);
  });

  test("an unread readable takes no byte from the network", async ({ network }) => {
    await using pair = await connect(network);
    const { readable } = pair.server;
    let sent = 0;
    const sending = (async () => {
      for (; sent < 400; sent++) await pair.client.sink.send(pattern(65_536));
    })();
    sending.catch(() => {});
    assert.not(await settlesWithin(sending, 100), "the sender waits");
    assert.ok(pair.server.stream.bytesReceived <= 65_536, "no more than one chunk ahead");
    await pair.client.sink.flush({ timeoutMs: 1 }).catch(() => {});
    const reader = readable.getReader();
    let received = 0;
    while (received < 400 * 65_536) received += (await reader.read()).value?.length ?? 0;
    await sending;
    assert.is(received, 400 * 65_536);
  });

  test("a writer waits for the kernel", async ({ network }) => {
    await using pair = await connect(network);
    const writer = pair.client.writable.getWriter();
    await writer.ready;
    const write = writer.write(pattern(24 << 20));
    write.catch(() => {});
    assert.is((writer.desiredSize as number) <= 0, true);
    assert.not(await settlesWithin(writer.ready, 30), "backpressure");
    let left = 24 << 20;
    while (left > 0) {
      using part = await pair.server.stream.recvSome();
      left -= part?.length ?? left;
    }
    await Promise.all([write, writer.ready]);
    await writer.close();
    await expectEnd(pair.server);
  });

  test("cancelling the readable ends the receiving half only", async ({ network }) => {
    await using pair = await connect(network);
    const reader = pair.client.readable.getReader();
    const read = reader.read();
    await reader.cancel("enough");
    assert.ok((await read).done);
    assert.ok(pair.client.stream.closed);
    await assert.rejects(pair.client.stream.recv(1), { code: "Closed" });
    await pair.client.sink.send("still sending");
    await expectText(pair.server, "still sending");
  });

  test("aborting the writable resets the connection", async ({ network }) => {
    await using pair = await connect(network);
    const writer = pair.client.writable.getWriter();
    await writer.write(new TextEncoder().encode("before"));
    await writer.abort("broken");
    const outcome = await readAll(pair.server).catch((error) => error);
    assert.is(outcome.errno, "ECONNRESET");
    await assert.rejects(pair.client.sink.send("x"), { code: "Closed" });
    await pair.client.close();
  });

  test("aborting the writable ends a write that the peer does not read", async ({ network }) => {
    await using pair = await connect(network);
    const writer = pair.client.writable.getWriter();
    writer.closed.catch(() => {});
    const writing = assert.rejects(writer.write(pattern(24 << 20)));
    await until(() => pair.client.sink.bytesSent > 0, "a part is taken");
    await writer.abort("broken");
    await writing;
    const outcome = await readAll(pair.server).catch((error) => error);
    assert.is(outcome.errno, "ECONNRESET");
  });

  test("a reset errors the readable, and the writable with its next chunk", async ({ network }) => {
    await using pair = await connect(network);
    const reader = pair.client.readable.getReader();
    const read = assert.rejects(reader.read(), { code: "RecvFailed", errno: "ECONNRESET" });
    await pause(5);
    pair.server.reset();
    await read;
    const writer = pair.client.writable.getWriter();
    writer.closed.catch(() => {});
    await assert.rejects(writer.write(pattern(10)), { code: "SendFailed" });
    await assert.rejects(writer.write(pattern(10)));
  });

  test("a chunk that cannot be sent errors the writable with TypeError", async ({ network }) => {
    await using pair = await connect(network);
    const writer = pair.client.writable.getWriter();
    writer.closed.catch(() => {});
    await assert.rejects(writer.write(42 as unknown as Uint8Array), TypeError);
  });

  test("decoding text through the readable", async ({ network }) => {
    await using pair = await connect(network);
    const words = "grüße, 世界 🌍 ".repeat(5_000);
    const sending = pair.client.sink.send(words).then(() => pair.client.sink.close());
    let text = "";
    const decoder = new TextDecoder();
    for await (const part of pair.server.readable) text += decoder.decode(part, { stream: true });
    assert.is(text + decoder.decode(), words);
    await sending;
  });

  test("a reader brings its own memory, which gets what fits", async ({ network }) => {
    await using pair = await connect(network);
    const reader = pair.server.readable.getReader({ mode: "byob" });
    const memory = new ArrayBuffer(10);
    const first = reader.read(new Uint8Array(memory, 3, 4));
    await pair.client.sink.send("abcdefg");
    const { value } = await first;
    assert.is(new TextDecoder().decode(value), "abcd");
    assert.equal([value?.byteOffset, value?.buffer.byteLength], [3, 10]);
    assert.is(memory.byteLength, 0, "given away until the read ends, and given back by it");
    const second = await reader.read(new Uint8Array(10));
    assert.is(new TextDecoder().decode(second.value), "efg");
    assert.equal([second.value?.length, second.value?.buffer.byteLength], [3, 10]);
  });

  test("bulk through one buffer of the reader's", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = pattern(3 << 20, 4);
    const sending = pair.client.sink.send(bytes).then(() => pair.client.sink.close());
    const reader = pair.server.readable.getReader({ mode: "byob" });
    const parts: Uint8Array[] = [];
    let memory = new ArrayBuffer(100_000);
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(memory));
      memory = value?.buffer as ArrayBuffer;
      assert.is(memory.byteLength, 100_000);
      if (done) break;
      parts.push(value.slice());
    }
    bytesEqual(concat(parts), bytes);
    await sending;
  });

  test("reads into the reader's memory end with the stream, also later", async ({ network }) => {
    await using pair = await connect(network);
    const reader = pair.server.readable.getReader({ mode: "byob" });
    const reads = [2, 3].map((length) => reader.read(new Uint8Array(length)));
    await pair.client.sink.close();
    for (
      const { done, value } of [...await Promise.all(reads), await reader.read(new Uint8Array(4))]
    ) {
      assert.equal([done, value?.length], [true, 0]);
    }
    await reader.closed;
  });

  test("elements of two bytes that arrive in two parts are joined", async ({ network }) => {
    await using pair = await connect(network);
    const reader = pair.server.readable.getReader({ mode: "byob" });
    const read = reader.read(new Uint16Array(4));
    await pair.client.sink.send(Uint8Array.of(1));
    await until(() => pair.server.stream.bytesReceived === 1, "the first byte is there");
    await pair.client.sink.send(Uint8Array.of(2, 3));
    assert.equal([...(await read).value as Uint16Array], [0x0201]);
    await pair.client.sink.send(Uint8Array.of(4));
    assert.equal([...(await reader.read(new Uint16Array(4))).value as Uint16Array], [0x0403]);
  });

  test("cancel and reset end a read into the reader's memory", async ({ network }) => {
    await using pair = await connect(network);
    const reader = pair.server.readable.getReader({ mode: "byob" });
    const read = reader.read(new Uint8Array(4));
    await reader.cancel("enough");
    assert.ok((await read).done);
    assert.ok(pair.server.stream.closed);
    const other = pair.client.readable.getReader({ mode: "byob" });
    const broken = assert.rejects(other.read(new Uint8Array(4)), {
      code: "RecvFailed",
      errno: "ECONNRESET",
    });
    pair.server.reset();
    await broken;
  });

  test("a reader that leaves while it waits loses no byte to the next one", async ({ network }) => {
    await using pair = await connect(network);
    const { readable } = pair.server;
    const decoder = new TextDecoder();
    const own = (length: number) => {
      const reader = readable.getReader({ mode: "byob" });
      return { reader, read: () => reader.read(new Uint8Array(length)) };
    };
    const plain = () => {
      const reader = readable.getReader();
      return { reader, read: () => reader.read() };
    };
    for (const [first, next] of [[() => own(4), plain], [plain, () => own(3)]] as const) {
      const leaving = first();
      const left = assert.rejects(leaving.read(), TypeError);
      leaving.reader.releaseLock();
      await left;
      const { reader, read } = next();
      const reading = read();
      await pair.client.sink.send("abcdefgh");
      let text = decoder.decode((await reading).value);
      while (text.length < 8) text += decoder.decode((await read()).value);
      assert.is(text, "abcdefgh");
      reader.releaseLock();
    }
  });

  test("both branches of a tee get every byte", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = pattern(1 << 20, 5);
    const sending = pair.client.sink.send(bytes).then(() => pair.client.sink.close());
    const branches = pair.server.readable.tee();
    for (const whole of await Promise.all(branches.map((one) => new Response(one).bytes()))) {
      bytesEqual(whole, bytes);
    }
    await sending;
  });

  test("chunks are plain arrays of their own", async ({ network }) => {
    await using pair = await connect(network);
    const reader = pair.server.readable.getReader();
    const read = reader.read();
    await pair.client.sink.send("abc");
    const { value } = await read;
    assert.is(value?.constructor, Uint8Array);
    assert.equal([value?.byteOffset, value?.buffer.byteLength], [0, 3]);
  });
}
