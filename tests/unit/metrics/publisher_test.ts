import { loadPromClient } from "../../../deps.ts";
import { COUNT, Meter } from "../../../src/base/meter.ts";
import { type BufferPool, openPool } from "../../../src/buf/buffer_pool.ts";
import type { MetricSource } from "../../../src/metrics/definitions.ts";
import { Publisher } from "../../../src/metrics/publisher.ts";
import type { MetricsRegistry } from "../../../src/net/config/config.ts";
import { assert, suite } from "../../harness.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";
import { thrown } from "../../support/thrown.ts";

const PREFIX = "uringnet_";

/** Names without the prefix, and types, as the documentation has them. */
const DOCUMENTED: Readonly<Record<string, string>> = {
  iouring_sender_pending_operations: "gauge",
  iouring_receiver_pending_operations: "gauge",
  inbound_connections_total: "counter",
  outbound_connections_total: "counter",
  connections: "gauge",
  inbound_bytes_total: "counter",
  outbound_bytes_total: "counter",
  buffer_pool_allocated: "gauge",
  buffer_pool_available: "gauge",
  buffer_pool_allocations_total: "counter",
  buffer_pool_exhausted_total: "counter",
  buffer_pool_oversized_total: "counter",
  buffer_pool_leaked_total: "counter",
  ring_enters_total: "counter",
  ring_submissions_total: "counter",
  ring_completions_total: "counter",
  ring_wakeups_total: "counter",
  ring_spins_total: "counter",
  ring_spin_seconds_total: "counter",
  ring_overflows_total: "counter",
  retries_total: "counter",
  short_sends_total: "counter",
  timeouts_total: "counter",
  cancellations_total: "counter",
  ring_batch_size: "histogram",
  send_iovecs: "histogram",
  send_seconds: "histogram",
  recv_seconds: "histogram",
};

type Client = Awaited<ReturnType<typeof loadPromClient>>;
type PromRegistry = InstanceType<Client["Registry"]>;

interface Context {
  client: Client;
  registry: PromRegistry;
}

const newPool = () =>
  openPool({ minSize: 128, maxSize: 256, maxPerClass: 2 }, new PlainSlabSource());

/** A network as the metrics see it. */
class FakeNetwork implements MetricSource {
  readonly meter = new Meter();
  readonly pool: BufferPool;
  sends = 0;
  receives = 0;
  refreshes = 0;
  /** The count that `refresh` publishes. */
  enters = 0;

  constructor(pool = newPool()) {
    this.pool = pool;
  }

  pending(): { sends: number; receives: number } {
    return { sends: this.sends, receives: this.receives };
  }

  refresh(): void {
    this.refreshes++;
    this.meter.counts[COUNT.enters] = this.enters;
  }

  count(name: Exclude<keyof typeof COUNT, "length">, value: number): this {
    this.meter.counts[COUNT[name]] += value;
    return this;
  }
}

interface Scrape {
  types: Record<string, string>;
  help: Record<string, string>;
  /** The whole name with labels, as it stands in the text, to its value. */
  values: Record<string, number>;
}

async function scrape(registry: PromRegistry): Promise<Scrape> {
  const result: Scrape = { types: {}, help: {}, values: {} };
  for (const line of (await registry.metrics()).split("\n")) {
    if (line === "" || line === "# EOF") continue;
    const meta = /^# (TYPE|HELP) (\S+) (.+)$/.exec(line);
    if (meta !== null) {
      const table = meta[1] === "TYPE" ? result.types : result.help;
      assert.not.ok(meta[2] in table, `${meta[2]} twice`);
      table[meta[2]] = meta[3];
      continue;
    }
    const sample = /^([a-z_:]+(?:\{[^}]*\})?) (\S+)$/i.exec(line) as RegExpExecArray;
    assert.ok(sample !== null, line);
    assert.not.ok(sample[1] in result.values, `${sample[1]} twice`);
    result.values[sample[1]] = Number(sample[2] === "+Inf" ? Infinity : sample[2]);
  }
  return result;
}

const test = suite<Context>("Publisher", {} as Context);

test.before(async (context) => {
  context.client = await loadPromClient();
});

test.before.each((context) => {
  context.registry = new context.client.Registry();
});

test("names, with the prefix, and types are as documented", async ({ registry }) => {
  Publisher.attach(registry, "my_", new FakeNetwork());
  const { types, help } = await scrape(registry);
  const expected = Object.entries(DOCUMENTED).map(([name, type]) => [`my_${name}`, type]);
  assert.equal(types, Object.fromEntries(expected));
  for (const [name] of expected) assert.ok(help[name].length > 5, name);
  // Calls that fail are not counted.
  for (const name of ["send_seconds", "recv_seconds"]) assert.match(help[`my_${name}`], "success");
});

