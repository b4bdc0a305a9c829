/**
 * Wrong values for every public parameter: refused at once, by TypeError or RangeError, and
 * everything goes on working.
 *
 * @module
 */
import { BufferPool, Network, type NetworkConfig } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import { connect, type ContractSuite, expectAlive } from "../fixture.ts";

// deno-lint-ignore no-explicit-any
type Anything = any;
type Wanted = typeof TypeError | typeof RangeError;

/** Shows a wrong value in a test's name. */
function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) {
    try {
      return `${value.constructor?.name ?? "object"} ${JSON.stringify(value)}`;
    } catch {
      return String(value);
    }
  }
  return String(value);
}

const NO_NUMBER: readonly (readonly [unknown, Wanted])[] = [
  ["1", TypeError],
  [null, TypeError],
  [true, TypeError],
  [{}, TypeError],
  [1n, TypeError],
  [NaN, RangeError],
  [Infinity, RangeError],
  [1.5, RangeError],
  [-1, RangeError],
];

const ADDRESSES: readonly (readonly [unknown, Wanted])[] = [
  [undefined, TypeError],
  [null, TypeError],
  [80, TypeError],
  [{}, TypeError],
  [[], TypeError],
  ["", TypeError],
  ["127.0.0.1", TypeError],
  [":80", TypeError],
  ["127.0.0.1:", TypeError],
  ["127.0.0.1:x", TypeError],
  ["127.0.0.1:-1", TypeError],
  ["::1:80", TypeError],
  ["[::1]", TypeError],
  ["[127.0.0.1]:80", TypeError],
  ["[::1:80", TypeError],
  ["a b:80", TypeError],
  ["a/b:80", TypeError],
  ["unix:", TypeError],
  ["unix:a\0b", TypeError],
  [{ path: "" }, TypeError],
  [{ path: 5 }, TypeError],
  [{ path: "a\0b" }, TypeError],
  [{ path: "x".repeat(108) }, RangeError],
  [{ hostname: "127.0.0.1" }, TypeError],
  [{ port: 80 }, TypeError],
  [{ hostname: "", port: 80 }, TypeError],
  [{ hostname: 5, port: 80 }, TypeError],
  [{ hostname: "127.0.0.1", port: "80" }, TypeError],
  [{ hostname: "127.0.0.1", port: 65_536 }, RangeError],
  [{ hostname: "127.0.0.1", port: -1 }, RangeError],
  [{ hostname: "127.0.0.1", port: 1.5 }, RangeError],
  [{ hostname: "127.0.0.1", port: NaN }, RangeError],
  ["127.0.0.1:65536", RangeError],
  ["127.0.0.1:99999999999", RangeError],
];

const CALL_OPTIONS: readonly (readonly [unknown, Wanted])[] = [
  [null, TypeError],
  [5, TypeError],
  ["soon", TypeError],
  [{ timeoutMs: "5" }, TypeError],
  [{ timeoutMs: NaN }, RangeError],
  [{ timeoutMs: -1 }, RangeError],
  [{ timeoutMs: 1.5 }, RangeError],
  [{ timeoutMs: Infinity }, RangeError],
  [{ timeoutMs: 2 ** 31 }, RangeError],
  [{ signal: {} }, TypeError],
  [{ signal: "abort" }, TypeError],
  [{ signal: new AbortController() }, TypeError],
  [[], TypeError],
  [{ timeoutMS: 1 }, TypeError],
  [{ timeoutMs: 1, abortSignal: null }, TypeError],
  [new AbortController().signal, TypeError],
];

const SENDABLES: readonly unknown[] = [
  undefined,
  null,
  5,
  5n,
  true,
  {},
  { length: 5 },
  () => {},
  Symbol("data"),
  new DataView(new ArrayBuffer(8)),
  new Uint16Array(4),
  new Uint8ClampedArray(4),
  new Float64Array(4),
  new Blob(["x"]),
  new Date(0),
  new Set([new Uint8Array(1)]),
  ["text", 5],
  [1, 2, 3],
  [new Uint8Array(1), null],
  [new Uint8Array(1), [new Uint8Array(1)]],
  new Array(3),
  Promise.resolve(new Uint8Array(1)),
];

