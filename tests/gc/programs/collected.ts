/**
 * A network whose garbage collector is called all the time. The check is named by the argument;
 * prints "<right>" when it held.
 *
 * @module
 */
import process from "node:process";
import { type Connection, type IoBuf, IoBufs, Network, type NetworkConfig } from "../../../mod.ts";
import {
  allocated,
  closeChecked,
  concat,
  connect,
  expectAlive,
  expectBytes,
  type Pair,
  pattern,
  pause,
  until,
} from "../../contract/fixture.ts";
import { assert, Random } from "../../harness.ts";

const runtime = globalThis as unknown as { Bun?: { gc(full: boolean): void }; gc?(): void };
const collect = () => runtime.Bun ? runtime.Bun.gc(true) : (runtime.gc as () => void)();

/** Collections under load, at the least. */
const COLLECTION_COUNT_MIN = 10;

/** The byte that fills released memory when `debug` is on. */
const STALE = 0xdb;

const [kind, seed] = process.argv.slice(-2);
const random = new Random(Number(seed));

/** Collects, lets finalizers run, and makes garbage of the sizes that buffers have. */
async function collectHard(times = 5): Promise<void> {
  for (let i = 0; i < times; i++) {
    collect();
    await pause(1);
    const garbage = Array.from({ length: 200 }, (_, k) => new Uint8Array(k * 50).fill(0xee));
    assert.is(garbage.length, 200);
  }
}

// --------------------------------------------------------------------------------------- traffic

/** Messages of all sizes in all shapes, echoed and compared, until it is told to stop. */
async function talk({ client, server }: Pair, network: Network, done: () => boolean) {
  while (!done()) {
    const size = random.pick([1, 60, 500, 3_000, 20_000, 70_000, 300_000]);
    const bytes = pattern(size, random.next());
    await Promise.all([client.sink.send(shape(bytes, network)), echo(server, size)]);
    const got = random.chance(0.5)
      ? await client.stream.recv(size)
      : new IoBufs(await collectSome(client, size));
    assert.bytesEqual(got.toUint8Array(), bytes);
  }
}

function shape(bytes: Uint8Array<ArrayBuffer>, network: Network) {
  switch (random.int(0, 4)) {
    case 0:
      return bytes;
    case 1: {
      const buffer = network.pool.alloc(bytes.length);
      buffer.bytes.set(bytes);
      return buffer;
    }
    case 2: {
      const parts = new IoBufs();
      for (let at = 0; at < bytes.length; at += 2_500) parts.append(bytes.slice(at, at + 2_500));
      return parts;
    }
    case 3:
      return [bytes.slice(0, bytes.length >> 1), bytes.slice(bytes.length >> 1)];
    default:
      return bytes.buffer;
  }
}

async function echo({ sink, stream }: Connection, size: number): Promise<void> {
  for (let left = size; left > 0;) {
    const some = await stream.recvSome(left) as IoBuf;
    left -= some.length;
    await sink.send(some);
  }
}

async function collectSome(connection: Connection, size: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let left = size; left > 0;) {
    const some = await connection.stream.recvSome(left) as IoBuf;
    left -= some.length;
    parts.push(some.toUint8Array());
  }
  return concat(parts);
}

async function underLoad(topology: "shared" | "split"): Promise<void> {
  const network = await Network.start({ ring: { topology }, pool: { debug: true } });
  const pairs = await Promise.all(Array.from({ length: 6 }, () => connect(network)));
  const end = performance.now() + 1_500;
  let collections = 0;
  // On a slow machine, one collection may take most of that time.
  const isOver = () => performance.now() > end && collections > COLLECTION_COUNT_MIN;
  const talks = pairs.map((pair) => talk(pair, network, isOver));
  while (!isOver()) {
    collect();
    collections++;
    await pause(random.int(0, 3));
  }
  await Promise.all(talks);
  for (const pair of pairs) await pair[Symbol.asyncDispose]();
  await closeChecked(network);
  assert.is(network.pool.stats().leaked, 0);
}

// --------------------------------------------------------------------------------------- dropped

/** Receives without releasing, from an echo; returns how many buffers were dropped. */
async function dropReceived({ client, server }: Pair, count: number): Promise<number> {
  for (let i = 0; i < count; i++) {
    const bytes = pattern(1_000, i);
    const sent = server.sink.send(bytes);
    const got = random.chance(0.5)
      ? await client.stream.recv(bytes.length)
      : await client.stream.recvSome(bytes.length) as IoBuf;
    await sent;
    const view = got instanceof IoBufs ? concat(got.chunks) : got.bytes;
    assert.bytesEqual(view, bytes.subarray(0, view.length));
    assert.is(view.length, bytes.length);
  }
  return count;
}