test("a network that did nothing has every series, at zero", async ({ registry }) => {
  Publisher.attach(registry, PREFIX, new FakeNetwork());
  const { values } = await scrape(registry);
  for (const kind of ["retries", "timeouts", "cancellations"]) {
    for (const operation of ["send", "recv", "accept", "connect"]) {
      assert.is(values[`${PREFIX}${kind}_total{operation="${operation}"}`], 0);
    }
  }
  assert.is(values[`${PREFIX}buffer_pool_available{size_class="128"}`], 2);
  for (const [name, value] of Object.entries(values)) {
    if (!name.includes("buffer_pool_available")) assert.is(value, 0, name);
  }
});

test("each count appears under its own name", async ({ registry }) => {
  const network = new FakeNetwork();
  const indexes: [keyof typeof COUNT, string][] = [
    ["inboundConnections", "inbound_connections_total"],
    ["outboundConnections", "outbound_connections_total"],
    ["inboundBytes", "inbound_bytes_total"],
    ["outboundBytes", "outbound_bytes_total"],
    ["submissions", "ring_submissions_total"],
    ["completions", "ring_completions_total"],
    ["wakeups", "ring_wakeups_total"],
    ["spinHits", `ring_spins_total{result="hit"}`],
    ["spinMisses", `ring_spins_total{result="miss"}`],
    ["spinSeconds", "ring_spin_seconds_total"],
    ["overflows", "ring_overflows_total"],
    ["shortSends", "short_sends_total"],
    ["connections", "connections"],
  ];
  for (const kind of ["retries", "timeouts", "cancellations"]) {
    for (const operation of ["Send", "Recv", "Accept", "Connect"]) {
      const series = `${kind}_total{operation="${operation.toLowerCase()}"}`;
      indexes.push([`${kind}${operation}` as keyof typeof COUNT, series]);
    }
  }
  indexes.forEach(([name], index) => network.meter.counts[COUNT[name]] = 100 + index);
  network.sends = 5;
  network.receives = 7;
  network.enters = 11;
  Publisher.attach(registry, PREFIX, network);
  const { values } = await scrape(registry);
  indexes.forEach(([, series], index) => assert.is(values[PREFIX + series], 100 + index, series));
  assert.is(values[`${PREFIX}iouring_sender_pending_operations`], 5);
  assert.is(values[`${PREFIX}iouring_receiver_pending_operations`], 7);
  assert.is(values[`${PREFIX}ring_enters_total`], 11, "the ring's counts are brought up to date");
});

test("the pool's numbers have one series for each class", async ({ registry }) => {
  const { pool } = Object.assign(new FakeNetwork());
  const network = new FakeNetwork(pool);
  const held = [pool.alloc(100), pool.alloc(100), pool.alloc(100), pool.alloc(9_999)];
  Publisher.attach(registry, PREFIX, network);
  const { values } = await scrape(registry);
  const read = (name: string, size: number) =>
    values[`${PREFIX}buffer_pool_${name}{size_class="${size}"}`];
  const names = ["allocated", "available", "allocations_total", "exhausted_total"];
  assert.equal(names.map((name) => read(name, 128)), [2, 0, 2, 1]);
  assert.equal(names.map((name) => read(name, 256)), [0, 2, 0, 0]);
  assert.is(values[`${PREFIX}buffer_pool_oversized_total`], 1);
  assert.is(values[`${PREFIX}buffer_pool_leaked_total`], 0);
  for (const buffer of held) buffer.release();
});

test("nothing is read before a scrape", async ({ registry }) => {
  const network = new FakeNetwork();
  Publisher.attach(registry, PREFIX, network);
  assert.is(network.refreshes, 0);
  await scrape(registry);
  assert.ok(network.refreshes > 0);
});

