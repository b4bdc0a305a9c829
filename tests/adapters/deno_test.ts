/**
 * The adapter with Deno's interfaces, in both runtimes, beside Deno's own where there is one.
 *
 * @module
 */
import { Network } from "../../mod.ts";
import { connect, errors, listen, toDenoConn, toDenoListener } from "../../src/adapters/deno.ts";
import { happyEyeballs } from "../../src/adapters/deno/happy_eyeballs.ts";
import { sharedNetwork } from "../../src/adapters/shared_network.ts";
import { assert, suite } from "../harness.ts";
import { polluted } from "../support/polluted.ts";
import { type Api, CELLS } from "./deno_cells.ts";

const test = suite("Deno adapter", {}, { timeoutMs: 30_000 });
const adapter = { connect, listen, errors } as unknown as Api;
const native = (globalThis as unknown as { Deno?: Api }).Deno;

for (const { name, run, expected } of CELLS) {
  test(name, async () => {
    assert.equal(await run(adapter), expected);
  });
  const missing = native === undefined ? "only Deno has its own" : null;
  test.skipIf(missing, `Deno's own: ${name}`, async () => {
    assert.equal(await run(native as Api), expected);
  });
}

test("bytes go over the ring", async () => {
  const before = sharedNetwork().stats();
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  using client = await connect({ port: listener.addr.port });
  using server = await listener.accept();
  await client.write(new Uint8Array(1_000));
  assert.is(await server.read(new Uint8Array(2_000)), 1_000);
  const after = sharedNetwork().stats();
  assert.is(after.outboundBytes - before.outboundBytes, 1_000);
  assert.is(after.inboundBytes - before.inboundBytes, 1_000);
  assert.is(after.outboundConnections - before.outboundConnections, 1);
});

test("accept calls at a time are served in order, where Deno refuses the second", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = [listener.accept(), listener.accept()];
  using first = await connect({ port: listener.addr.port });
  using second = await connect({ port: listener.addr.port });
  using one = await accepting[0];
  using two = await accepting[1];
  assert.is(one.remoteAddr.port, first.localAddr.port);
  assert.is(two.remoteAddr.port, second.localAddr.port);
});

test("close lets a pending write finish, where Deno cuts it off", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  using client = await connect({ port: listener.addr.port });
  using server = await listener.accept();
  const sizeBytes = 8 * 1024 * 1024;
  const writing = client.write(new Uint8Array(sizeBytes));
  client.close();
  let received = 0;
  const memory = new Uint8Array(65_536);
  for (let count; (count = await server.read(memory)) !== null;) received += count;
  assert.is(received, sizeBytes);
  assert.is(await writing, sizeBytes);
});

test("a reset by the peer is ConnectionReset once, then the end of the stream", async () => {
  await using network = await Network.start();
  const listener = await network.bind("127.0.0.1:0");
  const dialled = await network.dial(listener.localAddress);
  using conn = toDenoConn(await listener.accept());
  const reading = conn.read(new Uint8Array(1));
  dialled.reset();
  await assert.rejects(reading, errors.ConnectionReset as ErrorConstructor);
  assert.is(await conn.read(new Uint8Array(1)), null);
});

test("toDenoConn and toDenoListener wrap objects of the program's own network", async () => {
  await using network = await Network.start();
  using listener = toDenoListener(await network.bind("127.0.0.1:0"));
  const accepted = listener.next();
  using client = toDenoConn(await network.dial(`127.0.0.1:${listener.addr.port}`));
  const { value } = await accepted;
  using server = value;
  await client.write(Uint8Array.of(1, 2));
  assert.is(await server.read(new Uint8Array(4)), 2);
  assert.ok(network.stats().inboundBytes >= 2);
});

test("a network that closes is no end of the peer: its reads are interrupted", async () => {
  for (const end of ["network", "connection"] as const) {
    await using network = await Network.start();
    const listener = await network.bind("127.0.0.1:0");
    await network.dial(listener.localAddress);
    const connection = await listener.accept();
    using conn = toDenoConn(connection);
    const reading = conn.read(new Uint8Array(1));
    const interrupted = assert.rejects(reading, errors.Interrupted as ErrorConstructor);
    await (end === "network" ? network : connection).close();
    await interrupted;
    await assert.rejects(conn.read(new Uint8Array(1)), errors.BadResource as ErrorConstructor);
  }
});

test("a network that closes ends an iteration over its listener", async () => {
  const network = await Network.start();
  const next = toDenoListener(await network.bind("127.0.0.1:0")).next();
  await network.close();
  assert.equal(await next, { done: true, value: undefined });
});

test("reusePort lets two listeners share a port", () => {
  using first = listen({ hostname: "127.0.0.1", port: 0, reusePort: true });
  const { port } = first.addr;
  using second = listen({ hostname: "127.0.0.1", port, reusePort: true });
  assert.is(second.addr.port, port);
});

test("a name that would have to be looked up is refused by listen, with the way out", () => {
  assert.throws(() => listen({ hostname: "name.example", port: 0 }), /look the name up first/);
});

test("no path, and a transport that is none, are refused by both functions", async () => {
  const unix = { transport: "unix" } as never;
  const other = { transport: "vsock", port: 1 } as never;
  await assert.rejects(() => connect(unix), { name: "TypeError", code: "EINVAL" });
  assert.throws(() => listen(unix), /Invalid argument \(os error 22\)/);
  await assert.rejects(() => connect(other), /Unsupported transport: 'vsock'/);
  assert.throws(() => listen(other), /Unsupported transport: 'vsock'/);
});

