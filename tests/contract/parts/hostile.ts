/**
 * Objects of callers may lie: subclasses, own properties, proxies, getters, memory that is
 * detached, a polluted Object.prototype. Only the caller's own bytes are ever sent, wrong values
 * are refused at once, and everything goes on working.
 *
 * @module
 */
import {
  type CallOptions,
  type Connection,
  copy,
  delimited,
  framed,
  IoBuf,
  IoBufs,
  lengthPrefixed,
  Network,
  type NetworkConfig,
  NetworkError,
  proxyHeader,
  readProxyHeader,
  serve,
} from "../../../mod.ts";
import { assert, patience } from "../../harness.ts";
import { polluted } from "../../support/polluted.ts";
import {
  closeChecked,
  concat,
  connect,
  type ContractSuite,
  expectAlive,
  expectBytes,
  pattern,
  settlesWithin,
  SOON_MS,
  started,
} from "../fixture.ts";

// deno-lint-ignore no-explicit-any
type Anything = any;

/** An array that lies about itself, and hands out memory of other owners. */
class Liar extends Uint8Array<ArrayBuffer> {
  override get length(): number {
    return 4_000_000;
  }
  override get byteLength(): number {
    return 4_000_000;
  }
  override get byteOffset(): number {
    return 0;
  }
  override get buffer(): ArrayBuffer {
    return new ArrayBuffer(4_000_000);
  }
  override subarray(): Anything {
    return new Uint8Array(4_000_000);
  }
  override slice(): Anything {
    return new Uint8Array(4_000_000);
  }
  override set(): void {
    throw new Error("set was called");
  }
  override at(): number {
    return 1;
  }
  override [Symbol.iterator](): Anything {
    throw new Error("the iterator was called");
  }
}