test("histograms are cumulative and end at +Inf with the count", async ({ registry }) => {
  const network = new FakeNetwork();
  for (const value of [1, 1, 2, 3, 32, 33, 5_000]) network.meter.sendIovecs.observe(value);
  network.meter.sendSeconds.observe(0.00001);
  network.meter.sendSeconds.observe(99);
  Publisher.attach(registry, PREFIX, network);
  const { values } = await scrape(registry);
  const bucket = (le: string) => values[`${PREFIX}send_iovecs_bucket{le="${le}"}`];
  assert.equal(
    ["1", "2", "4", "8", "16", "32", "+Inf"].map(bucket),
    [2, 3, 4, 4, 4, 5, 7],
  );
  assert.is(values[`${PREFIX}send_iovecs_sum`], 5_072);
  assert.is(values[`${PREFIX}send_iovecs_count`], 7);
  for (const name of ["ring_batch_size", "send_iovecs", "send_seconds", "recv_seconds"]) {
    const buckets = Object.entries(values).filter(([key]) => key.startsWith(`${PREFIX}${name}_b`));
    const bounds = buckets.map(([key]) => (/le="([^"]+)"/.exec(key) as RegExpExecArray)[1]);
    assert.is(bounds.at(-1), "+Inf");
    const numbers = bounds.slice(0, -1).map(Number);
    assert.equal(numbers, [...numbers].sort((a, b) => a - b), name);
    const counts = buckets.map(([, value]) => value);
    assert.equal(counts, [...counts].sort((a, b) => a - b), name);
    assert.is(counts.at(-1), values[`${PREFIX}${name}_count`]);
  }
  assert.is(values[`${PREFIX}send_seconds_bucket{le="0.00001"}`], 1, "bounds are plain numbers");
});

test("two networks on one registry add up", async ({ registry }) => {
  const first = new FakeNetwork().count("inboundBytes", 10).count("retriesRecv", 1);
  const second = new FakeNetwork().count("inboundBytes", 5).count("retriesRecv", 2);
  first.sends = 3;
  second.sends = 4;
  first.meter.recvSeconds.observe(0.2);
  second.meter.recvSeconds.observe(7);
  const buffer = second.pool.alloc(1);
  Publisher.attach(registry, PREFIX, first);
  Publisher.attach(registry, PREFIX, second);
  const { values } = await scrape(registry);
  assert.is(values[`${PREFIX}inbound_bytes_total`], 15);
  assert.is(values[`${PREFIX}retries_total{operation="recv"}`], 3);
  assert.is(values[`${PREFIX}iouring_sender_pending_operations`], 7);
  assert.is(values[`${PREFIX}buffer_pool_allocated{size_class="128"}`], 1);
  assert.is(values[`${PREFIX}buffer_pool_available{size_class="128"}`], 3);
  assert.is(values[`${PREFIX}recv_seconds_count`], 2);
  assert.is(values[`${PREFIX}recv_seconds_sum`], 7.2);
  buffer.release();
});

test("a pool that two networks share counts once", async ({ registry }) => {
  const pool = newPool();
  const buffer = pool.alloc(1);
  Publisher.attach(registry, PREFIX, new FakeNetwork(pool));
  Publisher.attach(registry, PREFIX, new FakeNetwork(pool));
  const { values } = await scrape(registry);
  assert.is(values[`${PREFIX}buffer_pool_allocated{size_class="128"}`], 1);
  assert.is(values[`${PREFIX}buffer_pool_allocations_total{size_class="128"}`], 1);
  assert.is(values[`${PREFIX}buffer_pool_available{size_class="128"}`], 1);
  buffer.release();
});

test("registering the same network twice on one registry is harmless", async ({ registry }) => {
  const network = new FakeNetwork().count("inboundBytes", 10);
  Publisher.attach(registry, PREFIX, network);
  Publisher.attach(registry, PREFIX, network);
  const { values, types } = await scrape(registry);
  assert.is(values[`${PREFIX}inbound_bytes_total`], 10);
  assert.is(Object.keys(types).length, Object.keys(DOCUMENTED).length);
});

test("prefixes and registries are apart from each other", async ({ client, registry }) => {
  const other = new client.Registry();
  Publisher.attach(registry, "a_", new FakeNetwork().count("inboundBytes", 1));
  Publisher.attach(registry, "b_", new FakeNetwork().count("inboundBytes", 2));
  Publisher.attach(other, "a_", new FakeNetwork().count("inboundBytes", 4));
  const { values } = await scrape(registry);
  assert.equal([values["a_inbound_bytes_total"], values["b_inbound_bytes_total"]], [1, 2]);
  assert.is((await scrape(other)).values["a_inbound_bytes_total"], 4);
});

