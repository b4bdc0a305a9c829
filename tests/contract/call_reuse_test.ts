/**
 * Call objects are used again when they have settled: nothing of the last use may show in the next.
 *
 * @module
 */
import { Network } from "../../mod.ts";
import { assert, deferred, suite } from "../harness.ts";
import { SOON_MS } from "./fixture.ts";

const test = suite("reused calls");

/** Two connected ends on a network of their own. */
async function connected() {
  const network = await Network.start();
  const listener = await network.bind("127.0.0.1:0");
  const accepted = listener.accept();
  const client = await network.dial(listener.localAddress);
  return { network, client, server: await accepted };
}

test("an old signal does not abort a later receive without one", async () => {
  const { network, client, server } = await connected();
  const abort = new AbortController();
  const first = client.stream.recv(1, { signal: abort.signal });
  await server.sink.send("a");
  (await first).release();
  const second = client.stream.recv(1);
  abort.abort(new Error("of the first call"));
  await server.sink.send("b");
  assert.is((await second).text(), "b");
  await network.close();
});

test("an old signal does not abort a later send without one", async () => {
  const { network, client, server } = await connected();
  const abort = new AbortController();
  await client.sink.send("a", { signal: abort.signal });
  const sent = client.sink.send(new Uint8Array(16 << 20));
  abort.abort(new Error("of the first call"));
  for (let left = 1 + (16 << 20); left > 0;) {
    using data = await server.stream.recvSome();
    left -= data?.length ?? left;
  }
  await sent;
  await network.close();
});

test("the sends of one connection are reused by another, and keep no state", async () => {
  const COUNT = 100;
  const { network, client, server } = await connected();
  const abort = new AbortController();
  const { signal } = abort;
  await Promise.all(
    Array.from({ length: COUNT }, () => client.sink.send("a", { signal, timeoutMs: SOON_MS })),
  );
  const others = Array.from({ length: COUNT }, () => server.sink.send("b"));
  abort.abort(new Error("of the first connection"));
  client.sink.close();
  await Promise.all(others);
  assert.equal([client.sink.bytesSent, server.sink.bytesSent], [COUNT, COUNT]);
  assert.is((await client.stream.recv(COUNT)).text(), "b".repeat(COUNT));
  assert.is((await server.stream.recv(COUNT)).text(), "a".repeat(COUNT));
  await network.close();
});

test("an old budget does not end a later receive without one", async () => {
  const { network, client, server } = await connected();
  // Where the machine stands still for so long, the budget ends its own call: another one, then.
  let budgetMs = 60;
  for (let isInTime = false; !isInTime; budgetMs *= 2) {
    const receiving = client.stream.recv(1, { timeoutMs: budgetMs });
    await server.sink.send("a");
    isInTime = await receiving.then((first) => (first.release(), true), () => false);
    if (!isInTime) (await client.stream.recv(1)).release();
  }
  const second = client.stream.recv(1);
  const later = deferred();
  setTimeout(later.resolve, budgetMs + 30);
  await later.promise;
  await server.sink.send("b");
  assert.is((await second).text(), "b");
  await network.close();
});

test("send_seconds counts from the call, however long the network was idle before", async () => {
  interface Metric {
    name: string;
    get(): { values: { metricName?: string; value: number }[] };
  }
  const metrics: Metric[] = [];
  const registry = { registerMetric: (metric: Metric) => void metrics.push(metric) };
  const network = await Network.start({ registry });
  const listener = await network.bind("127.0.0.1:0");
  const client = await network.dial(listener.localAddress);
  const later = deferred();
  setTimeout(later.resolve, 2_000);
  await later.promise;
  const start = performance.now();
  await Promise.all(["x", "y", "z"].map((text) => client.sink.send(text)));
  await client.sink.flush();
  const seconds = (performance.now() - start) / 1_000;
  const values = metrics.find(({ name }) => name.endsWith("send_seconds"))?.get().values ?? [];
  const sum = values.find(({ metricName }) => metricName?.endsWith("_sum"))?.value ?? NaN;
  assert.ok(sum < 3 * seconds + 0.5, `${sum} s by their own count, in ${seconds} s`);
  await network.close();
});

test.run();