function lying(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  return new Liar(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A genuine array whose own properties lie. */
function tampered(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  for (const name of ["length", "byteLength", "byteOffset"]) {
    Object.defineProperty(bytes, name, { value: 1_000_000 });
  }
  Object.defineProperty(bytes, "buffer", { value: new ArrayBuffer(1_000_000) });
  return bytes;
}

function giveAway(buffer: ArrayBufferLike): void {
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
}

/** An object whose fields may be read once; a second read gives another value. */
function fickle(fields: Record<string, unknown>): Anything {
  const result = {};
  for (const [name, value] of Object.entries(fields)) {
    let reads = 0;
    Object.defineProperty(result, name, {
      enumerable: true,
      get: () => ++reads === 1 ? value : Symbol(`${name} was read again`),
    });
  }
  return result;
}

/** A send that is refused with TypeError, and that sends nothing. */
async function expectRefused(connection: Connection, data: unknown): Promise<void> {
  const error = await assert.rejects(connection.sink.send(data as Anything), TypeError);
  assert.match(error.message, /^Cannot use/);
  assert.is(connection.sink.bytesQueued, 0);
}

const LENGTHS = [1, 100, 2_047, 2_048, 65_536, 65_537, 300_000];

export function hostile(test: ContractSuite, config: NetworkConfig): void {
  test("arrays with false properties send their own bytes and no others", async ({ network }) => {
    await using pair = await connect(network);
    for (const make of [lying, tampered]) {
      for (const length of LENGTHS) {
        const bytes = pattern(length);
        const sending = pair.client.sink.send(make(bytes.slice()));
        await expectBytes(pair.server, bytes);
        await sending;
        const parts = [make(bytes.slice()), "between", make(bytes.slice())];
        const together = pair.client.sink.send(parts);
        await expectBytes(
          pair.server,
          concat([bytes, new TextEncoder().encode("between"), bytes]),
        );
        await together;
      }
    }
    assert.is(pair.server.stream.buffered, 0, "nothing else was sent");
    await expectAlive(pair);
  });

  test("IoBuf.from and IoBufs copy the bytes that an array has, not the claimed ones", async () => {
    for (const make of [lying, tampered]) {
      assert.bytesEqual(IoBuf.from(make(pattern(100))).toUint8Array(), pattern(100));
      const bufs = new IoBufs(make(pattern(100)), "x").append(make(pattern(5)));
      assert.is(bufs.length, 106);
      bufs.release();
    }
    for (const value of [new Proxy(pattern(3), {}), Object.create(Uint8Array.prototype)]) {
      assert.throws(() => IoBuf.from(value), (error: unknown) => error instanceof TypeError);
    }
    await Promise.resolve();
  });

  test("buffers with false properties send their own bytes and no others", async ({ network }) => {
    await using pair = await connect(network);
    const lies = { span: 60_000, start: 5, length: 60_000, bytes: pattern(60_000), capacity: 1e9 };
    const tamper = <T extends object>(value: T): T => {
      for (const [name, lie] of Object.entries(lies)) {
        Object.defineProperty(value, name, { value: lie });
      }
      const moveOut = () => ({ bytes: pattern(60_000), slab: 0, offset: 0, release() {} });
      return Object.defineProperty(value, "moveOut", { value: moveOut });
    };
    const filled = (length: number) => {
      const buffer = network.pool.alloc(length);
      buffer.bytes.set(pattern(length));
      return buffer;
    };
    for (const length of [10, 3_000]) {
      const made = [
        () => filled(length),
        () => filled(length).freeze(),
        () => IoBuf.from(pattern(length)),
        () => new IoBufs(filled(length)),
      ];
      for (const make of made) {
        const sending = pair.client.sink.send(tamper(make()));
        await expectBytes(pair.server, pattern(length));
        await sending;
      }
      const both = new IoBufs(tamper(filled(length)), tamper(new IoBufs(filled(length))));
      assert.is(both.length, 2 * length);
      const sending = pair.client.sink.send(both);
      await expectBytes(pair.server, concat([pattern(length), pattern(length)]));
      await sending;
    }
    using buffer = tamper(filled(10));
    assert.throws(() => buffer.setLength(100_000), (error: unknown) => error instanceof RangeError);
    using shared = tamper(filled(10).freeze());
    assert.throws(() => shared.slice(0, 100), (error: unknown) => error instanceof RangeError);
    assert.throws(() => shared.advance(100), (error: unknown) => error instanceof RangeError);
    assert.is(pair.server.stream.buffered, 0, "nothing else was sent");
    await expectAlive(pair);
  });

  test("an object that only looks like a sendable is refused", async ({ network }) => {
    await using pair = await connect(network);
    const looks: unknown[] = [
      new Proxy(pattern(3), {}),
      Object.create(Uint8Array.prototype),
      Object.setPrototypeOf({ length: 5 }, Uint8Array.prototype),
      new Proxy(new ArrayBuffer(3), {}),
      Object.create(ArrayBuffer.prototype),
      [pattern(3), new Proxy(pattern(3), {})],
      [pattern(3), Object.create(Uint8Array.prototype)],
    ];
    for (const data of looks) await expectRefused(pair.client, data);
    for (const kind of [IoBuf, IoBufs]) {
      await assert.rejects(pair.client.sink.send(Object.create(kind.prototype)), TypeError);
    }
    await expectAlive(pair);
  });

  test("an array of chunks is read by index, and once", async ({ network }) => {
    await using pair = await connect(network);
    const data: Anything[] = ["one ", pattern(10), "two"];
    Object.defineProperty(data, Symbol.iterator, {
      value: () => {
        throw new Error("the iterator was called");
      },
    });
    let reads = 0;
    Object.defineProperty(data, 2, { get: () => ++reads === 1 ? "two" : pattern(1_000_000) });
    const encoded = (text: string) => new TextEncoder().encode(text);
    const expected = concat([encoded("one "), pattern(10), encoded("two")]);
    await pair.client.sink.send(data);
    await expectBytes(pair.server, expected);
    reads = 0;
    await pair.client.sink.send(new Proxy(data, {}));
    await expectBytes(pair.server, expected);
    await pair.client.sink.send(["", "é", new Uint8Array(0), "\u{1f600}"]);
    await expectBytes(pair.server, encoded("é\u{1f600}"));
    await pair.client.sink.send(["", ""]);
    await expectAlive(pair);
  });

  test("memory that is gone is refused, and other calls go on", async ({ network }) => {
    await using pair = await connect(network);
    await using other = await connect(network);
    const gone = () => {
      const bytes = pattern(100);
      giveAway(bytes.buffer);
      return bytes;
    };
    const goneBuffer = () => {
      const buffer = IoBuf.from("hello world");
      giveAway(buffer.bytes.buffer);
      return buffer;
    };
    const several = () =>
      new IoBufs(network.pool.alloc(10), goneBuffer(), network.pool.alloc(10).freeze());
    const made = [gone, () => gone().buffer, () => [pattern(5), gone()], goneBuffer, several];
    for (const make of made) {
      await expectRefused(pair.client, make());
      await expectAlive(other);
      await expectAlive(pair);
    }
  });

  test("an element that detaches an earlier one is refused", async ({ network }) => {
    await using pair = await connect(network);
    const first = pattern(100);
    const data: Anything[] = [first, "second"];
    Object.defineProperty(data, 1, {
      get() {
        giveAway(first.buffer);
        return "second";
      },
    });
    await expectRefused(pair.client, data);
    await expectAlive(pair);
  });

  test(
    "memory that is detached before it is sent fails that send alone",
    async ({ network }) => {
      await using pair = await connect(network);
      const filling = pair.client.sink.send(pattern(16_000_000));
      const buffer = IoBuf.from(pattern(1_000));
      const { bytes } = buffer;
      const lost = assert.rejects(pair.client.sink.send(buffer), TypeError);
      giveAway(bytes.buffer);
      const behind = pair.client.sink.send("behind it");
      await expectBytes(pair.server, pattern(16_000_000));
      await filling;
      assert.match((await lost).message, /transferred away/);
      await behind;
      await expectBytes(pair.server, new TextEncoder().encode("behind it"));
      await expectAlive(pair);
    },
    { timeoutMs: patience(20_000) },
  );

  test(
    "memory that is detached in the middle of a send poisons the sink",
    async ({ network }) => {
      const takeAway: ((bytes: Uint8Array) => void)[] = [
        ({ buffer }) => giveAway(buffer),
        ({ buffer }) => (buffer as Anything).resize(100),
      ];
      for (const take of takeAway) {
        await using pair = await connect(network);
        const Resizable = ArrayBuffer as Anything;
        const bytes = new Uint8Array(new Resizable(32_000_000, { maxByteLength: 32_000_001 }));
        const lost = assert.rejects(pair.client.sink.send(bytes), TypeError);
        (await pair.server.stream.recv(1_000)).release();
        take(bytes);
        const reading = (async () => {
          for (;;) (await pair.server.stream.recvSome())!.release();
        })().catch(() => {});
        await lost;
        assert.ok(pair.client.sink.closed);
        const late = await assert.rejects(pair.client.sink.send("more"), { code: "Closed" });
        assert.instance(late, NetworkError);
        pair.client.reset();
        await reading;
      }
    },
    { timeoutMs: patience(20_000) },
  );

  test("a polluted Object.prototype sets no option", async ({ network }) => {
    await using pair = await connect(network);
    const fields = {
      timeoutMs: 1,
      path: "/nowhere",
      backlog: "wrong",
      ipv6Only: true,
      idleSeconds: "wrong",
      clear: "wrong",
      readTimeoutMs: 1,
      readBufferSize: "wrong",
      entries: "wrong",
      budgetUs: "wrong",
      maxPerClass: "wrong",
      budgetBytes: 1,
      errno: 5,
      bytesDone: 77,
    };
    await polluted(fields, async () => {
      const receiving = pair.server.stream.recv(4, {});
      const some = pair.server.stream.recvSome(4, {});
      const flushing = pair.client.sink.flush({});
      assert.not(await settlesWithin(receiving, 50), "no budget");
      await flushing;
      await pair.client.sink.send("12345678", {});
      (await receiving).release();
      (await some)!.release();
      pair.client.setKeepAlive({});
      pair.client.setKeepAlive(true);
      await using listener = await network.bind({ hostname: "127.0.0.1", port: 0 }, {});
      const accepting = listener.accept({});
      const dialed = await network.dial({ ...listener.localAddress } as Anything, {});
      const accepted = await accepting;
      assert.equal(dialed.remoteAddress, listener.localAddress);
      dialed.reset();
      const error = await assert.rejects(accepted.stream.recv(1, { timeoutMs: SOON_MS }));
      assert.equal([error.code, error.errno, error.bytesDone], ["RecvFailed", "ECONNRESET", 0]);
      accepted.reset();
      network.pool.alloc(10, {}).release();
      await using own = await started({ ...config, ring: { ...config.ring }, pool: {} });
      await using inner = await connect(own.network);
      const waiting = inner.server.stream.recv(4);
      assert.not(await settlesWithin(waiting, 50), "no budget from the configuration");
      await inner.client.sink.send("done");
      (await waiting).release();
    });
    await expectAlive(pair);
  });

  test("a polluted Object.prototype sets no option of a message or a copy", async ({ network }) => {
    await using pair = await connect(network);
    await using other = await connect(network);
    const { client, server } = pair;
    const fields = { signal: "wrong", timeoutMs: 1, maxLength: 0, delimiter: 5, lengthBytes: 5 };
    await polluted(fields, async () => {
      for (const codec of [lengthPrefixed(), delimited({})] as Anything[]) {
        const [sender, receiver] = [framed(client, codec), framed(server, codec)];
        const receiving = receiver.receive({});
        const behind = receiver.receive();
        assert.not(await settlesWithin(receiving, 50), "no budget");
        await sender.send("one");
        await sender.send("two");
        for (const message of [await receiving, await behind]) {
          assert.is((message as { length: number }).length, 3);
          if (message instanceof IoBufs) message.release();
        }
      }
      const header = readProxyHeader(server.stream, {});
      assert.not(await settlesWithin(header, 50), "no budget");
      await client.sink.send(proxyHeader({ command: "LOCAL", source: null, destination: null }));
      assert.is((await header).command, "LOCAL");
      const copying = copy(server, other.client, {});
      assert.not(await settlesWithin(copying, 50), "no budget");
      await client.sink.send("copied");
      await client.sink.close();
      assert.is(await copying, 6);
      await expectBytes(other.server, new TextEncoder().encode("copied"));
    });
    await expectAlive(other);
  });

  test("a polluted Object.prototype changes no web stream", async ({ network }) => {
    await using pair = await connect(network);
    const fields = {
      ...{ autoAllocateChunkSize: -1, highWaterMark: -1, size: "wrong", abort: "wrong" },
      once: false,
    };
    await polluted(fields, async () => {
      const writer = pair.client.writable.getWriter();
      const reader = pair.server.readable.getReader();
      await writer.write(pattern(100));
      assert.bytesEqual((await reader.read()).value!, pattern(100));
      // The peer reads no more, so only the signal of the controller tells of the abort in time.
      const writing = writer.write(new Uint8Array(64 << 20)).catch((error) => error);
      writer.abort(new Error("no longer wanted")).catch(() => {});
      assert.ok(await settlesWithin(writing, SOON_MS), "the abort ends the pending write");
    });
  });

  test("each option is read once, so that a second answer has no effect", async ({ network }) => {
    const ring = fickle({ entries: 64, ...config.ring, spin: fickle({ budgetUs: 5 }) });
    const pool = fickle({ maxPerClass: 64, budgetBytes: 1 << 24 });
    const keepAlive = fickle({ idleSeconds: 5, count: 3 });
    const fields = { shutdownTimeoutMs: 100, keepAlive, readBufferSize: 4_096 };
    const other = await Network.start(fickle({ ...config, ...fields, ring, pool }));
    await closeChecked(other);
    const bindOptions = fickle({ backlog: 5, reusePort: false, ipv6Only: false });
    const listener = await network.bind(fickle({ hostname: "127.0.0.1", port: 0 }), bindOptions);
    const { port } = listener.localAddress as { port: number };
    const calls = () => fickle({ timeoutMs: SOON_MS, signal: new AbortController().signal });
    const accepting = listener.accept(calls());
    const client = await network.dial(fickle({ hostname: "127.0.0.1", port }), calls());
    const server = await accepting;
    await client.sink.send("hello", calls());
    assert.is((await server.stream.recv(5, calls())).text(), "hello");
    client.setKeepAlive(fickle({ idleSeconds: 5, intervalSeconds: 6, count: 7 }));
    network.pool.alloc(10, fickle({ clear: true })).release();
    client.reset();
    server.reset();
    await Promise.all([client.close(), server.close(), listener.close()]);
  });

  test("a signal with false properties ends no call and keeps none alive", async ({ network }) => {
    await using pair = await connect(network);
    const { signal } = new AbortController();
    Object.defineProperty(signal, "aborted", { value: true });
    await pair.client.sink.send("hello", { signal });
    assert.is((await pair.server.stream.recv(5, { signal })).text(), "hello");
    await expectAlive(pair);
  });

  test("listener functions of a signal's own are not called", async ({ network }) => {
    await using pair = await connect(network);
    const { client, listener } = pair;
    const filling = client.sink.send(pattern(30_000_000)).catch(() => {});
    const calls: ((options: CallOptions) => Promise<unknown>)[] = [
      (options) => client.stream.recv(5, options),
      (options) => client.stream.recvSome(5, options),
      (options) => listener.accept(options),
      (options) => client.sink.send("behind the filling", options),
      (options) => client.sink.flush(options),
    ];
    for (const begin of calls) {
      const controller = new AbortController();
      const { signal } = controller;
      let nested: Promise<unknown> | null = null;
      // Such code could close what the call is about, or begin a call with the same signal.
      const ownMember = () => {
        nested ??= client.stream.recv(5, { signal });
        throw new Error("a member of the signal's own was called");
      };
      for (const name of ["addEventListener", "removeEventListener"]) {
        Object.defineProperty(signal, name, { value: ownMember });
      }
      const waiting = begin({ signal });
      const reason = new Error("aborted");
      controller.abort(reason);
      assert.is(await waiting.then(() => "done", (error: unknown) => error), reason);
      assert.is(nested, null);
    }
    client.reset();
    await filling;
  });

  test("listener functions of the signal of a server are not called", async () => {
    await using own = await started(config);
    const controller = new AbortController();
    const { signal } = controller;
    const ownMember = () => {
      throw new Error("a member of the signal's own was called");
    };
    for (const name of ["addEventListener", "removeEventListener"]) {
      Object.defineProperty(signal, name, { value: ownMember });
    }
    const server = serve(await own.network.bind("127.0.0.1:0"), () => {}, { signal });
    assert.is(server.draining, false);
    controller.abort();
    assert.is(server.draining, true);
    await server.finished;
  });

  test("a registry that throws never makes close() reject", async () => {
    const refusal = () => {
      throw new Error("the registry is closed");
    };
    const given = { registerMetric() {}, removeSingleMetric() {} };
    for (const name of ["removeSingleMetric", "getSingleMetric"]) {
      for (const getter of [false, true]) {
        const registry = { ...given };
        const network = await Network.start({ ...config, registry });
        Object.defineProperty(registry, name, getter ? { get: refusal } : { value: refusal });
        await closeChecked(network);
        assert.is(await network.close(), undefined);
      }
    }
    const registry = { ...given, registerMetric: refusal, removeSingleMetric: refusal };
    const error = await assert.rejects(Network.start({ ...config, registry }));
    assert.is(error.message, "the registry is closed");
  });
}
