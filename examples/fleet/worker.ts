// One process of a host: serves connections from the socket that all processes of the host share.
// host.ts starts it, with the listening socket as descriptor 3 and a channel for messages.
//
//   to host.ts:   { ready: true }, { metrics: [...] }, { last: [...] }
//   from host.ts: "metrics", "bye"; SIGTERM, or the end of the channel: finish and end
import process from "node:process";
import { loadPromClient } from "../../deps.ts";
import { Network, serve } from "../../mod.ts";
import { converse } from "./converse.ts";

const LISTENING = 3;

const { Counter, Registry } = await loadPromClient();
const registry = new Registry();
const requests = new Counter({
  name: "fleet_requests_total",
  help: "Requests answered, health checks left out",
  registers: [registry],
});
const network = await Network.start({ registry });
const server = serve(
  await network.adoptListener(LISTENING),
  (connection, { signal }) => converse(connection, signal, () => requests.inc()),
  {
    // Longer than the balancer keeps an idle connection, so that the balancer ends each of them.
    drainTimeoutMs: 30_000,
    onError(error) {
      // A balancer ends its health checks with a reset.
      if ((error as { errno?: string }).errno !== "ECONNRESET") console.error(error);
    },
  },
);

const send = (message: unknown) =>
  new Promise<void>((resolve) => process.send!(message, undefined, undefined, () => resolve()));

let ending = false;
let counted = false;
async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  await server.close();
  counted = true;
  // The answer is "bye": the process stays until its numbers are with the host.
  if (process.connected) await send({ last: await registry.getMetricsAsJSON() });
  await network.close();
}

process.once("SIGTERM", end);
process.once("disconnect", end);
process.on("message", async (message) => {
  if (message === "bye") process.disconnect!();
  if (message === "metrics" && !counted) await send({ metrics: await registry.getMetricsAsJSON() });
});
await send({ ready: true });
