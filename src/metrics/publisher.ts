/**
 * Publishes networks on a prom-client registry. The numbers are read when the registry is scraped,
 * and not before.
 *
 * One set of metrics serves all networks that share a registry and a prefix. A gauge is the sum
 * over the open networks. A counter also keeps the counts of closed networks, so that it never
 * decreases.
 *
 *   scrape -> registry -> metric.get() -> reads the typed arrays of every network
 *
 * The registry belongs to the program, and each of its methods may throw. An error while a network
 * starts is the error of the start. An error while a network closes goes to a callback, and the
 * other metrics are still removed.
 *
 * @module
 */
import type { Histogram } from "../base/histogram.ts";
import type { BufferPool } from "../buf/buffer_pool.ts";
import type { MetricsRegistry } from "../net/config/config.ts";
import { type Definition, DEFINITIONS, type MetricSource, type Sample } from "./definitions.ts";

interface HistogramTotal {
  bounds: ArrayLike<number>;
  buckets: Float64Array;
  sum: number;
}

interface MetricValue extends Sample {
  metricName?: string;
}

const publishers = new WeakMap<MetricsRegistry, Map<string, Publisher>>();

function addHistogram(total: HistogramTotal, histogram: Histogram): void {
  for (let i = 0; i < total.buckets.length; i++) total.buckets[i] += histogram.buckets[i];
  total.sum += histogram.sum;
}

function emptyHistogram(like: Histogram): HistogramTotal {
  return { bounds: like.bounds, buckets: new Float64Array(like.buckets.length), sum: 0 };
}

function labelKey(labels: Record<string, string>): string {
  return Object.values(labels).join("\0");
}

export class Publisher {
  readonly #registry: MetricsRegistry;
  readonly #prefix: string;
  readonly #sources = new Set<MetricSource>();
  /** The metrics that were registered, by their names with the prefix. */
  readonly #metrics = new Map<string, unknown>();
  /** The counts of closed networks, by metric name, then by labels. */
  readonly #retired = new Map<string, Map<string, Sample>>();
  readonly #retiredHistograms = new Map<string, HistogramTotal>();
  /**
   * The part of `#retired` that belongs to pools without an open network. Another network may use
   * such a pool later.
   */
  readonly #retiredPools = new WeakMap<BufferPool, Map<string, Sample[]>>();

  private constructor(registry: MetricsRegistry, prefix: string) {
    this.#registry = registry;
    this.#prefix = prefix;
  }

  /**
   * Adds a network. Returns a function that removes the network again. Removing the last network
   * unregisters the metrics. The function never throws: errors of the registry go to `refused`.
   */
  static attach(
    registry: MetricsRegistry,
    prefix: string,
    source: MetricSource,
    refused: (error: unknown) => void = () => {},
  ): () => void {
    const byPrefix = publishers.get(registry) ?? new Map<string, Publisher>();
    publishers.set(registry, byPrefix);
    const publisher = byPrefix.get(prefix) ?? new Publisher(registry, prefix);
    publisher.#register();
    byPrefix.set(prefix, publisher);
    publisher.#admit(source);
    return () => {
      if (!publisher.#sources.has(source)) return;
      publisher.#retire(source);
      if (publisher.#sources.size > 0) return;
      byPrefix.delete(prefix);
      publisher.#unregister([...publisher.#metrics.keys()], refused);
    };
  }

  /** Registers every metric that the registry does not have. */
  #register(): void {
    const added: string[] = [];
    try {
      for (const definition of DEFINITIONS) {
        const name = this.#prefix + definition.name;
        if (this.#isRegistered(name)) continue;
        // prom-client reads a metric with get() and resets it with reset(). For the OpenMetrics
        // format, prom-client removes the suffix of a counter's name, and adds it again.
        const get = () => this.#read(definition, metric.name);
        const metric = { name, type: definition.kind, get, reset() {}, aggregator: "sum" };
        this.#registry.registerMetric(metric);
        this.#metrics.set(name, metric);
        added.push(name);
      }
    } catch (error) {
      // The first error is the useful one. The registry may refuse the removal as well.
      this.#unregister(added, () => {});
      throw error;
    }
  }

  /**
   * Whether the registry has the metric of this publisher. A registry that cannot say is taken to
   * have every metric that it was given.
   */
  #isRegistered(name: string): boolean {
    const metric = this.#metrics.get(name);
    const registry = this.#registry;
    if (metric === undefined || registry.getSingleMetric === undefined) return metric !== undefined;
    return registry.getSingleMetric(name) === metric;
  }

  #unregister(names: readonly string[], refused: (error: unknown) => void): void {
    for (const name of names) {
      try {
        if (this.#isRegistered(name)) this.#registry.removeSingleMetric?.(name);
      } catch (error) {
        refused(error);
      }
      this.#metrics.delete(name);
    }
  }

  #read(definition: Definition, name: string) {
    for (const source of this.#sources) source.refresh();
    const values = definition.kind === "histogram"
      ? this.#histogramValues(definition, name)
      : this.#scalarValues(definition);
    return { name, help: definition.help, type: definition.kind, values, aggregator: "sum" };
  }

  #scalarValues(definition: Exclude<Definition, { kind: "histogram" }>): MetricValue[] {
    const totals = new Map<string, Sample>();
    const retired = this.#retired.get(definition.name);
    if (retired !== undefined) addSamples(totals, [...retired.values()]);
    // Networks may share a pool. The numbers of a pool count once.
    const pools = new Set<unknown>();
    for (const source of this.#sources) {
      if (definition.name.startsWith("buffer_pool_")) {
        if (pools.has(source.pool)) continue;
        pools.add(source.pool);
      }
      addSamples(totals, definition.read(source));
    }
    return [...totals.values()];
  }