interface Metric {
  name: string;
  get(): Promise<{ values: { value: number }[] }>;
}

async function dropped(): Promise<void> {
  const metrics = new Map<string, Metric>();
  const registry = { registerMetric: (metric: Metric) => void metrics.set(metric.name, metric) };
  const config = { registry, pool: { maxPerClass: 64 } } as unknown as NetworkConfig;
  const network = await Network.start(config);
  const pair = await connect(network);
  // More than the pool has: it must go on without.
  const count = await dropReceived(pair, 300);
  for (let i = 0; i < 5; i++) network.pool.alloc(100).bytes.fill(i);
  await expectAlive(pair);
  const held = () => allocated(network);
  let rounds = 0;
  while (held() > 8 && rounds++ < 200) await collectHard(1);
  assert.ok(held() <= 8, `${held()} buffers are still counted as held`);
  const { leaked } = network.pool.stats();
  assert.ok(leaked > 20 && leaked <= count + 5, `${leaked} leaked`);
  const counted = await metrics.get("uringnet_buffer_pool_leaked_total")?.get();
  assert.is(counted?.values[0].value, leaked, "the metric");
  // Reclaimed memory is used again, byte for byte.
  for (let i = 0; i < 200; i++) {
    const bytes = pattern(1_000, i);
    await Promise.all([pair.server.sink.send(bytes), expectBytes(pair.client, bytes)]);
  }
  assert.ok(network.pool.tryAlloc(1_000).pooled);
  await pair[Symbol.asyncDispose]();
  await network.close();
  console.log(`<leaked ${leaked}>`);
}

/** Buffers that are dropped while the network sleeps, and no call wakes it afterwards. */
async function droppedAsleep(): Promise<void> {
  const network = await Network.start();
  const pair = await connect(network);
  await expectAlive(pair);
  await pair[Symbol.asyncDispose]();
  // Long enough for every spin to end.
  await pause(50);
  for (let i = 0; i < 50; i++) network.pool.alloc(100).bytes.fill(i);
  for (let round = 0; network.pool.stats().leaked < 40 && round < 200; round++) {
    await collectHard(1);
  }
  // A conservative collector may keep a few.
  const { leaked } = network.pool.stats();
  assert.ok(leaked >= 40 && leaked <= 50, `${leaked} leaked`);
  await network.close();
}

// ----------------------------------------------------------------------------------------- stale

async function stale(): Promise<void> {
  const network = await Network.start({ pool: { debug: true } });
  const pair = await connect(network);
  const { client, server } = pair;
  const isStale = (view: Uint8Array) => view.length > 0 && view.every((byte) => byte === STALE);
  for (const size of [100, 3_000, 60_000, 200_000]) {
    const bytes = pattern(size);
    const [received] = await Promise.all([client.stream.recv(size), server.sink.send(bytes)]);
    const views = received.chunks;
    assert.bytesEqual(concat(views), bytes);
    received.release();
    if (size <= 60_000) assert.ok(views.every(isStale), `${size} received bytes, released`);
  }
  const made = network.pool.alloc(5_000);
  const view = made.bytes;
  view.set(pattern(5_000));
  await Promise.all([client.sink.send(made), expectBytes(server, pattern(5_000))]);
  await until(() => isStale(view), "a buffer that was given to send");
  assert.throws(() => made.bytes, (error: Error) => error instanceof TypeError);
  await pair[Symbol.asyncDispose]();
  await closeChecked(network);
}

// ------------------------------------------------------------------------------------- in flight

/** Sends more than the sockets hold, in several shapes, and keeps nothing of it. */
function sendAndDrop(connection: Connection, network: Network): number {
  const vectored = new IoBufs();
  for (let i = 0; i < 80; i++) {
    const part = network.pool.alloc(60_000);
    part.bytes.set(pattern(60_000, i));
    vectored.append(part);
  }
  void connection.sink.send(vectored);
  void connection.sink.send(pattern(6 << 20, 100));
  void connection.sink.send([pattern(100_000, 101), pattern(10, 102), pattern(1_000_000, 103)]);
  void connection.sink.send("the end");
  return 80 * 60_000 + (6 << 20) + 1_100_010 + 7;
}

function expectedBytes(): Uint8Array {
  return concat([
    ...Array.from({ length: 80 }, (_, i) => pattern(60_000, i)),
    pattern(6 << 20, 100),
    pattern(100_000, 101),
    pattern(10, 102),
    pattern(1_000_000, 103),
    new TextEncoder().encode("the end"),
  ]);
}

