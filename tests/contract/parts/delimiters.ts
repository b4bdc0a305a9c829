/**
 * Receiving to a delimiter, by lines, and looking ahead: `recvUntil`, `lines`, `wait`, `consume`.
 *
 * @module
 */
import type { NetworkConfig, Stream, UntilOptions } from "../../../mod.ts";
import { assert, bytesEqual } from "../../harness.ts";
import {
  concat,
  connect,
  type ContractSuite,
  expectText,
  pattern,
  pause,
  settlesWithin,
  socketPath,
  SOON_MS,
  started,
  until,
} from "../fixture.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const encode = (words: string) => new TextEncoder().encode(words);

/** The error of a call that must throw. */
function refused(call: () => unknown, type: typeof TypeError | typeof RangeError): string {
  let message = "";
  assert.throws(call, (error: Error) => {
    message = error.message;
    return error instanceof type;
  });
  return message;
}

/** Everything that `lines` yields. */
async function linesOf(stream: Stream, options?: UntilOptions): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of stream.lines(options)) lines.push(line);
  return lines;
}

export function delimiters(test: ContractSuite, config: NetworkConfig): void {
  const unbuffered = config.readBufferSize === 0;

  test("recvUntil() takes a delimiter as text, bytes or a number", async ({ network }) => {
    for (const address of ["127.0.0.1:0", `unix:${socketPath()}`]) {
      await using pair = await connect(network, address);
      const { stream } = pair.server;
      await pair.client.sink.send("one\ntwo\r\nthree;four\u20acfive");
      assert.is((await stream.recvUntil("\n")).text(), "one\n");
      assert.is((await stream.recvUntil(encode("\r\n"))).text(), "two\r\n");
      assert.is((await stream.recvUntil(59)).text(), "three;");
      assert.is((await stream.recvUntil("\u20ac")).text(), "four\u20ac");
      await expectText(pair.server, "five");
    }
  });

  test("recvUntil() finds a delimiter that comes byte by byte", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const words = "GET / HTTP/1.1\r\n\r \r\n\r\r\n\r\nrest";
    const receiving = stream.recvUntil("\r\n\r\n");
    for (const byte of encode(words)) {
      await pair.client.sink.send(Uint8Array.of(byte));
      await pause(1);
    }
    assert.is((await receiving).text(), words.slice(0, -4));
    await expectText(pair.server, "rest");
  });

  test("recvUntil() finds a delimiter behind many read buffers", async ({ network }) => {
    await using pair = await connect(network);
    const body = pattern(700_000, 3).map((byte) => byte === 0 ? 1 : byte);
    const sending = pair.client.sink.send([body, Uint8Array.of(0, 7)]);
    const got = await pair.server.stream.recvUntil(0, { maxLength: 700_001 });
    bytesEqual(got.toUint8Array(), concat([body, Uint8Array.of(0)]));
    await sending;
    bytesEqual((await pair.server.stream.recv(1)).toUint8Array(), Uint8Array.of(7));
  });

  test("recvUntil() at the end of the stream consumes nothing", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    await pair.client.sink.send("half a line");
    await pair.client.sink.close();
    await assert.rejects(stream.recvUntil("\n"), {
      code: "RecvFailed",
      operation: "recvUntil",
      endOfStream: true,
      bytesDone: 11,
    });
    await expectText(pair.server, "half a line");
    assert.is(await stream.recvSome(), null);
    await assert.rejects(stream.recvUntil("\n"), { code: "Closed", endOfStream: true });
  });

  test("recvUntil() consumes nothing when maxLength is passed", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    await pair.client.sink.send("0123456789;");
    await assert.rejects(stream.recvUntil(";", { maxLength: 10 }), {
      code: "TooLong",
      operation: "recvUntil",
      errno: null,
    });
    assert.is((await stream.recvUntil(";", { maxLength: 11 })).text(), "0123456789;");
    const sending = pair.client.sink.send(new Uint8Array(70_000));
    const error = await assert.rejects(stream.recvUntil("\n"), { code: "TooLong" });
    assert.match(error.message, /: no delimiter ends within 65536 bytes$/);
    bytesEqual((await stream.recv(70_000)).toUint8Array(), new Uint8Array(70_000));
    await sending;
  });

  test("a timeout and an abort of recvUntil() and wait() lose no byte", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    await pair.client.sink.send("no end yet");
    await assert.rejects(stream.recvUntil("\n", { timeoutMs: 30 }), {
      code: "Timeout",
      operation: "recvUntil",
    });
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = stream.wait(100, controller);
    const receiving = stream.recvUntil("\n", controller);
    controller.abort(reason);
    assert.is(await assert.rejects(waiting), reason);
    assert.is(await assert.rejects(receiving), reason);
    assert.is(await assert.rejects(stream.recvUntil("\n", controller)), reason);
    await assert.rejects(stream.wait(100, { timeoutMs: 5 }), {
      code: "Timeout",
      operation: "wait",
    });
    await pair.client.sink.send(", but now\n");
    assert.is((await stream.recvUntil("\n")).text(), "no end yet, but now\n");
  });

  test("recvUntil() and wait() are served in order with the other calls", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const calls = Promise.all([
      stream.recvUntil(";").then((got) => got.text()),
      stream.wait(3),
      stream.recv(3).then((got) => got.text()),
      stream.recvUntil(";").then((got) => got.text()),
      stream.recvSome(3).then((got) => got?.text()),
    ]);
    assert.is(stream.tryRecv(1), null);
    assert.match(refused(() => stream.consume(0), TypeError), /another call waits/);
    await pair.client.sink.send("one;twothree;four");
    assert.equal(await calls, ["one;", true, "two", "three;", "fou"]);
    await expectText(pair.server, "r");
  });

  test("a close and a reset end recvUntil(), lines() and wait()", async ({ network }) => {
    for (const end of ["close", "reset"] as const) {
      await using pair = await connect(network);
      const { stream } = pair.server;
      const calls = [stream.recvUntil("\n"), stream.wait(5), linesOf(stream)];
      const ended = Promise.all(
        calls.map((call) => assert.rejects(call as Promise<unknown>, { code: "Closed" })),
      );
      await pair.server[end]();
      await ended;
      await assert.rejects(stream.wait(5), { code: "Closed" });
      assert.is(await stream.wait(0), true);
      refused(() => stream.consume(1), RangeError);
    }
  });

  test("a reset of the peer fails recvUntil(), lines() and wait()", async ({ network }) => {
    for (
      const start of [
        (stream: Stream) => stream.recvUntil("\n"),
        (stream: Stream) => stream.wait(5),
        (stream: Stream) => linesOf(stream),
      ]
    ) {
      await using pair = await connect(network);
      const call = assert.rejects(start(pair.server.stream) as Promise<unknown>, {
        code: "RecvFailed",
        errno: "ECONNRESET",
      });
      pair.client.reset();
      await call;
    }
  });

  test("lines() yields text without its ends, and a last line without one", async ({ network }) => {
    const given = "first\r\n\n\ufeffthird \u20ac\nmid\rdle\r\r\nlast\r";
    const wanted = ["first", "", "\ufeffthird \u20ac", "mid\rdle\r", "last\r"];
    for (const cut of [1, 3, given.length]) {
      await using pair = await connect(network);
      const reading = linesOf(pair.server.stream);
      const bytes = encode(given);
      for (let at = 0; at < bytes.length; at += cut) {
        await pair.client.sink.send(bytes.subarray(at, at + cut));
      }
      await pair.client.sink.close();
      assert.equal(await reading, wanted);
      assert.equal(await linesOf(pair.server.stream), [], "after the end");
    }
  });

  test("leaving lines() leaves the following bytes to other calls", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send("head\nbody");
    for await (const line of pair.server.stream.lines()) {
      assert.is(line, "head");
      break;
    }
    await expectText(pair.server, "body");
  });

  test("lines() consumes no line that it refuses", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const bad = Uint8Array.of(97, 0xe2, 0x82, 10);
    await pair.client.sink.send(["good\n", bad, "much too long\n"]);
    const lines = stream.lines()[Symbol.asyncIterator]();
    assert.equal(await lines.next(), { done: false, value: "good" });
    const error = await assert.rejects(lines.next(), TypeError);
    assert.match(error.message, /: its 3 bytes are not UTF-8$/);
    bytesEqual((await stream.recvUntil("\n")).toUint8Array(), bad);
    await assert.rejects(linesOf(stream, { maxLength: 5 }), { code: "TooLong" });
    await expectText(pair.server, "much too long\n");
  });

  test("a last line without a line break may have maxLength bytes, and no more", async (c) => {
    for (const [length, kind] of [[3, "whole"], [4, "whole"], [5, "too long"]] as const) {
      await using pair = await connect(c.network);
      const text = "x".repeat(length);
      await pair.client.sink.send(`abc\n${text}`);
      await pair.client.sink.close();
      const lines = pair.server.stream.lines({ maxLength: 4 })[Symbol.asyncIterator]();
      assert.equal(await lines.next(), { done: false, value: "abc" });
      if (kind === "whole") {
        assert.equal(await lines.next(), { done: false, value: text });
        assert.equal(await lines.next(), { done: true, value: undefined });
      } else {
        const error = await assert.rejects(lines.next(), { code: "TooLong" });
        assert.match(error.message, /: no delimiter ends within 4 bytes$/);
        await expectText(pair.server, text);
      }
    }
  });

  test("the budget of lines() applies to each line", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send("one\ntw");
    await pair.server.stream.wait(6);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const line of pair.server.stream.lines({ timeoutMs: 50 })) seen.push(line);
    })();
    await assert.rejects(reading, { code: "Timeout" });
    assert.equal(seen, ["one"]);
    await pair.client.sink.send("o\n");
    await pair.client.sink.close();
    assert.equal(await linesOf(pair.server.stream), ["two"]);
  });

  test("wait() is true once that many bytes can be peeked", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    assert.is(await stream.wait(0), true);
    const waiting = stream.wait(6);
    await pair.client.sink.send("012");
    assert.is(await settlesWithin(waiting, 30), false);
    await pair.client.sink.send("3456789");
    assert.is(await waiting, true);
    assert.is(text(stream.peek(6)), "012345");
    stream.consume(4);
    assert.is(text(stream.peek(2)), "45");
    await until(() => unbuffered || stream.buffered === 6, "all of it came");
    assert.match(
      refused(() => stream.consume(stream.buffered + 1), RangeError),
      /^Cannot use "length": wanted an integer from 0 to \d, given \d$/,
    );
    await expectText(pair.server, "456789");
  });

  test("wait() goes beyond a read buffer, and is false at the end", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    const sent = pattern(300_000, 5);
    const sending = pair.client.sink.send(sent).then(() => pair.client.sink.close());
    assert.is(await stream.wait(250_000, { timeoutMs: SOON_MS }), true);
    bytesEqual(stream.peek(250_000), sent.subarray(0, 250_000));
    stream.consume(200_000);
    assert.is(await stream.wait(100_001), false);
    assert.is(stream.buffered, 100_000);
    await sending;
    // The end is still to be met.
    await assert.rejects(stream.recv(100_001), { code: "RecvFailed", endOfStream: true });
    bytesEqual((await stream.recv(100_000)).toUint8Array(), sent.subarray(200_000));
    assert.is(await stream.recvSome(), null);
    assert.is(await stream.wait(1), false);
  });

  test("without a read buffer, wait() asks for no byte more", async () => {
    await using own = await started({ ...config, readBufferSize: 0 });
    await using pair = await connect(own.network);
    const { stream } = pair.server;
    await pair.client.sink.send("0123456789");
    assert.is(stream.peek(10).length, 0);
    assert.is(await stream.wait(4), true);
    assert.is(stream.buffered, 4);
    assert.is(stream.bytesReceived, 4);
    assert.is(text(stream.peek(10)), "0123");
    assert.is((await stream.recv(7)).text(), "0123456");
    assert.is(stream.bytesReceived, 7);
    assert.is((await stream.recvUntil("8")).text(), "78");
    assert.is(text(stream.peek(10)), "9", "the look-ahead brought it");
  });

  test("wrong delimiters, lengths and options are refused at once", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.server;
    // deno-lint-ignore no-explicit-any
    const any = stream as any;
    for (const wrong of [null, undefined, {}, [10], true, new ArrayBuffer(1), new Uint16Array(1)]) {
      const error = await assert.rejects(any.recvUntil(wrong), TypeError);
      assert.match(error.message, /"delimiter"/);
    }
    for (const wrong of ["", new Uint8Array(0), -1, 256, 1.5, NaN]) {
      const error = await assert.rejects(stream.recvUntil(wrong), RangeError);
      assert.match(error.message, /"delimiter"/);
    }
    await assert.rejects(stream.recvUntil("abc", { maxLength: 2 }), { name: "RangeError" });
    for (const maxLength of [0, -1, 1.5, 2 ** 32]) {
      await assert.rejects(stream.recvUntil("\n", { maxLength }), { name: "RangeError" });
      refused(() => stream.lines({ maxLength }), RangeError);
    }
    for (const options of [null, 5, { maxlength: 5 }, { maxLength: "5" }, { signal: 1 }]) {
      await assert.rejects(any.recvUntil("\n", options), { name: "TypeError" });
      refused(() => any.lines(options), TypeError);
    }
    await assert.rejects(any.wait(5, { maxLength: 5 }), { name: "TypeError" });
    await assert.rejects(any.recv(5, { maxLength: 5 }), { name: "TypeError" });
    for (const length of [-1, 1.5, NaN, 2 ** 32]) {
      await assert.rejects(stream.wait(length), { name: "RangeError" });
      refused(() => stream.consume(length), RangeError);
    }
    await assert.rejects(any.wait("5"), { name: "TypeError" });
    refused(() => any.consume("5"), TypeError);
    await pair.client.sink.send("alive\n");
    assert.is((await stream.recvUntil("\n")).text(), "alive\n");
  });

  test("a delimiter is copied when the call is made", async ({ network }) => {
    await using pair = await connect(network);
    class Liar extends Uint8Array {
      override get length(): number {
        return 1_000;
      }
    }
    const delimiter = new Liar(2).fill(59);
    const receiving = pair.server.stream.recvUntil(delimiter);
    delimiter.fill(48);
    await pair.client.sink.send("00;0;;0");
    assert.is((await receiving).text(), "00;0;;");
  });
}
