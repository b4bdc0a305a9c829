/**
 * The configuration of a network: checked once, frozen, without undefined fields.
 *
 * @module
 */
import { check, shown } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";
import { BufferPool } from "../../buf/buffer_pool.ts";
import {
  type BufferPoolConfig,
  type BufferPoolFields,
  resolvePoolConfig,
} from "../../buf/buffer_pool_config.ts";
import type { SpinConfig } from "../../ring/spinner.ts";

/** TCP keep-alive probing. Fields that are left out keep the values of the system. */
export interface KeepAlive {
  /**
   * Seconds without traffic before the first probe, 1 to 32,767.
   * @default {undefined}
   */
  idleSeconds?: number;
  /**
   * Seconds between probes, 1 to 32,767.
   * @default {undefined}
   */
  intervalSeconds?: number;
  /**
   * Unanswered probes until the connection counts as dead, 1 to 127.
   * @default {undefined}
   */
  count?: number;
}

/**
 * A prom-client `Registry`, or any object with its `registerMetric`.
 *
 * @example
 * ```ts
 * import { type MetricsRegistry, Network } from "@uringnet/uringnet";
 *
 * const metrics = new Map<string, { get(): unknown }>();
 * const registry: MetricsRegistry = {
 *   registerMetric: (metric) => void metrics.set(metric.name, metric),
 *   removeSingleMetric: (name) => void metrics.delete(name),
 * };
 * await using _network = await Network.start({ registry, metricsPrefix: "app_" });
 * console.log(metrics.has("app_connections")); // true
 * ```
 */
export interface MetricsRegistry {
  /**
   * Takes a metric. The library calls it when a network starts.
   *
   * @param metric An object with `name`, `type`, `get()`, `reset()` and `aggregator`.
   */
  // deno-lint-ignore no-explicit-any
  registerMetric(metric: any): void;
  /**
   * Removes a metric. The library calls it when the last network of the registry is closed. Without
   * this function, metrics stay.
   *
   * @param name The name of the metric, with its prefix.
   */
  removeSingleMetric?(name: string): void;
  /**
   * Finds a metric. With this function, a metric that the program has removed is registered again
   * when the next network starts.
   *
   * @param name The name of the metric, with its prefix.
   * @returns The metric, or undefined.
   */
  getSingleMetric?(name: string): unknown;
}

/** The rings of a network. Every field is optional. */
export interface RingConfig {
  /**
   * Entries of the submission queue, 1 to 32,768. Rounded up to a power of two, at least 8. Halved
   * and tried again when memory is short.
   * @default {256}
   */
  entries?: number;
  /**
   * Operations in flight for each direction, 1 to 1,048,576. Further calls wait in order. Each
   * waiting receive and accept counts.
   * @default {65_536}
   */
  maxInFlight?: number;
  /**
   * One ring for both directions, or one ring for each.
   * @default {"shared"}
   */
  topology?: "shared" | "split";
  /**
   * Lets a kernel thread submit: saves system calls, costs a core.
   * @default {false}
   */
  sqPoll?: boolean;
  /**
   * Busy polling. Refused, because the kernel allows no sockets on such rings.
   * @default {false}
   */
  ioPoll?: boolean;
  /**
   * Polling for completions before the thread sleeps. False turns polling off.
   * @default {{ budgetUs: 50, maxBudgetUs: 300, quickWakeUs: 150 }}
   */
  spin?: false | Partial<SpinConfig>;
}

/**
 * The configuration of {@link Network.start}. Every field is optional. Budgets are 1 to
 * 2,147,483,647 milliseconds, or null for none.
 *
 * @example
 * ```ts
 * import { Network, type NetworkConfig } from "@uringnet/uringnet";
 *
 * const config: NetworkConfig = {
 *   readTimeoutMs: 30_000,
 *   keepAlive: { idleSeconds: 60 },
 *   pool: { maxPerClass: 256 },
 * };
 * await using network = await Network.start(config);
 * console.log(network.pool.config.maxPerClass); // 256
 * ```
 */
