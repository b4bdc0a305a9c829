// The numbers of all processes of a host on one page, by prom-client's aggregation.
//
// A process that has ended takes its counts with it, and sums would fall. So the counters and
// histograms of ended processes are kept; their gauges are gone with them.
import { createServer } from "node:http";
import { loadPromClient } from "../../deps.ts";

const { AggregatorRegistry } = await loadPromClient();
type Metrics = { type: string }[];

export class MetricsPage {
  #ended: Promise<object[]> = Promise.resolve([]);
  readonly #server = createServer();

  /** The last metrics of a process that ends. */
  keep(last: object[]): void {
    const counts = (last as Metrics).filter(({ type }) => type !== "gauge");
    this.#ended = this.#ended.then((ended) =>
      AggregatorRegistry.aggregate([ended, counts]).getMetricsAsJSON()
    );
  }

  async listen(address: string, collect: () => Promise<object[][]>): Promise<void> {
    const { hostname, port } = new URL(`http://${address}`);
    this.#server.on("request", async (_request, response) => {
      // In this order: a process that ends meanwhile is counted once.
      const ended = await this.#ended;
      const all = AggregatorRegistry.aggregate([ended, ...await collect()]);
      response.setHeader("content-type", all.contentType);
      response.end(await all.metrics());
    });
    await new Promise<void>((resolve) => this.#server.listen(Number(port), hostname, resolve));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
