/**
 * Messages on a connection: length-prefixed, delimited, and codecs of one's own, on TCP and unix
 * sockets; what lies, what is cut off, and what cannot be encoded.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import {
  type Codec,
  type Connection,
  delimited,
  framed,
  IoBuf,
  IoBufMut,
  IoBufs,
  lengthPrefixed,
  type LengthPrefixedOptions,
  Network,
  type Sendable,
} from "../../mod.ts";
import {
  closeChecked,
  connect,
  type ContractContext,
  pattern,
  socketPath,
  SOON_MS,
} from "../contract/fixture.ts";
import { assert, bytesEqual, Random, suite } from "../harness.ts";

const test = suite<ContractContext>("framing", {} as ContractContext, { timeoutMs: 20_000 });
const SOON = { timeoutMs: SOON_MS };
const encoder = new TextEncoder();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test.before(async (context) => {
  context.network = await Network.start();
});
test.after(({ network }) => closeChecked(network));

function isInputError(error: Error, message: RegExp): boolean {
  return (error instanceof TypeError || error instanceof RangeError) && message.test(error.message);
}

/** The bytes of what a codec encodes. */
function bytesOf(sendable: Sendable): Uint8Array {
  if (sendable instanceof IoBufs) return sendable.toUint8Array();
  return new IoBufs(...(sendable as Uint8Array[])).toUint8Array();
}

/** Sends `bytes` in two parts, cut at `at`. */
async function sendCut(to: Connection, bytes: Uint8Array, at: number): Promise<void> {
  await to.sink.send(bytes.subarray(0, at));
  await to.sink.send(bytes.subarray(at));
}

test("frames of each width and order go around, on TCP and unix sockets", async ({ network }) => {
  for (const address of ["127.0.0.1:0", `unix:${socketPath()}`]) {
    for (const lengthBytes of [1, 2, 4, 8] as const) {
      for (const littleEndian of [false, true]) {
        await using pair = await connect(network, address);
        const codec = lengthPrefixed({ lengthBytes, littleEndian });
        const client = framed(pair.client, codec);
        const server = framed(pair.server, codec);
        assert.is(client.connection, pair.client);
        await client.send("request");
        await client.send("");
        await client.send(pattern(200));
        assert.is((await server.receive(SOON))?.text(), "request");
        assert.is((await server.receive(SOON))?.text(), "");
        bytesEqual((await server.receive(SOON))!.toUint8Array(), pattern(200));
        await client.close();
        assert.is(await server.receive(SOON), null);
      }
    }
  }
});

test("the bytes of a frame are the length, then the body", () => {
  const frame = (options: LengthPrefixedOptions) =>
    Array.from(bytesOf(lengthPrefixed(options).encode("ab")));
  assert.equal(frame({ lengthBytes: 1 }), [2, 97, 98]);
  assert.equal(frame({ lengthBytes: 2 }), [0, 2, 97, 98]);
  assert.equal(frame({}), [0, 0, 0, 2, 97, 98]);
  assert.equal(frame({ littleEndian: true }), [2, 0, 0, 0, 97, 98]);
  assert.equal(frame({ lengthBytes: 8 }), [0, 0, 0, 0, 0, 0, 0, 2, 97, 98]);
});

test("everything that can be sent can be framed; buffers are moved", async ({ network }) => {
  await using pair = await connect(network);
  const [client, server] = [pair.client, pair.server].map((one) => framed(one, lengthPrefixed()));
  const mutable = network.pool.alloc(3);
  mutable.bytes.set(encoder.encode("mut"));
  const values: [Sendable, string][] = [
    ["text \u20ac", "text \u20ac"],
    [encoder.encode("array"), "array"],
    [encoder.encode("buffer").buffer, "buffer"],
    [["several ", encoder.encode("parts")], "several parts"],
    [IoBuf.from("iobuf"), "iobuf"],
    [mutable, "mut"],
    [new IoBufs("io", "bufs"), "iobufs"],
  ];
  for (const [value, wanted] of values) {
    await client.send(value, SOON);
    assert.is((await server.receive(SOON))?.text(), wanted);
    if (value instanceof IoBuf || value instanceof IoBufs || value instanceof IoBufMut) {
      assert.ok(value.released, "moved");
    }
  }
});