export interface NetworkConfig {
  /**
   * TCP_NODELAY. Null leaves the default of the system.
   * @default {true}
   */
  tcpNoDelay?: boolean | null;
  /**
   * SO_LINGER in seconds, 0 to 32,767. With 0, `close` sends RST at once. Null leaves the default
   * of the system.
   * @default {null}
   */
  soLinger?: number | null;
  /**
   * Keep-alive probing on every connection. Null for none.
   * @default {null}
   */
  keepAlive?: KeepAlive | null;
  /**
   * The budget of a whole dial in milliseconds, name lookup included.
   * @default {10_000}
   */
  connectTimeoutMs?: number | null;
  /**
   * The budget of one whole receive call in milliseconds.
   * @default {null}
   */
  readTimeoutMs?: number | null;
  /**
   * The budget of one whole `send` or `flush` call in milliseconds.
   * @default {null}
   */
  writeTimeoutMs?: number | null;
  /**
   * How long `close` lets work in flight finish, in milliseconds. 0 for not at all, null for no
   * limit.
   * @default {5_000}
   */
  shutdownTimeoutMs?: number | null;
  /**
   * Bytes of one read buffer, 0 to 268,435,456. A stream has a read buffer only while it has data.
   * 0 turns buffering off.
   * @default {65_536}
   */
  readBufferSize?: number;
  /**
   * Bytes that each sink may gather, 0 to 268,435,456. Above 0, a small send resolves when it is
   * queued, and leaves at the end of the turn.
   * @default {0}
   */
  writeBufferSize?: number;
  /**
   * The rings.
   * @default {{}}
   */
  ring?: RingConfig;
  /**
   * A pool, which may serve several networks of one thread, or the size of a new one.
   * @default {BufferPoolConfig.forNetwork()}
   */
  pool?: BufferPool | BufferPoolConfig | BufferPoolFields;
  /**
   * Where the metrics of the network are registered.
   * @default {undefined}
   */
  registry?: MetricsRegistry;
  /**
   * The beginning of each metric's name: letters, digits, `_` and `:`, no digit first.
   * @default {"uringnet_"}
   */
  metricsPrefix?: string;
  /**
   * The carrier of the traffic. `"auto"` takes io_uring where it can be used, else `"portable"`,
   * which works over the runtime's own `node:net`. Where this field is `"auto"` or absent, the
   * environment variable `URINGNET_BACKEND` may name a backend.
   * @default {"auto"}
   */
  backend?: "auto" | "io_uring" | "portable";
  /**
   * Called when "auto" has chosen the portable backend, with the reason why io_uring cannot be used
   * and the remedy. Unless given, one line is written to stderr, once for each thread.
   * @default {undefined}
   */
  onFallback?: (reason: string) => void;
}

/**
 * The checked form of a configuration.
 * @internal
 */
export interface ResolvedConfig {
  readonly tcpNoDelay: boolean | null;
  readonly soLinger: number | null;
  readonly keepAlive: KeepAlive | null;
  readonly connectTimeoutMs: number | null;
  readonly readTimeoutMs: number | null;
  readonly writeTimeoutMs: number | null;
  readonly shutdownTimeoutMs: number | null;
  readonly readBufferSize: number;
  readonly writeBufferSize: number;
  readonly ring: {
    readonly entries: number;
    readonly maxInFlight: number;
    readonly topology: "shared" | "split";
    readonly sqPoll: boolean;
    readonly ioPoll: boolean;
    readonly spin: SpinConfig | null;
  };
  readonly pool: BufferPool | BufferPoolConfig;
  readonly registry: MetricsRegistry | null;
  readonly metricsPrefix: string;
  readonly backend: "auto" | "io_uring" | "portable";
  readonly onFallback: ((reason: string) => void) | null;
}

const KNOWN = [
  "tcpNoDelay",
  "soLinger",
  "keepAlive",
  "connectTimeoutMs",
  "readTimeoutMs",
  "writeTimeoutMs",
  "shutdownTimeoutMs",
  "readBufferSize",
  "writeBufferSize",
  "ring",
  "pool",
  "registry",
  "metricsPrefix",
  "backend",
  "onFallback",
];

/** The largest read or write buffer: a power of two, which any pool can have as a class. */
const BUFFER_SIZE_MAX = 1 << 28;
const LINGER_SECONDS_MAX = 32_767;
/** The ranges of the kernel: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT of tcp.h. */
const KEEP_ALIVE_MAX = { idleSeconds: 32_767, intervalSeconds: 32_767, count: 127 };
const SPIN_US_MAX = 10_000;

/** A default replaces only undefined: null has a meaning of its own, or is a wrong value. */
function or(value: unknown, fallback: unknown): unknown {
  return value === undefined ? fallback : value;
}

function budget(field: string, value: unknown, fallback: number | null): number | null {
  if (value === undefined) return fallback;
  return check.integerOrNull(field, value, 1, LIMITS.timeoutMsMax);
}

/**
 * Checks keep-alive settings. Null and false turn probing off. True keeps the values of the system.
 * @internal
 */
export function checkKeepAlive(field: string, value: unknown): KeepAlive | null {
  if (value === null || value === undefined || value === false) return null;
  if (value === true) return {};
  if (typeof value !== "object") check.fail(field, "a boolean or an object", value);
  const given = check.options(field, value, Object.keys(KEEP_ALIVE_MAX));
  const result: KeepAlive = {};
  for (const [name, max] of Object.entries(KEEP_ALIVE_MAX)) {
    const found = given[name];
    if (found === undefined) continue;
    result[name as keyof KeepAlive] = check.integer(`${field}.${name}`, found, 1, max);
  }
  return result;
}