const CONFIGS: readonly (readonly [unknown, Wanted])[] = [
  [null, TypeError],
  [5, TypeError],
  ["io_uring", TypeError],
  [[], TypeError],
  [{ unknown: 1 }, TypeError],
  [{ tcpNoDelay: 1 }, TypeError],
  [{ soLinger: "1" }, TypeError],
  [{ soLinger: -1 }, RangeError],
  [{ soLinger: 0.5 }, RangeError],
  [{ soLinger: 40_000 }, RangeError],
  [{ keepAlive: 5 }, TypeError],
  [{ keepAlive: { idleSeconds: 0 } }, RangeError],
  [{ keepAlive: { idleSeconds: "5" } }, TypeError],
  [{ keepAlive: { count: 128 } }, RangeError],
  [{ keepAlive: { other: 1 } }, TypeError],
  ...["connectTimeoutMs", "readTimeoutMs", "writeTimeoutMs"].flatMap((field) => [
    [{ [field]: "5" }, TypeError] as const,
    [{ [field]: 0 }, RangeError] as const,
    [{ [field]: -5 }, RangeError] as const,
    [{ [field]: NaN }, RangeError] as const,
    [{ [field]: 0.5 }, RangeError] as const,
    [{ [field]: 2 ** 31 }, RangeError] as const,
  ]),
  [{ shutdownTimeoutMs: -1 }, RangeError],
  [{ shutdownTimeoutMs: "1" }, TypeError],
  [{ readBufferSize: -1 }, RangeError],
  [{ readBufferSize: 1.5 }, RangeError],
  [{ readBufferSize: "1" }, TypeError],
  [{ readBufferSize: 2 ** 40 }, RangeError],
  [{ writeBufferSize: -1 }, RangeError],
  [{ writeBufferSize: {} }, TypeError],
  [{ ring: 5 }, TypeError],
  [{ ring: { entries: 0 } }, RangeError],
  [{ ring: { entries: 32_769 } }, RangeError],
  [{ ring: { entries: "8" } }, TypeError],
  [{ ring: { maxInFlight: 0 } }, RangeError],
  [{ ring: { topology: "both" } }, RangeError],
  [{ ring: { topology: 5 } }, TypeError],
  [{ ring: { sqPoll: 1 } }, TypeError],
  [{ ring: { ioPoll: 1 } }, TypeError],
  [{ ring: { spin: 5 } }, TypeError],
  [{ ring: { spin: { budgetUs: -1 } } }, RangeError],
  [{ ring: { spin: { budgetUs: 100, maxBudgetUs: 50 } } }, RangeError],
  [{ ring: { other: 1 } }, TypeError],
  [{ pool: 5 }, TypeError],
  [{ pool: { minSize: 100 } }, RangeError],
  [{ pool: { maxSize: 64 } }, RangeError],
  [{ pool: { maxPerClass: 0 } }, RangeError],
  [{ pool: { budgetBytes: 1 } }, RangeError],
  [{ pool: { prefill: 1 } }, TypeError],
  [{ pool: { other: 1 } }, TypeError],
  [{ registry: {} }, TypeError],
  [{ registry: 5 }, TypeError],
  [{ metricsPrefix: 5 }, TypeError],
  [{ metricsPrefix: "with space" }, RangeError],
  [{ backend: "epoll" }, RangeError],
  [{ backend: 5 }, TypeError],
];

