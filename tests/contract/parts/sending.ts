/**
 * Sending under pressure: order, overlapping calls, budgets, aborts, poisoning.
 *
 * @module
 */
import { IoBuf, type NetworkConfig, NetworkError } from "../../../mod.ts";
import { assert, bytesEqual, Random } from "../../harness.ts";
import {
  allocated,
  concat,
  connect,
  type ContractSuite,
  expectAlive,
  expectBytes,
  expectEnd,
  expectText,
  type Pair,
  pattern,
  pause,
  readAll,
  settlesWithin,
  SOON_MS,
  started,
  until,
} from "../fixture.ts";

/** More than the kernel takes for a peer that does not read. */
const TOO_MUCH = 24 << 20;

/** Starts a send that the kernel cannot take whole, and waits until it has a part of it. */
async function stuff(pair: Pair, options?: Parameters<Pair["client"]["sink"]["send"]>[1]) {
  const bytes = pattern(TOO_MUCH, 5);
  const sending = pair.client.sink.send(bytes, options);
  sending.catch(() => {});
  await until(() => pair.client.sink.bytesSent > 0, "a part is taken");
  return { bytes, sending };
}

export function sending(test: ContractSuite, config: NetworkConfig): void {
  test("overlapping sends leave in order, and resolve in order", async ({ network }) => {
    await using pair = await connect(network);
    const random = new Random();
    const parts = Array.from(
      { length: 500 },
      (_, i) => pattern(random.pick([1, 64, 64, 64, 2_000, 4_096, 20_000, 90_000]), i),
    );
    const resolved: number[] = [];
    const sends = parts.map((part, i) =>
      pair.client.sink.send(part).then(() => void resolved.push(i))
    );
    assert.ok(pair.client.sink.bytesQueued > 0);
    await expectBytes(pair.server, concat(parts));
    await Promise.all(sends);
    assert.equal(resolved, parts.map((_, i) => i));
    assert.is(pair.client.sink.bytesQueued, 0);
  });

  test("overlapping sends of all kinds, with pauses between them", async ({ network }) => {
    await using pair = await connect(network);
    const random = new Random();
    const parts: Uint8Array[] = [];
    const sends: Promise<void>[] = [];
    for (let i = 0; i < 300; i++) {
      const part = pattern(random.pick([0, 1, 100, 2_048, 10_000, 65_536, 66_000, 150_000]), i);
      parts.push(part);
      const kind = random.int(0, 3);
      const cut = random.int(0, part.length);
      if (kind === 0) sends.push(pair.client.sink.send(part));
      if (kind === 1) {
        sends.push(pair.client.sink.send([part.subarray(0, cut), part.subarray(cut)]));
      }
      if (kind === 2) sends.push(pair.client.sink.send(IoBuf.from(part)));
      if (kind === 3) {
        const buffer = network.pool.alloc(part.length);
        buffer.bytes.set(part);
        sends.push(pair.client.sink.send(buffer));
      }
      if (random.chance(0.1)) await pause(0);
      if (random.chance(0.1)) await Promise.resolve();
    }
    await expectBytes(pair.server, concat(parts));
    await Promise.all(sends);
  });

  test("a full batch of iovecs that ends inside a large send", async ({ network }) => {
    await using pair = await connect(network);
    for (const small of [29, 30, 31, 32, 33]) {
      const parts = Array.from({ length: small }, (_, i) => pattern(3_000, i));
      parts.push(pattern(65_536 + 100, small));
      const sends = parts.map((part) => pair.client.sink.send(part));
      await expectBytes(pair.server, concat(parts), `${small} sends before a large one`);
      await Promise.all(sends);
    }
  });

  test("both directions at once, flat out, 8 MiB each", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = pattern(8 << 20, 1);
    await Promise.all([
      pair.client.sink.send(bytes),
      pair.server.sink.send(bytes),
      expectBytes(pair.client, bytes),
      expectBytes(pair.server, bytes),
    ]);
  });

  test("a send waits for a peer that does not read, then goes on", async ({ network }) => {
    await using pair = await connect(network);
    const { bytes, sending } = await stuff(pair);
    assert.not(await settlesWithin(sending, 50));
    assert.ok(pair.client.sink.bytesQueued > 0);
    assert.is(pair.client.sink.bytesQueued + pair.client.sink.bytesSent, TOO_MUCH);
    await expectBytes(pair.server, bytes);
    await sending;
    assert.is(pair.client.sink.bytesSent, TOO_MUCH);
    await expectAlive(pair);
  });

  test("aborting queued sends without a sent byte: others keep order", async ({ network }) => {
    await using pair = await connect(network);
    const { bytes, sending } = await stuff(pair);
    const reason = new Error("not needed");
    const controller = new AbortController();
    const { signal } = controller;
    const { sink } = pair.client;
    const one = sink.send("one");
    const aborted = [
      sink.send("two", { signal }),
      sink.send(pattern(100_000), { signal }),
      sink.send([pattern(10), pattern(20)], { signal }),
    ];
    const three = sink.send("three");
    controller.abort(reason);
    for (const send of aborted) assert.is(await send.catch((error) => error), reason);
    assert.not(sink.closed);
    await expectBytes(pair.server, bytes);
    await expectText(pair.server, "onethree");
    await Promise.all([sending, one, three]);
    await expectAlive(pair);
  });

  test("a queued send whose budget ends: Timeout, the sink stays usable", async ({ network }) => {
    await using pair = await connect(network);
    const { bytes, sending } = await stuff(pair);
    const start = performance.now();
    await assert.rejects(pair.client.sink.send("never", { timeoutMs: 30 }), {
      code: "Timeout",
      operation: "send",
      bytesDone: 0,
    });
    assert.ok(performance.now() - start >= 30);
    assert.not(pair.client.sink.closed);
    await expectBytes(pair.server, bytes);
    await sending;
    await expectAlive(pair);
  });

  test("a send that is aborted before the turn ends sends nothing", async ({ network }) => {
    await using pair = await connect(network);
    const controller = new AbortController();
    const aborted = pair.client.sink.send("nothing", { signal: controller.signal });
    controller.abort("changed my mind");
    assert.is(await aborted.catch((reason) => reason), "changed my mind");
    assert.is(pair.client.sink.bytesSent, 0);
    assert.is(pair.client.sink.bytesQueued, 0);
    await expectAlive(pair);
  });

  test("closing and flushing do not wait for a send that was aborted", async ({ network }) => {
    await using pair = await connect(network);
    const controller = new AbortController();
    const aborted = pair.client.sink.send("nothing", { signal: controller.signal });
    const flushed = pair.client.sink.flush();
    const closed = pair.client.sink.close();
    controller.abort();
    await assert.rejects(aborted, { name: "AbortError" });
    assert.ok(await settlesWithin(Promise.all([flushed, closed]), SOON_MS), "close and flush");
    await expectEnd(pair.server);
  });

  test("a signal that is aborted already: nothing is sent, nor kept", async ({ network }) => {
    await using pair = await connect(network);
    const signal = AbortSignal.abort("too late");
    const buffer = network.pool.alloc(100);
    const sends = [buffer, "text", pattern(100_000), new Uint8Array(0)].map((data) =>
      pair.client.sink.send(data, { signal }).catch((reason) => reason)
    );
    assert.equal(await Promise.all(sends), Array(4).fill("too late"));
    assert.ok(buffer.released, "a buffer is moved in, whatever comes");
    assert.is(pair.client.sink.bytesSent, 0);
    await expectAlive(pair);
  });

  test("a partly taken send that times out: true bytes, FIN, Closed", async ({ network }) => {
    await using pair = await connect(network);
    const start = performance.now();
    const { bytes, sending } = await stuff(pair, { timeoutMs: 50 });
    const queued = pair.client.sink.send("queued behind it").catch((error) => error);
    const error = await assert.rejects(sending, { code: "Timeout", operation: "send" });
    assert.ok(performance.now() - start >= 50);
    const done = error.bytesDone as number;
    assert.ok(done > 0 && done < TOO_MUCH, `${done} bytes were taken`);
    assert.is(pair.client.sink.bytesSent, done);
    const next = await queued;
    assert.instance(next, NetworkError);
    assert.is(next.code, "Closed");
    assert.ok(pair.client.sink.closed);
    await assert.rejects(pair.client.sink.send("later"), { code: "Closed", operation: "send" });
    await assert.rejects(pair.client.sink.send(""), { code: "Closed" });
    bytesEqual(await readAll(pair.server), bytes.subarray(0, done), "what arrived before FIN");
    await pair.server.sink.send("the other half works");
    await expectText(pair.client, "the other half works");
    await pair.client.sink.close();
  });

  test("a partly taken send that is aborted: the reason, FIN, then Closed", async ({ network }) => {
    await using pair = await connect(network);
    const controller = new AbortController();
    const { bytes, sending } = await stuff(pair, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    assert.is(await sending.catch((error) => error), reason);
    await assert.rejects(pair.client.sink.send("later"), { code: "Closed" });
    const { bytesSent } = pair.client.sink;
    bytesEqual(await readAll(pair.server), bytes.subarray(0, bytesSent));
    await pair.server.sink.send("ok");
    await expectText(pair.client, "ok");
  });

  test("writeTimeoutMs is the budget of every send, unless the call has its own", async () => {
    await using own = await started({ ...config, writeTimeoutMs: 40 });
    {
      await using pair = await connect(own.network);
      const { sending } = await stuff(pair);
      await assert.rejects(sending, { code: "Timeout" });
    }
    {
      await using pair = await connect(own.network);
      const { bytes, sending } = await stuff(pair, { timeoutMs: null });
      assert.not(await settlesWithin(sending, 100));
      await expectBytes(pair.server, bytes);
      await sending;
    }
  });

  test("a budget counts for the whole send, not for each kernel operation", async ({ network }) => {
    await using pair = await connect(network);
    const { sending } = await stuff(pair, { timeoutMs: 150 });
    const reading = (async () => {
      // Reads all the time, but slowly: each operation makes progress.
      while (!pair.client.sink.closed) {
        (await pair.server.stream.recvSome(20_000))?.release();
        await pause(5);
      }
    })();
    await assert.rejects(sending, { code: "Timeout" });
    await reading;
  });

  test("the peer is gone: SendFailed, Closed, and the rest is readable", async ({ network }) => {
    await using pair = await connect(network);
    await pair.server.sink.send("ok");
    await expectText(pair.client, "o");
    await pair.server.close();
    const errors: NetworkError[] = [];
    while (errors.length < 2) {
      await pair.client.sink.send("x").catch((error) => errors.push(error));
      await pause(5);
    }
    assert.equal(errors.map(({ code }) => code), ["SendFailed", "Closed"]);
    assert.ok(["EPIPE", "ECONNRESET"].includes(errors[0].errno ?? ""), `${errors[0].errno}`);
    assert.ok(pair.client.sink.closed);
    await expectText(pair.client, "k");
  });

  test("a large send to a peer that resets: SendFailed, bytes counted", async ({ network }) => {
    await using pair = await connect(network);
    const { sending } = await stuff(pair);
    const queued = pair.client.sink.send("behind").catch((error) => error);
    pair.server.reset();
    const error = await assert.rejects(sending, { code: "SendFailed", operation: "send" });
    assert.ok(["EPIPE", "ECONNRESET"].includes(error.errno as string));
    assert.is(error.bytesDone, pair.client.sink.bytesSent);
    assert.is((await queued).code, "Closed");
  });

  test("arrays that are gone before the call: TypeError for that call", async ({ network }) => {
    await using pair = await connect(network);
    const detached = pattern(100);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const transferred = pattern(100_000);
    transferred.buffer.transfer();
    const resizable = new ArrayBuffer(100, { maxByteLength: 100 });
    const outside = new Uint8Array(resizable, 50, 50);
    resizable.resize(20);
    for (
      const data of [detached, detached.buffer, transferred, [pattern(1), transferred], outside]
    ) {
      await assert.rejects(pair.client.sink.send(data), TypeError);
    }
    assert.is(pair.client.sink.bytesSent, 0);
    await expectAlive(pair);
  });

  const losses: readonly [string, (bytes: Uint8Array<ArrayBuffer>) => void][] = [
    ["detached", (bytes) => void structuredClone(bytes.buffer, { transfer: [bytes.buffer] })],
    ["transferred", (bytes) => void bytes.buffer.transfer()],
    ["shrunk", (bytes) => bytes.buffer.resize(1 << 20)],
  ];
  for (const [name, lose] of losses) {
    test(`an array ${name} during its send: TypeError after true bytes`, async ({ network }) => {
      await using pair = await connect(network);
      const bytes = new Uint8Array(new ArrayBuffer(TOO_MUCH, { maxByteLength: TOO_MUCH }));
      const expected = pattern(TOO_MUCH, 9);
      bytes.set(expected);
      const sending = pair.client.sink.send(bytes);
      const queued = pair.client.sink.send("behind").catch((error) => error);
      await until(() => pair.client.sink.bytesSent > 0, "a part is taken");
      lose(bytes);
      const arriving = readAll(pair.server);
      await assert.rejects(sending, TypeError);
      assert.is((await queued).code, "Closed");
      const arrived = await arriving;
      assert.ok(arrived.length > 0 && arrived.length < TOO_MUCH, `${arrived.length} arrived`);
      assert.is(arrived.length, pair.client.sink.bytesSent);
      bytesEqual(arrived, expected.subarray(0, arrived.length));
      await assert.rejects(pair.client.sink.send("later"), { code: "Closed" });
    });
  }

  test("an array that grows during its send is sent at its old length", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = new Uint8Array(new ArrayBuffer(1 << 20, { maxByteLength: 2 << 20 }));
    const expected = pattern(1 << 20, 3);
    bytes.set(expected);
    const sending = pair.client.sink.send(bytes);
    bytes.buffer.resize(2 << 20);
    await expectBytes(pair.server, expected);
    await sending;
    await expectAlive(pair);
  });

  test("buffers that were released or moved: TypeError for that call", async ({ network }) => {
    await using pair = await connect(network);
    const released = network.pool.alloc(10);
    released.release();
    const moved = network.pool.alloc(5);
    moved.bytes.set(new TextEncoder().encode("moved"));
    await pair.client.sink.send(moved);
    await expectText(pair.server, "moved");
    for (const buffer of [released, moved]) {
      await assert.rejects(pair.client.sink.send(buffer), TypeError);
    }
    await expectAlive(pair);
  });

  test("a closed sink still takes over the given buffers", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.close();
    const buffer = network.pool.alloc(100);
    await assert.rejects(pair.client.sink.send(buffer), { code: "Closed" });
    assert.ok(buffer.released);
    await assert.rejects(pair.client.sink.send("text"), { code: "Closed" });
    await assert.rejects(pair.client.sink.send(pattern(100_000)), { code: "Closed" });
  });

  test("sends that are refused after the end keep no memory", async () => {
    await using own = await started(config);
    await using pair = await connect(own.network);
    await expectAlive(pair);
    await Promise.all([pair.client.close(), pair.server.close()]);
    const before = allocated(own.network);
    for (const data of ["small", pattern(3_000), pattern(100_000), [pattern(10), pattern(20)]]) {
      await assert.rejects(pair.client.sink.send(data), { code: "Closed" });
    }
    assert.is(allocated(own.network), before);
  });

  test("half close: pending sends first, then FIN; the stream goes on", async ({ network }) => {
    await using pair = await connect(network);
    const bytes = pattern(3 << 20, 2);
    const sending = pair.client.sink.send(bytes);
    const closing = pair.client.sink.close();
    assert.ok(pair.client.sink.closed);
    await assert.rejects(pair.client.sink.send("late"), { code: "Closed" });
    await expectBytes(pair.server, bytes);
    await expectEnd(pair.server);
    await Promise.all([sending, closing, pair.client.sink.close()]);
    await pair.server.sink.send("answer");
    await pair.server.sink.close();
    await expectText(pair.client, "answer");
    await expectEnd(pair.client);
  });

  test("flush waits until the kernel has all bytes", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.flush();
    const { bytes, sending } = await stuff(pair);
    const flushed = pair.client.sink.flush();
    await assert.rejects(pair.client.sink.flush({ timeoutMs: 20 }), {
      code: "Timeout",
      operation: "flush",
    });
    const reason = new Error("no patience");
    const impatient = pair.client.sink.flush({ signal: AbortSignal.abort(reason) });
    assert.is(await impatient.catch((error) => error), reason);
    assert.not(await settlesWithin(flushed, 20));
    await expectBytes(pair.server, bytes);
    await Promise.all([flushed, sending]);
    await expectAlive(pair);
  });
}