test("closing the last network unregisters all of ours", async ({ client, registry }) => {
  const own = new client.Gauge({ name: "own", help: "the user's", registers: [registry] });
  own.set(1);
  const detach = [new FakeNetwork(), new FakeNetwork()].map((network) =>
    Publisher.attach(registry, PREFIX, network)
  );
  detach[0]();
  assert.ok(`${PREFIX}connections` in (await scrape(registry)).types);
  detach[1]();
  assert.equal((await scrape(registry)).types, { own: "gauge" });
});

test("a network after the last one closed starts from zero", async ({ registry }) => {
  Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 5))();
  const detach = Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 2));
  assert.is((await scrape(registry)).values[`${PREFIX}inbound_bytes_total`], 2);
  detach();
});

test("detaching twice is harmless, also for the networks that came after", async ({ registry }) => {
  const first = Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 5));
  const second = Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 1));
  first();
  first();
  assert.is((await scrape(registry)).values[`${PREFIX}inbound_bytes_total`], 6);
  second();
  const third = Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 2));
  second();
  assert.is((await scrape(registry)).values[`${PREFIX}inbound_bytes_total`], 2);
  third();
});

test("counters and histograms never go back while one network remains", async ({ registry }) => {
  const pool = newPool();
  const networks = [new FakeNetwork(), new FakeNetwork(pool), new FakeNetwork(pool)];
  networks.forEach((network, index) => {
    for (let i = 0; i < COUNT.length; i++) network.meter.counts[i] = 10 ** index;
    network.enters = 10 ** index;
    network.meter.batchSize.observe(3 ** index);
    network.sends = network.receives = 1;
  });
  networks[0].pool.alloc(100).release();
  pool.alloc(100).release();
  for (const each of [networks[0].pool, pool]) each.alloc(9_999).release();
  const detach = networks.map((network) => Publisher.attach(registry, PREFIX, network));
  let before = await scrape(registry);
  for (const close of detach.slice(0, 2)) {
    close();
    const after = await scrape(registry);
    for (const [series, value] of Object.entries(before.values)) {
      const name = series.replace(/\{.*/, "").replace(/_(bucket|sum|count)$/, "");
      if (after.types[name] === "gauge") continue;
      assert.is(after.values[series], value, series);
    }
    before = after;
  }
  assert.is(before.values[`${PREFIX}iouring_sender_pending_operations`], 1, "gauges are of today");
  assert.is(before.values[`${PREFIX}buffer_pool_available{size_class="128"}`], 2);
});

test("a pool that gets a second network is not counted twice", async ({ registry }) => {
  const series = `${PREFIX}buffer_pool_allocations_total{size_class="128"}`;
  const pool = newPool();
  pool.alloc(1).release();
  Publisher.attach(registry, PREFIX, new FakeNetwork());
  const detach = Publisher.attach(registry, PREFIX, new FakeNetwork(pool));
  assert.is((await scrape(registry)).values[series], 1);
  detach();
  pool.alloc(1).release();
  assert.is((await scrape(registry)).values[series], 1);
  const again = Publisher.attach(registry, PREFIX, new FakeNetwork(pool));
  assert.is((await scrape(registry)).values[series], 2);
  again();
  assert.is((await scrape(registry)).values[series], 2);
});

test("attach() that finds a name taken leaves nothing behind", async ({ client, registry }) => {
  const name = `${PREFIX}send_iovecs`;
  new client.Gauge({ name, help: "the user's", registers: [registry] });
  const attach = () => Publisher.attach(registry, PREFIX, new FakeNetwork());
  thrown(attach, Error, name);
  assert.equal((await scrape(registry)).types, { [name]: "gauge" });
  registry.removeSingleMetric(name);
  attach();
  assert.is((await scrape(registry)).types[name], "histogram");
});

test("after clear() of the registry the next network publishes all", async ({ registry }) => {
  const series = `${PREFIX}inbound_bytes_total`;
  const first = Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 5));
  registry.clear();
  const second = Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 2));
  const { types, values } = await scrape(registry);
  assert.is(Object.keys(types).length, Object.keys(DOCUMENTED).length);
  assert.is(values[series], 7);
  first();
  assert.is((await scrape(registry)).values[series], 7);
  second();
  assert.equal((await scrape(registry)).types, {});
});

test("a removed metric is registered again with the next network", async ({ registry }) => {
  Publisher.attach(registry, PREFIX, new FakeNetwork());
  registry.removeSingleMetric(`${PREFIX}send_iovecs`);
  Publisher.attach(registry, PREFIX, new FakeNetwork());
  assert.is(Object.keys((await scrape(registry)).types).length, Object.keys(DOCUMENTED).length);
});