export function arguments_(test: ContractSuite, config: NetworkConfig): void {
  test("Network.start refuses wrong configurations", async () => {
    for (const [value, wanted] of CONFIGS) {
      const starting = (Network.start as Anything)(value).then(
        async (network: Network) => {
          await network.close();
          assert.unreachable(`accepted ${shown(value)}`);
        },
      );
      const error = await assert.rejects(starting);
      assert.instance(error, wanted, `${shown(value)}: ${error}`);
      const field = Object.keys((value ?? {}) as object)[0];
      if (field !== undefined && typeof value === "object") assert.match(error.message, field);
    }
  });

  test("ioPoll is refused with a reason", async () => {
    const ring = { ...config.ring, ioPoll: true };
    await assert.rejects(Network.start({ ...config, ring }), { code: "Unsupported" });
  });

  test("bind and dial refuse wrong addresses", async ({ network }) => {
    for (const [value, wanted] of ADDRESSES) {
      for (const method of ["bind", "dial"] as const) {
        const error = await assert.rejects((network as Anything)[method](value));
        assert.instance(error, wanted, `${method} ${shown(value)}: ${error}`);
      }
    }
    await assert.rejects(network.dial("127.0.0.1:0"), RangeError);
    await using pair = await connect(network);
    await expectAlive(pair);
  });

  test("bind refuses wrong options", async ({ network }) => {
    const options: readonly (readonly [unknown, Wanted])[] = [
      [null, TypeError],
      [5, TypeError],
      [{ backlog: "5" }, TypeError],
      [{ backlog: -1 }, RangeError],
      [{ backlog: 1.5 }, RangeError],
      [{ reusePort: 1 }, TypeError],
      [{ ipv6Only: "yes" }, TypeError],
      [{ backlog: null }, TypeError],
      [{ reusePort: null }, TypeError],
      [{ ipv6Only: null }, TypeError],
      [{ unlinkStale: 1 }, TypeError],
      [{ unlinkStale: null }, TypeError],
      [{ mode: "600" }, TypeError],
      [{ mode: null }, TypeError],
      [{ mode: -1 }, RangeError],
      [{ mode: 0o1000 }, RangeError],
      [{ mode: 1.5 }, RangeError],
      [{ other: true }, TypeError],
    ];
    for (const [value, wanted] of options) {
      const error = await assert.rejects((network as Anything).bind("127.0.0.1:0", value));
      assert.instance(error, wanted, `${shown(value)}: ${error}`);
    }
  });

  test("calls refuse wrong options, and go on", async ({ network }) => {
    await using pair = await connect(network);
    const { client, listener } = pair as Anything;
    for (const [value, wanted] of CALL_OPTIONS) {
      const calls: [string, () => Promise<unknown>][] = [
        ["accept", () => listener.accept(value)],
        ["dial", () => network.dial(listener.localAddress, value as Anything)],
        ["send", () => client.sink.send("x", value)],
        ["empty send", () => client.sink.send("", value)],
        ["flush", () => client.sink.flush(value)],
        ["recv", () => client.stream.recv(1, value)],
        ["recv(0)", () => client.stream.recv(0, value)],
        ["recvSome", () => client.stream.recvSome(1, value)],
      ];
      for (const [name, call] of calls) {
        const error = await assert.rejects(call());
        assert.instance(error, wanted, `${name} ${shown(value)}: ${error}`);
      }
    }
    assert.is(pair.client.sink.bytesSent, 0);
    await expectAlive(pair);
  });

  test("an unknown field of call options is named", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.client as Anything;
    const { message } = await assert.rejects(stream.recv(1, { timeoutMS: 1 }), TypeError);
    assert.is(
      message,
      'Cannot use "options.timeoutMS": wanted only "signal", "timeoutMs", given "timeoutMS"',
    );
    await expectAlive(pair);
  });

  test("an aborted signal ends calls for no bytes too", async ({ network }) => {
    await using pair = await connect(network);
    const reason = { why: "enough" };
    const signal = AbortSignal.abort(reason);
    const { stream, sink } = pair.client;
    for (const call of [stream.recv(0, { signal }), sink.send("", { signal })]) {
      assert.is(await call.then(() => "done", (error: unknown) => error), reason);
    }
    const options = { signal: new AbortController().signal, timeoutMs: 0 };
    await Promise.all([stream.recv(0, options), sink.send("", options)]);
    await expectAlive(pair);
  });

  test("send refuses values that cannot be sent, and goes on", async ({ network }) => {
    await using pair = await connect(network);
    for (const value of SENDABLES) {
      const sending = pair.client.sink.send(value as Anything);
      assert.instance(sending, Promise);
      const error = await assert.rejects(sending);
      assert.instance(error, TypeError, `${typeof value}: ${error}`);
    }
    assert.is(pair.client.sink.bytesQueued, 0);
    assert.not(pair.client.sink.closed);
    await expectAlive(pair);
  });

  test("receives refuse wrong lengths, and go on", async ({ network }) => {
    await using pair = await connect(network);
    const { stream } = pair.client as Anything;
    for (const [value, wanted] of [...NO_NUMBER, [2 ** 32, RangeError] as const]) {
      for (const method of ["recv", "recvSome"]) {
        const receiving = stream[method](value);
        assert.instance(receiving, Promise);
        const error = await assert.rejects(receiving);
        assert.instance(error, wanted, `${method} ${shown(value)}: ${error}`);
      }
      for (const method of ["tryRecv", "peek"]) {
        try {
          stream[method](value);
          assert.unreachable(`${method} accepted ${shown(value)}`);
        } catch (error) {
          assert.instance(error, wanted, `${method} ${shown(value)}: ${error}`);
        }
      }
    }
    await assert.rejects(stream.recv(), TypeError);
    await assert.rejects(stream.recvSome(0), RangeError);
    await expectAlive(pair);
  });

  test("wrong arguments and an aborted signal come before the end of the object", async () => {
    const own = await Network.start(config);
    const { client, listener } = await connect(own);
    await own.close();
    const calls: Record<string, (options: Anything) => Promise<unknown>> = {
      accept: (options) => listener.accept(options),
      dial: (options) => own.dial(listener.localAddress, options),
      recv: (options) => client.stream.recv(1, options),
      recvSome: (options) => client.stream.recvSome(1, options),
      recvUntil: (options) => client.stream.recvUntil("x", options),
      wait: (options) => client.stream.wait(1, options),
      send: (options) => client.sink.send("x", options),
      flush: (options) => client.sink.flush(options),
      peerFinished: (options) => client.peerFinished(options),
    };
    const reason = new Error("the reason");
    for (const [name, call] of Object.entries(calls)) {
      const range = await assert.rejects(call({ timeoutMs: -1 }));
      assert.instance(range, RangeError, `${name}: ${range}`);
      assert.is(await assert.rejects(call({ signal: AbortSignal.abort(reason) })), reason, name);
    }
    const adopting = own as Anything;
    for (const [value, wanted] of NO_NUMBER) {
      for (const name of ["adoptListener", "adoptConnection"]) {
        const error = await assert.rejects(adopting[name](value));
        assert.instance(error, wanted, `${name} ${shown(value)}: ${error}`);
      }
    }
  });

  test("socket options refuse wrong values, and go on", async ({ network }) => {
    await using pair = await connect(network);
    const client = pair.client as Anything;
    for (const value of [1, 0, "on", null, {}]) {
      assert.throws(() => client.setNoDelay(value), (error: unknown) => error instanceof TypeError);
    }
    const keepAlives: readonly (readonly [unknown, Wanted])[] = [
      [undefined, TypeError],
      [null, TypeError],
      [5, TypeError],
      ["on", TypeError],
      [[], TypeError],
      [{ idleSeconds: 0 }, RangeError],
      [{ idleSeconds: 32_768 }, RangeError],
      [{ intervalSeconds: 1.5 }, RangeError],
      [{ count: "3" }, TypeError],
      [{ count: 128 }, RangeError],
      [{ seconds: 1 }, TypeError],
    ];
    for (const [value, wanted] of keepAlives) {
      assert.throws(
        () => client.setKeepAlive(value),
        (error: unknown) => error instanceof wanted,
        `${shown(value)}`,
      );
    }
    await expectAlive(pair);
  });

  test("buffers and pools refuse wrong values, and go on", ({ network }) => {
    const { pool } = network as Anything;
    for (const [value, wanted] of NO_NUMBER) {
      for (const method of ["alloc", "tryAlloc"]) {
        assert.throws(
          () => pool[method](value),
          (error: unknown) => error instanceof wanted,
          `${method} ${shown(value)}`,
        );
      }
      using buffer = pool.alloc(10);
      assert.throws(
        () => buffer.setLength(value),
        (error: unknown) => error instanceof wanted,
        `setLength ${shown(value)}`,
      );
    }
    assert.throws(
      () => new BufferPool(5 as Anything),
      (error: unknown) => error instanceof TypeError,
    );
    using buffer = pool.tryAlloc(10);
    assert.is(buffer.length, 10);
    assert.throws(() => buffer.setLength(buffer.capacity + 1));
  });
}