test("iteration yields messages until the end, and leaves the connection open", async (context) => {
  await using pair = await connect(context.network);
  const client = framed(pair.client, delimited());
  const server = framed(pair.server, delimited());
  for (const line of ["one", "two", "three"]) await client.send(line);
  for await (const line of server) if (text(line) === "two") break;
  assert.is(text((await server.receive(SOON))!), "three");
  await server.send("open");
  assert.is(text((await client.receive(SOON))!), "open");
  await client.close();
  const rest: string[] = [];
  for await (const line of server) rest.push(text(line));
  assert.equal(rest, []);
  await server[Symbol.asyncDispose]();
});

test("a frame cut at each byte arrives whole", async ({ network }) => {
  await using pair = await connect(network);
  const codec = lengthPrefixed({ lengthBytes: 2 });
  const frame = bytesOf(codec.encode(pattern(20)));
  for (let at = 1; at < frame.length; at++) {
    const decoded = codec.decode(pair.server.stream, SOON);
    await sendCut(pair.client, frame, at);
    bytesEqual((await decoded)!.toUint8Array(), pattern(20), `cut at ${at}`);
  }
});

test("a peer that stops inside a frame: endOfStream, and its bytes stay", async ({ network }) => {
  for (const codec of [lengthPrefixed({ lengthBytes: 2 }), delimited({ delimiter: "||" })]) {
    const frame = bytesOf((codec as Codec<unknown, Sendable>).encode("12345"));
    for (let length = 1; length < frame.length; length++) {
      await using pair = await connect(network);
      await pair.client.sink.send(frame.subarray(0, length));
      await pair.client.sink.close();
      await assert.rejects(codec.decode(pair.server.stream, SOON), {
        code: "RecvFailed",
        endOfStream: true,
      });
      const left = await pair.server.stream.recv(length, SOON);
      bytesEqual(left.toUint8Array(), frame.subarray(0, length));
    }
  }
});

test("a frame longer than maxLength: TooLong, and nothing is consumed", async (context) => {
  await using pair = await connect(context.network);
  const codec = lengthPrefixed({ maxLength: 10 });
  await pair.client.sink.send(Uint8Array.of(0, 0, 0, 11, 1, 2, 3));
  await assert.rejects(codec.decode(pair.server.stream, SOON), {
    code: "TooLong",
    operation: "decode",
    bytesDone: 7,
  });
  await assert.rejects(codec.decode(pair.server.stream), { code: "TooLong" });
  const head = await pair.server.stream.recv(7, SOON);
  assert.equal(Array.from(head.toUint8Array()), [0, 0, 0, 11, 1, 2, 3]);
  // Lengths beyond what a number holds exactly.
  const wide = lengthPrefixed({ lengthBytes: 8 });
  await pair.client.sink.send(new Uint8Array(8).fill(255));
  await assert.rejects(wide.decode(pair.server.stream, SOON), { code: "TooLong" });
});

test("a message without a delimiter within maxLength: TooLong, nothing is consumed", async (c) => {
  await using pair = await connect(c.network);
  const codec = delimited({ maxLength: 8 });
  await pair.client.sink.send("123456789\n");
  await assert.rejects(codec.decode(pair.server.stream, SOON), { code: "TooLong" });
  assert.is((await pair.server.stream.recv(10, SOON)).text(), "123456789\n");
});

test("a decode that times out or is aborted can be repeated", async ({ network }) => {
  for (const codec of [lengthPrefixed({ lengthBytes: 2 }), delimited()]) {
    const frame = bytesOf((codec as Codec<unknown, Sendable>).encode("1234567"));
    for (const length of [0, 1, 4, frame.length - 1]) {
      await using pair = await connect(network);
      await pair.client.sink.send(frame.subarray(0, length));
      const { stream } = pair.server;
      await assert.rejects(codec.decode(stream, { timeoutMs: 10 }), { code: "Timeout" });
      const controller = new AbortController();
      const aborted = assert.rejects(codec.decode(stream, { signal: controller.signal }), /enough/);
      controller.abort(new Error("enough"));
      await aborted;
      await pair.client.sink.send(frame.subarray(length));
      const message = await codec.decode(stream, SOON);
      const bytes = message instanceof IoBufs ? message.toUint8Array() : message!;
      assert.is(text(bytes), "1234567");
    }
  }
});