test("after clear() in the OpenMetrics format names are as before", async ({ client }) => {
  const registry = new client.Registry();
  registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE as never);
  Publisher.attach(registry, PREFIX, new FakeNetwork());
  const { types } = await scrape(registry);
  registry.clear();
  Publisher.attach(registry, PREFIX, new FakeNetwork());
  assert.equal((await scrape(registry)).types, types);
});

test("a name taken after clear() is refused, and left alone", async ({ client, registry }) => {
  const name = `${PREFIX}send_iovecs`;
  const detach = Publisher.attach(registry, PREFIX, new FakeNetwork());
  registry.clear();
  new client.Gauge({ name, help: "the user's", registers: [registry] });
  thrown(() => Publisher.attach(registry, PREFIX, new FakeNetwork()), Error, name);
  assert.equal((await scrape(registry)).types, { [name]: "gauge" });
  detach();
  assert.equal((await scrape(registry)).types, { [name]: "gauge" });
});

test("resetMetrics() of the registry leaves our counts alone", async ({ registry }) => {
  Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 5));
  registry.resetMetrics();
  assert.is((await scrape(registry)).values[`${PREFIX}inbound_bytes_total`], 5);
});

test("default labels of the registry are added", async ({ registry }) => {
  registry.setDefaultLabels({ app: "x" });
  Publisher.attach(registry, PREFIX, new FakeNetwork().count("retriesSend", 5));
  const { values } = await scrape(registry);
  assert.is(values[`${PREFIX}retries_total{operation="send",app="x"}`], 5);
});

test("the OpenMetrics format has each counter's suffix once", async ({ client }) => {
  const registry = new client.Registry();
  registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE as never);
  const network = new FakeNetwork().count("inboundBytes", 5);
  const detach = Publisher.attach(registry, PREFIX, network);
  for (let round = 0; round < 2; round++) {
    const { types, values } = await scrape(registry);
    assert.is(types[`${PREFIX}inbound_bytes`], "counter");
    assert.is(values[`${PREFIX}inbound_bytes_total`], 5);
    assert.is(types[`${PREFIX}send_iovecs`], "histogram");
    assert.is(values[`${PREFIX}send_iovecs_count`], 0);
  }
  detach();
  assert.is(await registry.metrics(), "\n# EOF\n");
});

test("getMetricsAsJSON() gives the same values", async ({ registry }) => {
  Publisher.attach(registry, PREFIX, new FakeNetwork().count("inboundBytes", 5));
  const metrics = await registry.getMetricsAsJSON() as unknown as {
    name: string;
    type: string;
    values: { value: number }[];
  }[];
  const found = metrics.find((metric) => metric.name === `${PREFIX}inbound_bytes_total`);
  assert.is(found?.type, "counter");
  assert.is(found?.values[0].value, 5);
});

test("a registry that can only register is enough", () => {
  const names: string[] = [];
  const registry: MetricsRegistry = { registerMetric: ({ name }) => void names.push(name) };
  const detach = Publisher.attach(registry, PREFIX, new FakeNetwork());
  Publisher.attach(registry, PREFIX, new FakeNetwork())();
  detach();
  assert.equal(names, Object.keys(DOCUMENTED).map((name) => PREFIX + name));
});

test("a registry that throws when a network closes is reported", () => {
  const standing = new Map<string, unknown>();
  let refuses = true;
  const registry: MetricsRegistry = {
    registerMetric: (metric) => void standing.set(metric.name, metric),
    removeSingleMetric(name) {
      if (refuses && name.includes("pool")) throw new Error(`keeps ${name}`);
      standing.delete(name);
    },
  };
  const refused: string[] = [];
  const note = (error: unknown) => void refused.push((error as Error).message);
  const detach = Publisher.attach(registry, PREFIX, new FakeNetwork(), note);
  detach();
  assert.ok(refused.length > 0);
  assert.equal(refused, [...standing.keys()].map((name) => `keeps ${name}`));
  detach();
  refuses = false;
  // The next network has metrics of its own.
  Publisher.attach(registry, PREFIX, new FakeNetwork(), note)();
  assert.is(standing.size, 0);
});

test("the error of registerMetric is not hidden by those of removing metrics", () => {
  let count = 0;
  const registry: MetricsRegistry = {
    registerMetric() {
      if (++count === 3) throw new Error("the third is refused");
    },
    removeSingleMetric() {
      throw new Error("nothing is taken off");
    },
  };
  const attach = () => Publisher.attach(registry, PREFIX, new FakeNetwork());
  thrown(attach, Error, "the third is refused");
});

test.run();