function checkSpin(value: unknown): SpinConfig | null {
  if (value === false) return null;
  if (value === true) return checkSpin(undefined);
  const known = ["budgetUs", "maxBudgetUs", "quickWakeUs"];
  const given = check.options("ring.spin", value, known);
  const read = (name: string, fallback: number) =>
    check.integer(`ring.spin.${name}`, or(given[name], fallback), 0, SPIN_US_MAX);
  const budgetUs = read("budgetUs", 50);
  const maxBudgetUs = read("maxBudgetUs", Math.max(300, budgetUs));
  if (maxBudgetUs < budgetUs) {
    throw new RangeError(
      `Cannot use "ring.spin.maxBudgetUs": wanted at least budgetUs (${budgetUs}), ` +
        `given ${maxBudgetUs}`,
    );
  }
  return { budgetUs, maxBudgetUs, quickWakeUs: read("quickWakeUs", 150) };
}

function checkRing(value: unknown): ResolvedConfig["ring"] {
  const known = ["entries", "maxInFlight", "topology", "sqPoll", "ioPoll", "spin"];
  const given = check.options("ring", value, known);
  const entries = check.integer("ring.entries", or(given.entries, 256), 1, 32_768);
  return Object.freeze({
    entries: Math.max(8, 1 << (32 - Math.clz32(entries - 1))),
    maxInFlight: check.integer("ring.maxInFlight", or(given.maxInFlight, 65_536), 1, 1 << 20),
    topology: check.oneOf("ring.topology", or(given.topology, "shared"), ["shared", "split"]),
    sqPoll: check.boolean("ring.sqPoll", or(given.sqPoll, false)),
    ioPoll: check.boolean("ring.ioPoll", or(given.ioPoll, false)),
    spin: checkSpin(given.spin),
  });
}

function checkPool(value: unknown): BufferPool | BufferPoolConfig {
  if (value instanceof BufferPool) return value;
  return resolvePoolConfig(value as BufferPoolConfig | BufferPoolFields | undefined);
}

function checkRegistry(value: unknown): MetricsRegistry | null {
  if (value === undefined || value === null) return null;
  const register = typeof value === "object"
    ? intrinsics.optionOf(value, "registerMetric")
    : undefined;
  if (typeof register !== "function") {
    check.fail("registry", "an object with registerMetric()", value);
  }
  return value as MetricsRegistry;
}

function checkCallback(field: string, value: unknown): ((reason: string) => void) | null {
  if (value === undefined) return null;
  if (typeof value !== "function") check.fail(field, "a function", value);
  return value as (reason: string) => void;
}

function checkPrefix(value: unknown): string {
  const prefix = check.text("metricsPrefix", or(value, "uringnet_"));
  if (!/^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(prefix)) {
    const wanted = 'letters, digits, "_" and ":", no digit first';
    throw new RangeError(`Cannot use "metricsPrefix": wanted ${wanted}, given ${shown(prefix)}`);
  }
  return prefix;
}

/**
 * Checks every field. Throws a TypeError or RangeError that names the field, the range and the
 * value.
 * @internal
 */
export function resolveConfig(config: unknown): ResolvedConfig {
  const given = check.options("config", config, KNOWN);
  const noDelay = or(given.tcpNoDelay, true);
  const linger = or(given.soLinger, null);
  const size = (name: string, fallback: number) =>
    check.integer(name, or(given[name], fallback), 0, BUFFER_SIZE_MAX);
  return Object.freeze({
    tcpNoDelay: noDelay === null ? null : check.boolean("tcpNoDelay", noDelay),
    soLinger: check.integerOrNull("soLinger", linger, 0, LINGER_SECONDS_MAX),
    keepAlive: checkKeepAlive("keepAlive", given.keepAlive),
    connectTimeoutMs: budget("connectTimeoutMs", given.connectTimeoutMs, 10_000),
    readTimeoutMs: budget("readTimeoutMs", given.readTimeoutMs, null),
    writeTimeoutMs: budget("writeTimeoutMs", given.writeTimeoutMs, null),
    shutdownTimeoutMs: given.shutdownTimeoutMs === undefined
      ? 5_000
      : check.integerOrNull("shutdownTimeoutMs", given.shutdownTimeoutMs, 0, LIMITS.timeoutMsMax),
    readBufferSize: size("readBufferSize", 65_536),
    writeBufferSize: size("writeBufferSize", 0),
    ring: checkRing(given.ring),
    pool: checkPool(given.pool),
    registry: checkRegistry(given.registry),
    metricsPrefix: checkPrefix(given.metricsPrefix),
    backend: check.oneOf("backend", or(given.backend, "auto"), ["auto", "io_uring", "portable"]),
    onFallback: checkCallback("onFallback", given.onFallback),
  });
}
