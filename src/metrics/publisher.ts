/**
 * Publishes networks on a prom-client registry, when it is scraped and not before.
 *
 * One set of metrics serves all networks that share a registry and a prefix: gauges add up what is
 * open, counters also keep what closed networks had counted, so that they never go back.
 *
 *   scrape -> registry -> metric.get() -> reads the typed arrays of every network
 *
 * The registry is the user's, and any of its methods may throw. While a network starts that is an
 * error of the start; when it closes, the rest is taken off all the same and the network is told.
 *
 * @module
 */
import type { Histogram } from "../base/histogram.ts";
import type { BufferPool } from "../buf/buffer_pool.ts";
import { type Definition, DEFINITIONS, type MetricSource, type Sample } from "./definitions.ts";

/** A prom-client `Registry`, or anything with its `registerMetric`. */
export interface Registry {
  // deno-lint-ignore no-explicit-any
  registerMetric(metric: any): void;
  removeSingleMetric?(name: string): void;
  /** Tells whether somebody has taken a metric off, as `clear` does with all. */
  getSingleMetric?(name: string): unknown;
}

interface HistogramTotal {
  bounds: ArrayLike<number>;
  buckets: Float64Array;
  sum: number;
}

interface MetricValue extends Sample {
  metricName?: string;
}

const publishers = new WeakMap<Registry, Map<string, Publisher>>();

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
  readonly #registry: Registry;
  readonly #prefix: string;
  readonly #sources = new Set<MetricSource>();
  /** What was registered, by its whole name. */
  readonly #metrics = new Map<string, unknown>();
  /** What closed networks had counted: by metric name, then by labels. */
  readonly #retired = new Map<string, Map<string, Sample>>();
  readonly #retiredHistograms = new Map<string, HistogramTotal>();
  /** The part of `#retired` that a pool without an open network counted: it may get one again. */
  readonly #retiredPools = new WeakMap<BufferPool, Map<string, Sample[]>>();

  private constructor(registry: Registry, prefix: string) {
    this.#registry = registry;
    this.#prefix = prefix;
  }

  /**
   * Adds a network. Returns how to take it away again; the last one unregisters the metrics. That
   * never throws: what the registry threw is passed to `refused`.
   */
  static attach(
    registry: Registry,
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

  /** Registers what is not there: all at first, and what was taken off meanwhile. */
  #register(): void {
    const added: string[] = [];
    try {
      for (const definition of DEFINITIONS) {
        const name = this.#prefix + definition.name;
        if (this.#stands(name)) continue;
        // prom-client asks a metric for its data with get() and resets it with reset(). For the
        // OpenMetrics format it takes the suffix off the names of counters, and adds it again.
        const get = () => this.#read(definition, metric.name);
        const metric = { name, type: definition.kind, get, reset() {}, aggregator: "sum" };
        this.#registry.registerMetric(metric);
        this.#metrics.set(name, metric);
        added.push(name);
      }
    } catch (error) {
      // The first error says more than those of a registry that does not take them off either.
      this.#unregister(added, () => {});
      throw error;
    }
  }

  /** Whether a metric of ours is on the registry; one that cannot tell has what it was given. */
  #stands(name: string): boolean {
    const metric = this.#metrics.get(name);
    const registry = this.#registry;
    if (metric === undefined || registry.getSingleMetric === undefined) return metric !== undefined;
    return registry.getSingleMetric(name) === metric;
  }

  #unregister(names: readonly string[], refused: (error: unknown) => void): void {
    for (const name of names) {
      try {
        if (this.#stands(name)) this.#registry.removeSingleMetric?.(name);
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
    // Networks may share a pool: its numbers count once.
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

/** Cumulative buckets, sum and count, as prom-client's own histograms report them. */
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