test("a signal that is none is refused before a lookup begins, and null is no signal", async () => {
  const name = { hostname: "name.invalid", port: 1 };
  const looks: unknown[] = [5, {}, { throwIfAborted() {} }, Object.create(AbortSignal.prototype)];
  for (const signal of looks) {
    const options = { ...name, signal: signal as AbortSignal };
    await assert.rejects(() => connect(options), { name: "TypeError" });
  }
  // An unhandled failure of a lookup is reported by the runner. This lookup comes after those.
  await assert.rejects(() => connect(name), /failed to lookup address information/);
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  for (const hostname of ["localhost", "127.0.0.1"]) {
    const signal = null as unknown as AbortSignal;
    using _client = await connect({ hostname, port: listener.addr.port, signal });
  }
});

test("memory that imitates a typed array is refused", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  using client = await connect({ port: listener.addr.port });
  const imitation = { [Symbol.toStringTag]: "Uint8Array", buffer: new ArrayBuffer(8), length: 8 };
  await assert.rejects(() => client.write(imitation as never), /expected typed ArrayBufferView/);
});

/** An array whose properties name other memory than its own. */
class Liar extends Uint8Array {
  override get buffer(): ArrayBuffer {
    return new ArrayBuffer(99);
  }
  override get byteLength(): number {
    return 2;
  }
}

test("write and read use the memory of an array, whatever its properties say", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  using client = await connect({ port: listener.addr.port });
  using server = await listener.accept();
  const memory = new Liar(8);
  assert.is(await client.write(new Liar([1, 2, 3, 4, 5])), 5);
  assert.is(await server.read(memory), 5);
  assert.equal([...memory], [1, 2, 3, 4, 5, 0, 0, 0]);
  const writer = client.writable.getWriter();
  await writer.write(new Liar([6, 7, 8]));
  assert.is(await server.read(memory), 3);
  assert.equal([...memory.subarray(0, 3)], [6, 7, 8]);
});

test("an array whose memory is gone has no bytes to write or to read", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  using client = await connect({ port: listener.addr.port });
  const gone = new Uint8Array(8);
  structuredClone(gone, { transfer: [gone.buffer] });
  assert.equal([await client.write(gone), await client.read(gone)], [0, 0]);
});

test("fields of Object.prototype change no stream of a connection", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  using client = await connect({ port: listener.addr.port });
  using server = await listener.accept();
  const fields = { autoAllocateChunkSize: -1, highWaterMark: -1, size: "wrong", abort: "wrong" };
  await polluted(fields, async () => {
    const [writer, reader] = [client.writable.getWriter(), server.readable.getReader()];
    await writer.write(new Uint8Array([1, 2, 3]));
    assert.equal([...(await reader.read()).value!], [1, 2, 3]);
  });
});

test("memory that is taken away during a read fails that read only", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  using client = await connect({ port: listener.addr.port });
  using server = await listener.accept();
  const memory = new Uint8Array(8);
  const reading = server.read(memory);
  structuredClone(memory, { transfer: [memory.buffer] });
  await client.write(Uint8Array.of(1));
  await assert.rejects(reading, /was transferred away meanwhile/);
  await client.write(Uint8Array.of(2));
  assert.is(await server.read(new Uint8Array(8)), 1);
});

test("an abort during the lookup of a name ends connect at once", async () => {
  using listener = listen({ hostname: "127.0.0.1", port: 0 });
  const aborter = new AbortController();
  const connecting = connect({
    hostname: "localhost",
    port: listener.addr.port,
    signal: aborter.signal,
  });
  aborter.abort(new Error("enough"));
  await assert.rejects(connecting, /enough/);
});

const none = () => assert.unreachable("no attempt is late");

const FOUND = [{ hostname: "a", family: 6 }, { hostname: "b", family: 4 }] as const;

test("happyEyeballs() starts the next attempt after the delay and ends the loser", async () => {
  const started: string[] = [];
  let aborted = false;
  const winner = await happyEyeballs(FOUND, 5, undefined, ({ hostname }, signal) => {
    started.push(hostname);
    if (hostname === "b") return Promise.resolve(hostname);
    return new Promise((_, reject) =>
      signal.addEventListener("abort", () => {
        aborted = true;
        reject(signal.reason);
      })
    );
  }, none);
  assert.equal([winner, started, aborted], ["b", ["a", "b"], true]);
});

test("happyEyeballs() goes on at once after a failure, fails with the first error", async () => {
  const failing = happyEyeballs(
    FOUND,
    60_000,
    undefined,
    ({ hostname }) => Promise.reject(new Error(hostname)),
    none,
  );
  await assert.rejects(failing, /^a$/);
});

test("happyEyeballs() ends with the reason of its signal", async () => {
  const aborter = new AbortController();
  const racing = happyEyeballs(
    FOUND,
    60_000,
    aborter.signal,
    (_, signal) =>
      new Promise<never>((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      ),
    none,
  );
  aborter.abort(new Error("enough"));
  await assert.rejects(racing, /enough/);
});

test("happyEyeballs() hands a second success back, and begins nothing after an abort", async () => {
  const first = Promise.withResolvers<string>();
  const late: string[] = [];
  const racing = happyEyeballs(
    FOUND,
    0,
    undefined,
    ({ hostname }) => {
      if (hostname === "a") return first.promise;
      first.resolve(hostname);
      return Promise.resolve(hostname);
    },
    (value) => late.push(value),
  );
  assert.is(await racing, "b");
  await first.promise;
  assert.equal(late, ["b"]);
  const attempt = () => Promise.reject(new Error("an attempt began"));
  const aborted = happyEyeballs(FOUND, 0, AbortSignal.abort(new Error("done")), attempt, none);
  await assert.rejects(aborted, /done/);
});

test.run();
