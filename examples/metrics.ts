// An echo server whose numbers Prometheus can scrape: http://127.0.0.1:9100/metrics
//
//   deno run --allow-ffi --allow-net examples/metrics.ts      bun examples/metrics.ts
//
// The registry is yours: a prom-client of any version, or anything with its registerMetric().
// With --once it scrapes itself and ends.
import { createServer } from "node:http";
import process from "node:process";
import { loadPromClient } from "../deps.ts";
import { Network, serve } from "../mod.ts";

const once = process.argv.includes("--once");
const { Registry } = await loadPromClient();
const registry = new Registry();
await using network = await Network.start({ registry, metricsPrefix: "echo_" });

/** The metrics cost nothing until this function reads them. */
const web = createServer(async (_request, response) => {
  response.setHeader("content-type", registry.contentType);
  response.end(await registry.metrics());
});
await new Promise<void>((resolve) => web.listen(once ? 0 : 9100, "127.0.0.1", resolve));

const listener = await network.bind(once ? "127.0.0.1:0" : "127.0.0.1:7003");
const server = serve(listener, async ({ stream, sink }) => {
  for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
});
if (once) await scrape();
await server.finished;

async function scrape(): Promise<void> {
  const client = await network.dial(listener.localAddress);
  await client.sink.send("counted");
  (await client.stream.recv(7)).release();
  await client.close();
  const { port } = web.address() as { port: number };
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const wanted = /^echo_(?:inbound_connections|inbound_bytes|outbound_bytes)_total .*$/gm;
  for (const [line] of text.matchAll(wanted)) console.log(line);
  web.close();
  void server.close();
}