  #histogramValues(
    definition: Extract<Definition, { kind: "histogram" }>,
    name: string,
  ): MetricValue[] {
    let total = this.#retiredHistograms.get(definition.name) ?? null;
    total = total === null ? null : { ...total, buckets: total.buckets.slice() };
    for (const source of this.#sources) {
      const histogram = definition.read(source);
      total ??= emptyHistogram(histogram);
      addHistogram(total, histogram);
    }
    return total === null ? [] : exposition(name, total);
  }

  #admit(source: MetricSource): void {
    this.#sources.add(source);
    const counted = this.#retiredPools.get(source.pool);
    if (counted === undefined) return;
    this.#retiredPools.delete(source.pool);
    for (const [name, samples] of counted) {
      const negative = samples.map(({ labels, value }) => ({ labels, value: -value }));
      addSamples(this.#retired.get(name) as Map<string, Sample>, negative);
    }
  }

  #retire(source: MetricSource): void {
    source.refresh();
    this.#sources.delete(source);
    const counted = new Map<string, Sample[]>();
    const poolOpen = [...this.#sources].some((other) => other.pool === source.pool);
    if (!poolOpen) this.#retiredPools.set(source.pool, counted);
    for (const definition of DEFINITIONS) {
      if (definition.kind === "histogram") {
        const histogram = definition.read(source);
        const total = this.#retiredHistograms.get(definition.name) ?? emptyHistogram(histogram);
        addHistogram(total, histogram);
        this.#retiredHistograms.set(definition.name, total);
      } else if (definition.kind === "counter") {
        const ofPool = definition.name.startsWith("buffer_pool_");
        if (ofPool && poolOpen) continue;
        const totals = this.#retired.get(definition.name) ?? new Map<string, Sample>();
        const samples = definition.read(source);
        addSamples(totals, samples);
        this.#retired.set(definition.name, totals);
        if (ofPool) counted.set(definition.name, samples);
      }
    }
  }
}

function addSamples(totals: Map<string, Sample>, samples: Sample[]): void {
  for (const { labels, value } of samples) {
    const key = labelKey(labels);
    const total = totals.get(key);
    if (total === undefined) totals.set(key, { labels, value });
    else total.value += value;
  }
}

/** Cumulative buckets, sum and count, in the form of prom-client's own histograms. */
function exposition(name: string, total: HistogramTotal): MetricValue[] {
  const values: MetricValue[] = [];
  let cumulative = 0;
  for (let i = 0; i < total.buckets.length; i++) {
    cumulative += total.buckets[i];
    const le = i < total.bounds.length ? String(total.bounds[i]) : "+Inf";
    values.push({ labels: { le }, value: cumulative, metricName: `${name}_bucket` });
  }
  values.push({ labels: {}, value: total.sum, metricName: `${name}_sum` });
  values.push({ labels: {}, value: cumulative, metricName: `${name}_count` });
  return values;
}