test("delimited: several bytes, messages that nearly contain them", async ({ network }) => {
  await using pair = await connect(network);
  const codec = delimited({ delimiter: Uint8Array.of(1, 2, 1) });
  const [client, server] = [pair.client, pair.server].map((one) => framed(one, codec));
  for (const body of [[], [1], [2, 1, 3], [1, 1], [1, 2, 2]]) {
    await client.send(Uint8Array.from(body));
    assert.equal(Array.from((await server.receive(SOON))!), body);
  }
  // The peer would find a delimiter earlier: inside, across parts, or into the one behind.
  for (const body of [[[1, 2, 1]], [[0, 1], [2, 1, 0]], [[1, 2]]]) {
    await assert.rejects(
      client.send(body.map((part) => Uint8Array.from(part))),
      (error: Error) => isInputError(error, /no delimiter ends/),
    );
  }
});

test("a value that cannot be encoded is refused, and later ones pass", async ({ network }) => {
  await using pair = await connect(network);
  const client = framed(pair.client, lengthPrefixed({ lengthBytes: 1 }));
  const server = framed(pair.server, lengthPrefixed({ lengthBytes: 1 }));
  const lying = new (class extends Uint8Array {
    override get length(): number {
      return 1;
    }
  })(3);
  const detached = new Uint8Array(4);
  structuredClone(detached, { transfer: [detached.buffer] });
  for (const value of [null, 5, {}, [1], [[]], detached, new Uint8Array(256), "x".repeat(256)]) {
    await assert.rejects(
      client.send(value as never),
      (error: Error) => isInputError(error, /"value/),
    );
  }
  await client.send(lying);
  assert.is((await server.receive(SOON))?.toUint8Array().length, 3, "the bytes that it says");
  await client.send("still here");
  assert.is((await server.receive(SOON))?.text(), "still here");
});

test("wrong options and arguments are refused", async ({ network }) => {
  await using pair = await connect(network);
  const wrong: [() => unknown, RegExp][] = [
    [() => lengthPrefixed({ lengthBytes: 3 as never }), /"options.lengthBytes".*1, 2, 4 or 8/],
    [() => lengthPrefixed({ littleEndian: 1 as never }), /"options.littleEndian"/],
    [() => lengthPrefixed({ lengthBytes: 1, maxLength: 256 }), /"options.maxLength".*0 to 255/],
    [() => lengthPrefixed({ maxLength: -1 }), /"options.maxLength"/],
    [
      () => lengthPrefixed({ lengthBytes: 2, maxLength: 16_777_216 }),
      /"options.maxLength".*0 to 65535, given 16777216/,
    ],
    [() => lengthPrefixed({ max: 1 } as never), /"options.max".*only/],
    [() => lengthPrefixed(null as never), /"options"/],
    [() => delimited({ delimiter: "" }), /"options.delimiter \(bytes\)".*1 to/],
    [() => delimited({ delimiter: new Uint8Array(0) }), /"options.delimiter \(bytes\)"/],
    [() => delimited({ delimiter: 10 as never }), /"options.delimiter"/],
    [() => delimited({ delimiter: "abc", maxLength: 2 }), /"options.maxLength".*3 to/],
    [() => framed(null as never, delimited()), /"connection"/],
    [() => framed(pair.client, {} as never), /"codec"/],
    [() => framed(pair.client, null as never), /"codec"/],
  ];
  for (const [call, message] of wrong) {
    assert.throws(call, (error: Error) => isInputError(error, message));
  }
  await assert.rejects(
    framed(pair.client, lengthPrefixed()).receive({ timeoutMs: -1 }),
    (error) => isInputError(error, /timeoutMs/),
  );
});

test("a custom codec: its errors reach caller and iterator", async ({ network }) => {
  await using pair = await connect(network);
  const codec: Codec<number, number> = {
    async decode(stream, options) {
      if (!(await stream.wait(1, options))) return null;
      const [digit] = (await stream.recv(1, options)).toUint8Array();
      if (digit > 57) throw new Error("no digit");
      return digit - 48;
    },
    encode(value) {
      if (value > 9) throw new Error("too large");
      return String(value);
    },
  };
  const client = framed(pair.client, codec);
  await client.send(7);
  await assert.rejects(client.send(10), /too large/);
  await pair.client.sink.send("3x5");
  const seen: number[] = [];
  const iterator = framed(pair.server, codec)[Symbol.asyncIterator]();
  seen.push((await iterator.next()).value, (await iterator.next()).value);
  await assert.rejects(iterator.next(), /no digit/);
  assert.equal(await iterator.next(), { done: true, value: undefined });
  assert.equal(seen, [7, 3]);
});

test("calls that overlap get messages in order, however these arrive", async ({ network }) => {
  const codecs: [string, Codec<{ length: number } | null, Sendable>][] = [
    ["lengthPrefixed", lengthPrefixed({ lengthBytes: 2 })],
    ["delimited", delimited({ delimiter: "||" })],
  ];
  for (const [name, codec] of codecs) {
    await using pair = await connect(network);
    const [one, other] = [framed(pair.server, codec), framed(pair.server, codec)];
    const iterator = one[Symbol.asyncIterator]();
    const receiving = [
      one.receive(SOON),
      other.receive(),
      iterator.next().then(({ value }) => value),
      one.receive(),
      iterator.next().then(({ done }) => done ? null : undefined),
      other.receive(SOON),
    ];
    const sizes = [5, 0, 5_000, 3];
    for (const size of sizes) {
      const frame = bytesOf(codec.encode(pattern(size).map((byte) => byte & 63)));
      // The peer has each byte of the head and of the delimiter alone.
      for (const part of [frame.subarray(0, 1), frame.subarray(1, 3), frame.subarray(3)]) {
        await pair.client.sink.send(part);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await pair.client.sink.close();
    const got = (await Promise.all(receiving)).map((message) => {
      const length = message && message.length;
      if (message instanceof IoBufs) message.release();
      return length;
    });
    assert.equal(got, [...sizes, null, null], name);
  }
});

test("a call that waited for its turn settles before later calls", async ({ network }) => {
  const codec = lengthPrefixed({ lengthBytes: 1 });
  for (const kinds of ["rrr", "rir", "rri", "iir", "iii"]) {
    for (let ticks = 0; ticks < 8; ticks++) {
      await using pair = await connect(network);
      const messages = framed(pair.server, codec);
      const settled: string[] = [];
      const note = async (kind: string) => {
        const message = kind === "r"
          ? await messages.receive()
          : (await messages[Symbol.asyncIterator]().next()).value as IoBufs;
        settled.push(message!.text());
      };
      const first = note(kinds[0]);
      const second = note(kinds[1]);
      const third = first.then(async () => {
        for (let i = 0; i < ticks; i++) await null;
        await note(kinds[2]);
      });
      await pair.client.sink.send("\x01a\x01b\x01c");
      await Promise.all([second, third]);
      assert.equal(settled, ["a", "b", "c"], `${kinds}, ${ticks}`);
    }
  }
});

test("a call that waits for its turn ends with its budget and its signal", async ({ network }) => {
  await using pair = await connect(network);
  const frames = framed(pair.server, lengthPrefixed());
  const first = frames.receive();
  const abort = new AbortController();
  const aborted = frames.receive({ signal: abort.signal });
  const late = frames.receive({ timeoutMs: 1 });
  const last = frames.receive();
  await assert.rejects(late, { code: "Timeout", operation: "decode" });
  abort.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  await assert.rejects(frames.receive({ signal: abort.signal }), /enough/);
  await assert.rejects(
    frames.receive({ timeoutMs: -1 }),
    (error) => isInputError(error, /timeoutMs/),
  );
  await framed(pair.client, lengthPrefixed()).send("one");
  await framed(pair.client, lengthPrefixed()).send("two");
  assert.is((await first)?.text(), "one");
  assert.is((await last)?.text(), "two");
  const closed = [frames.receive(), frames.receive(), frames.receive()];
  await pair.server.close();
  for (const call of closed) await assert.rejects(call, { code: "Closed" });
});

test("a codec that throws at once: its calls reject, the next has its turn", async (context) => {
  await using pair = await connect(context.network);
  let isBroken = true;
  const codec: Codec<string, string> = {
    decode(stream, options) {
      if (isBroken) throw new Error("broken");
      return stream.recv(1, options).then((bytes) => bytes.text());
    },
    encode: (value) => value,
  };
  const server = framed(pair.server, codec);
  await assert.rejects(server.receive(), /broken/);
  await assert.rejects(server[Symbol.asyncIterator]().next(), /broken/);
  isBroken = false;
  await pair.client.sink.send("a");
  assert.is(await server.receive(SOON), "a");
});

test("a codec whose promise has a then of its own: one turn for each call", async (context) => {
  await using pair = await connect(context.network);
  const { client, server } = pair;
  type Then = typeof Promise.prototype.then;
  const odd: ((then: Then) => Then)[] = [
    () => () => {
      throw new Error("of the promise");
    },
    (then) => (value, error) => {
      const twice = (given: unknown) => {
        value?.(given as string);
        error?.(given);
      };
      return then(twice, twice) as never;
    },
  ];
  for (const change of odd) {
    let isFirst = true;
    const codec: Codec<string, string> = {
      decode(stream) {
        const made = stream.recv(2).then((data) => data.text());
        if (isFirst) made.then = change(made.then.bind(made)) as typeof made.then;
        isFirst = false;
        return made;
      },
      encode: (value) => value,
    };
    const messages = framed(server, codec);
    const calls = [1, 2, 3].map(() =>
      messages.receive(SOON).catch((error: Error) => error.message)
    );
    await client.sink.send("aabbcc");
    const [first, ...others] = await Promise.all(calls);
    assert.ok(first === "aa" || first === "of the promise", first ?? "null");
    assert.equal(others, ["bb", "cc"]);
  }
});

test("framed reads the stream of a stand-in for a connection once", async ({ network }) => {
  await using pair = await connect(network);
  const [client, server] = [framed(pair.client, delimited()), pair.server];
  const streams = [server.stream];
  const standIn: Connection = Object.create(server, { stream: { get: () => streams.shift() } });
  const messages = framed(standIn, delimited());
  await client.send("one");
  await client.send("two");
  assert.is(text(await messages.receive(SOON) ?? new Uint8Array(0)), "one");
  for await (const message of messages) {
    assert.is(text(message), "two");
    break;
  }
});

test("random frames, cut at random, arrive as they were sent", async ({ network }) => {
  const random = new Random();
  for (const buffered of [65_536, 100, 0]) {
    const own = await Network.start({ readBufferSize: buffered });
    await using pair = await connect(own, "127.0.0.1:0", network);
    const codec = lengthPrefixed();
    const lengths = Array.from({ length: 60 }, () => random.int(0, random.pick([3, 300, 200_000])));
    const sending = (async () => {
      for (const [seed, length] of lengths.entries()) {
        const frame = bytesOf(codec.encode(pattern(length, seed)));
        await sendCut(pair.client, frame, random.int(0, frame.length));
      }
      await pair.client.sink.close();
    })();
    let seed = 0;
    for await (const frame of framed(pair.server, codec)) {
      bytesEqual(frame.toUint8Array(), pattern(lengths[seed], seed), `frame ${seed}`);
      seed++;
    }
    assert.is(seed, lengths.length);
    await sending;
    await pair[Symbol.asyncDispose]();
    await closeChecked(own);
  }
});

test.run();
