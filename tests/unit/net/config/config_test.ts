import { openPool } from "../../../../src/buf/buffer_pool.ts";
import { BufferPoolConfig } from "../../../../src/buf/buffer_pool_config.ts";
import { resolveConfig } from "../../../../src/net/config/config.ts";
import { assert, suite } from "../../../harness.ts";
import { PlainSlabSource } from "../../../support/plain_slab_source.ts";
import { thrown } from "../../../support/thrown.ts";

const TIMEOUT_MAX = 2 ** 31 - 1;

/** Fields that take integers: their range, and whether null is one of their values. */
const INTEGERS: [field: string, min: number, max: number, nullable: boolean][] = [
  ["soLinger", 0, 32_767, true],
  ["connectTimeoutMs", 1, TIMEOUT_MAX, true],
  ["readTimeoutMs", 1, TIMEOUT_MAX, true],
  ["writeTimeoutMs", 1, TIMEOUT_MAX, true],
  ["shutdownTimeoutMs", 0, TIMEOUT_MAX, true],
  ["readBufferSize", 0, 2 ** 28, false],
  ["writeBufferSize", 0, 2 ** 28, false],
  ["ring.entries", 1, 32_768, false],
  ["ring.maxInFlight", 1, 2 ** 20, false],
  ["ring.spin.budgetUs", 0, 10_000, false],
  ["ring.spin.maxBudgetUs", 50, 10_000, false],
  ["ring.spin.quickWakeUs", 0, 10_000, false],
  ["keepAlive.idleSeconds", 1, 32_767, false],
  ["keepAlive.intervalSeconds", 1, 32_767, false],
  ["keepAlive.count", 1, 127, false],
];

const BOOLEANS = ["ring.sqPoll", "ring.ioPoll", "pool.prefill", "pool.debug"];

const CHOICES: [field: string, choices: string[]][] = [
  ["ring.topology", ["shared", "split"]],
  ["backend", ["auto", "io_uring", "portable"]],
];

/** A config with one field, given as a dotted name. */
function withField(field: string, value: unknown): Record<string, unknown> {
  const names = field.split(".");
  return names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as never;
}

/** The value of a dotted name. */
function fieldOf(config: unknown, field: string): unknown {
  return field.split(".").reduce((at, name) => (at as Record<string, unknown>)[name], config);
}

const test = suite("resolveConfig");

test("the defaults are those of the documentation", () => {
  const { pool, ...rest } = resolveConfig(undefined);
  assert.equal(rest, {
    tcpNoDelay: true,
    soLinger: null,
    keepAlive: null,
    connectTimeoutMs: 10_000,
    readTimeoutMs: null,
    writeTimeoutMs: null,
    shutdownTimeoutMs: 5_000,
    readBufferSize: 65_536,
    writeBufferSize: 0,
    ring: {
      entries: 256,
      maxInFlight: 65_536,
      topology: "shared",
      sqPoll: false,
      ioPoll: false,
      spin: { budgetUs: 50, maxBudgetUs: 300, quickWakeUs: 150 },
    },
    registry: null,
    metricsPrefix: "uringnet_",
    backend: "auto",
    onFallback: null,
  });
  assert.instance(pool, BufferPoolConfig);
  assert.equal({ ...pool }, { ...BufferPoolConfig.forNetwork() });
});

test("an empty config, empty parts and undefined fields mean the defaults", () => {
  const defaults = resolveConfig({});
  const fields = Object.fromEntries(Object.keys(defaults).map((name) => [name, undefined]));
  for (const given of [fields, { ring: {}, pool: {} }, { ring: { spin: {} } }]) {
    assert.equal(JSON.stringify(resolveConfig(given)), JSON.stringify(defaults));
  }
});

test("the resolved config is frozen", () => {
  const config = resolveConfig({});
  assert.ok(Object.isFrozen(config));
  assert.ok(Object.isFrozen(config.ring));
});

test("every integer field takes the ends of its range", () => {
  for (const [field, min, max, nullable] of INTEGERS) {
    if (field === "ring.entries") continue; // Rounded, see below.
    if (field !== "ring.spin.budgetUs") {
      for (const value of [min, max]) {
        assert.is(fieldOf(resolveConfig(withField(field, value)), field), value, field);
      }
    }
    if (nullable) assert.is(fieldOf(resolveConfig(withField(field, null)), field), null, field);
  }
});

test("every integer field refuses values out of range, fractions and NaN", () => {
  for (const [field, min, max] of INTEGERS) {
    for (const value of [min - 1, max + 1, min + 0.5, NaN, Infinity, -Infinity, -1]) {
      const { message } = thrown(() => resolveConfig(withField(field, value)), RangeError);
      assert.match(message, `Cannot use "${field}": wanted `);
      assert.match(message, `given ${value}`);
    }
  }
});

test("every integer field refuses a value that is not a number", () => {
  for (const [field, , , nullable] of INTEGERS) {
    for (const value of ["1", true, {}, [1], 1n, () => 1, ...nullable ? [] : [null]]) {
      const resolve = () => resolveConfig(withField(field, value));
      const { message } = thrown(resolve, TypeError, `Cannot use "${field}": wanted `);
      assert.match(message, field.startsWith("keepAlive") ? /given/ : /integer from/);
    }
  }
});

test("every switch takes true and false only", () => {
  for (const field of BOOLEANS) {
    for (const value of [true, false]) {
      assert.is(fieldOf(resolveConfig(withField(field, value)), field), value);
    }
    for (const value of [0, 1, "true", null, {}]) {
      const resolve = () => resolveConfig(withField(field, value));
      thrown(resolve, TypeError, `Cannot use "${field}": wanted true or false`);
    }
  }
});

