/**
 * Write buffering: what a send that resolved at once promises, and where its error shows.
 *
 * @module
 */
import type { NetworkConfig } from "../../../mod.ts";
import { assert, patience } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  expectBytes,
  expectEnd,
  expectText,
  pattern,
  pause,
  settlesWithin,
  started,
  until,
} from "../fixture.ts";

function aborter(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error("too late")) };
}

export function writeBuffering(test: ContractSuite, config: NetworkConfig): void {
  test("small sends resolve when buffered, and arrive by themselves", async () => {
    await using own = await started({ ...config, writeBufferSize: 10_000 });
    await using pair = await connect(own.network);
    const { sink } = pair.client;
    const chunk = pattern(1_000);
    let sends = 0;
    let last = sink.send(chunk);
    while (await settlesWithin(last, patience(100))) {
      sends++;
      last = sink.send(chunk);
    }
    // The peer does not read: what resolved beyond bytesSent was only buffered.
    const buffered = sends * chunk.length - sink.bytesSent;
    assert.ok(buffered > 8_000 && buffered <= 10_000, `${buffered} bytes were buffered`);
    const flushed = sink.flush();
    assert.not(await settlesWithin(flushed, 20), "the kernel has not got it");
    for (let i = 0; i <= sends; i++) await expectBytes(pair.server, chunk);
    await Promise.all([last, flushed]);
    assert.is(sink.bytesQueued, 0);
    await sink.send("no flush needed");
    await expectText(pair.server, "no flush needed");
    await sink.send("and close");
    await sink.close();
    await expectText(pair.server, "and close");
    await expectEnd(pair.server);
  });

  test("what a program writes into a promise of one connection reaches no other", async () => {
    await using own = await started({ ...config, writeBufferSize: 1 << 20 });
    await using one = await connect(own.network);
    await using other = await connect(own.network);
    const { sink } = one.client;
    for (const made of [sink.send("x"), sink.send(""), sink.flush(), sink.close()]) {
      await made;
      Object.assign(made, { then: () => assert.unreachable(), mark: "mine" });
    }
    const { sink: far } = other.client;
    for (const made of [far.send("x"), far.send(""), far.flush(), far.close()]) {
      assert.is(Object.hasOwn(made, "mark"), false);
      await made;
    }
    await expectText(other.server, "x");
  });

  test("many small sends leave in few operations", async () => {
    await using own = await started({ ...config, writeBufferSize: 1 << 20 });
    await using pair = await connect(own.network);
    const before = own.network.stats().ringSubmissions;
    for (let i = 0; i < 1_000; i++) void pair.client.sink.send("sixteen bytes ok");
    await pair.client.sink.flush();
    const operations = own.network.stats().ringSubmissions - before;
    assert.ok(operations <= 10, `${operations} operations`);
    await expectText(pair.server, "sixteen bytes ok".repeat(1_000));
  });

  test("the error of a buffered send shows on the next call, once", async () => {
    for (const next of ["send", "flush", "close"] as const) {
      await using own = await started({ ...config, writeBufferSize: 10_000 });
      await using pair = await connect(own.network);
      const { sink } = pair.client;
      pair.server.reset();
      await pair.client.stream.recvSome().catch(() => {});
      await Promise.all([sink.send("lost"), sink.send("lost as well")]);
      await until(() => sink.closed, "the error is known");
      const show = () => next === "send" ? sink.send("next") : sink[next]();
      await assert.rejects(show, { code: "SendFailed" });
      await assert.rejects(sink.send("after that"), { code: "Closed" });
      await sink.close();
    }
  });

  test("connection.close() never rejects, even when buffered sends have failed", async () => {
    await using own = await started({ ...config, writeBufferSize: 10_000 });
    await using pair = await connect(own.network);
    pair.server.reset();
    await pair.client.stream.recvSome().catch(() => {});
    await pair.client.sink.send("lost");
    await until(() => pair.client.sink.closed, "the error is known");
    await pair.client.close();
  });

  test("an abort or a budget ends no send that has resolved", async () => {
    await using own = await started({ ...config, writeBufferSize: 1 << 20 });
    await using pair = await connect(own.network);
    const { sink } = pair.client;
    const { signal, abort } = aborter();
    await sink.send("aborted, ", { signal });
    await sink.send("overdue, ", { timeoutMs: 1 });
    // The peer does not read: what follows fills the kernel's buffers, and then this one.
    const chunk = pattern(10_000);
    let count = 0;
    for (; sink.bytesQueued < 900_000; count++) await sink.send(chunk, { signal, timeoutMs: 1 });
    abort();
    await pause(20);
    await expectText(pair.server, "aborted, overdue, ");
    for (let i = 0; i < count; i++) await expectBytes(pair.server, chunk, `chunk ${i}`);
    await sink.send("the last one");
    await expectText(pair.server, "the last one");
  });
}