/** Only the peer's end is kept: no reference to the sending connection is left. */
async function halfConnected(network: Network, sends: boolean): Promise<[Connection, number]> {
  const { client, server } = await connect(network);
  if (sends) return [server, sendAndDrop(client, network)];
  void client.stream.recv(1 << 20);
  void client.stream.recv(500, { timeoutMs: 20 }).catch(() => {});
  return [server, 0];
}

async function inFlight(): Promise<void> {
  const network = await Network.start({ pool: { debug: true } });
  const [reader, length] = await halfConnected(network, true);
  const [writer] = await halfConnected(network, false);
  await collectHard(20);
  const held = allocated(network);
  assert.ok(held > 10, `${held} buffers are with the send that is in flight`);
  assert.is(network.pool.stats().leaked, 0, "what an operation holds is not dropped");
  const received: Uint8Array[] = [];
  for (let left = length; left > 0;) {
    const some = await reader.stream.recvSome() as IoBuf;
    left -= some.length;
    received.push(some.toUint8Array());
    if (received.length % 20 === 0) collect();
  }
  assert.bytesEqual(concat(received), expectedBytes());
  // A receive without a reference takes its bytes and gives the memory back.
  await writer.sink.send(pattern(1 << 20));
  await until(() => network.stats().inboundBytes === length + (1 << 20), "it has arrived");
  for (let i = 0; i < 200 && allocated(network) > 0; i++) await collectHard(1);
  await Promise.all([reader.close(), writer.close()]);
  await network.close();
  for (let i = 0; i < 200 && allocated(network) > 0; i++) await collectHard(1);
  assert.is(allocated(network), 0, "everything came back");
}

// ---------------------------------------------------------------------------------------- closed

/** Something that nothing may keep any more. */
type Gone = [what: string, reference: WeakRef<object>];

/**
 * Every way to send, at once on each connection, so that as many calls become spare. No reference
 * is left in the frame of the caller.
 */
async function useAndClose(network: Network, index: number): Promise<Gone[]> {
  const pair = await connect(network);
  const { client, server } = pair;
  const gone: Gone[] = [];
  const watch = <T extends object>(what: string, value: T): T => {
    gone.push([what, new WeakRef(value)]);
    return value;
  };
  watch("a client", client);
  watch("a server", server);
  const aborts = watch("a signal", new AbortController()).signal;
  const expected: Uint8Array[] = [];
  const sends: Promise<void>[] = [];
  for (const size of [10, 3_000, 200_000]) {
    const bytes = watch(`an array of ${size} bytes`, pattern(size, index));
    expected.push(bytes);
    sends.push(watch("a send", client.sink.send(bytes, { signal: aborts, timeoutMs: BUDGET_MS })));
  }
  const received = server.stream.recv(203_010, { timeoutMs: BUDGET_MS });
  const result = watch("a result", await watch("a receive", received));
  assert.bytesEqual(result.toUint8Array(), concat(expected));
  await Promise.all(sends);
  const aborted = new AbortController();
  const waiting = client.stream.recvSome(undefined, { signal: aborted.signal });
  aborted.abort(watch("a reason", new Error("enough")));
  await waiting.then(() => assert.unreachable(), () => {});
  const closed = server.stream.recvSome(100).then(() => assert.unreachable(), () => {});
  await pair[Symbol.asyncDispose]();
  await closed;
  return gone;
}

/** A budget that does not end, but has to be given up. */
const BUDGET_MS = 60_000;

/** A stack that is scanned for anything like a pointer may keep some. */
const KEPT_PART_MAX = 0.1;

async function closed(writeBufferSize: number): Promise<void> {
  const network = await Network.start({ writeBufferSize });
  const count = 60;
  const each = Array.from({ length: count }, (_, index) => useAndClose(network, index));
  const gone = (await Promise.all(each)).flat();
  const kept = () => {
    const counts = new Map<string, number>();
    for (const [what, reference] of gone) {
      if (reference.deref() !== undefined) counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    return [...counts].filter(([, left]) => left > count * KEPT_PART_MAX);
  };
  for (let rounds = 0; rounds < 100 && kept().length > 0; rounds++) {
    // The results of deref() live until the end of the job.
    await pause(0);
    await collectHard(1);
  }
  assert.is(kept().join(" "), "", "what closed connections leave behind");
  await expectAlive(await connect(network));
  await network.close();
}

switch (kind) {
  case "shared":
  case "split":
    await underLoad(kind);
    break;
  case "dropped":
    await dropped();
    break;
  case "dropped asleep":
    await droppedAsleep();
    break;
  case "stale":
    await stale();
    break;
  case "in flight":
    await inFlight();
    break;
  case "closed":
    await closed(0);
    await closed(64 << 10);
    break;
  default:
    throw new Error(`Unknown: ${kind}`);
}
console.log("<right>");