test("tcpNoDelay takes null for the system's default", () => {
  for (const value of [true, false, null]) {
    assert.is(resolveConfig({ tcpNoDelay: value }).tcpNoDelay, value);
  }
  for (const value of [0, 1, "true", {}]) {
    thrown(() => resolveConfig({ tcpNoDelay: value }), TypeError, '"tcpNoDelay"');
  }
});

test("choices are checked and listed", () => {
  for (const [field, choices] of CHOICES) {
    for (const value of choices) {
      assert.is(fieldOf(resolveConfig(withField(field, value)), field), value);
    }
    const listed = choices.map((choice) => `"${choice}"`).join(" or ");
    thrown(() => resolveConfig(withField(field, "x")), RangeError, `wanted ${listed}, given "x"`);
    for (const value of [null, 1, true]) {
      thrown(() => resolveConfig(withField(field, value)), TypeError, `"${field}"`);
    }
  }
});

test("unknown fields are refused by name, at every level", () => {
  for (const field of ["tcpNodelay", "ring.entry", "ring.spin.budget", "pool.size"]) {
    const name = field.includes(".") ? field : `config.${field}`;
    thrown(() => resolveConfig(withField(field, 1)), TypeError, `Cannot use "${name}"`);
  }
  const wrong = () => resolveConfig({ keepAlive: { idle: 1 } });
  thrown(wrong, TypeError, 'Cannot use "keepAlive.idle"');
});

test("a config, and each part of it, must be an object", () => {
  for (const value of [null, 1, "a", true, []]) {
    thrown(() => resolveConfig(value), TypeError, 'Cannot use "config": wanted an object');
    thrown(() => resolveConfig({ ring: value }), TypeError, 'Cannot use "ring": wanted an object');
    thrown(() => resolveConfig({ pool: value }), TypeError, 'Cannot use "pool": wanted an object');
  }
  for (const value of [1, "a", []]) {
    const wanted = Array.isArray(value) ? "an object" : "a boolean or an object";
    const probing = () => resolveConfig({ keepAlive: value });
    thrown(probing, TypeError, `Cannot use "keepAlive": wanted ${wanted}`);
    thrown(() => resolveConfig({ ring: { spin: value } }), TypeError, 'Cannot use "ring.spin"');
  }
});

test("ring.entries is rounded up to a power of two, at least 8", () => {
  const cases = [[1, 8], [7, 8], [8, 8], [9, 16], [256, 256], [257, 512], [1_000, 1_024]];
  for (const [entries, rounded] of [...cases, [32_768, 32_768], [32_767, 32_768]]) {
    assert.is(resolveConfig({ ring: { entries } }).ring.entries, rounded, `${entries}`);
  }
});

test("ring.spin is turned off by false, and its bounds must agree", () => {
  assert.is(resolveConfig({ ring: { spin: false } }).ring.spin, null);
  assert.equal(resolveConfig({ ring: { spin: { budgetUs: 100 } } }).ring.spin, {
    budgetUs: 100,
    maxBudgetUs: 300,
    quickWakeUs: 150,
  });
  const large = resolveConfig({ ring: { spin: { budgetUs: 500 } } }).ring.spin;
  assert.is(large?.maxBudgetUs, 500, "a budget above the default maximum raises it");
  thrown(
    () => resolveConfig({ ring: { spin: { budgetUs: 100, maxBudgetUs: 99 } } }),
    RangeError,
    'Cannot use "ring.spin.maxBudgetUs": wanted at least budgetUs (100), given 99',
  );
});

test("keepAlive is off, on with the system's values, or on with some of its own", () => {
  for (const value of [null, false]) assert.is(resolveConfig({ keepAlive: value }).keepAlive, null);
  assert.equal(resolveConfig({ keepAlive: true }).keepAlive, {});
  assert.equal(resolveConfig({ keepAlive: { count: 3 } }).keepAlive, { count: 3 });
});

test("pool takes a pool, a config or its fields", () => {
  const pool = openPool({ maxPerClass: 1 }, new PlainSlabSource());
  assert.is(resolveConfig({ pool }).pool, pool);
  const poolConfig = BufferPoolConfig.forNetwork().withMaxPerClass(9);
  assert.is(resolveConfig({ pool: poolConfig }).pool, poolConfig);
  const fields = resolveConfig({ pool: { maxPerClass: 9 } }).pool as BufferPoolConfig;
  assert.is(fields.maxPerClass, 9);
});

test("registry takes anything with registerMetric()", () => {
  const registry = { registerMetric() {} };
  assert.is(resolveConfig({ registry }).registry, registry);
  for (const value of [{}, 1, "prom", { registerMetric: 1 }]) {
    thrown(() => resolveConfig({ registry: value }), TypeError, 'Cannot use "registry"');
  }
});

test("an error shortens a long metricsPrefix", () => {
  thrown(
    () => resolveConfig({ metricsPrefix: "-".repeat(1000) }),
    RangeError,
    `given "${"-".repeat(60)}..."`,
  );
});

test("metricsPrefix must make valid names", () => {
  for (const prefix of ["", "a_", "my:app_", "_x", "A1_"]) {
    assert.is(resolveConfig({ metricsPrefix: prefix }).metricsPrefix, prefix);
  }
  for (const prefix of ["1a", "a-b", "a b", "\u00e4_", "a\n"]) {
    thrown(
      () => resolveConfig({ metricsPrefix: prefix }),
      RangeError,
      'Cannot use "metricsPrefix": wanted letters, digits, "_" and ":", no digit first, given',
    );
  }
  for (const prefix of [1, null, {}]) {
    thrown(() => resolveConfig({ metricsPrefix: prefix }), TypeError, 'Cannot use "metricsPrefix"');
  }
});

test.run();
