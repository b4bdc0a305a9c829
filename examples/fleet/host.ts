// One host of the fleet: N processes on one port, which the service manager has bound.
//
//   host.ts PROCESSES AGENT METRICS    with the listening socket as descriptor 3
//
// SIGHUP replaces each process, one after the other. SIGTERM tells the balancer first, by the agent
// check, and ends the processes once the balancer sends nothing more. METRICS is a page with the
// numbers of all processes. On stdout stands what has happened: ready, replaced, drained.
import process from "node:process";
import { Network, serve } from "../../mod.ts";
import { Agent } from "./agent.ts";
import { MetricsPage } from "./metrics_page.ts";
import { Workers } from "./workers.ts";

const [processes = "2", agentAddress = "127.0.0.1:9101", metricsAddress = "127.0.0.1:9102"] =
  process.argv.slice(2);

const page = new MetricsPage();
const workers = new Workers((last) => page.keep(last));
await Promise.all(Array.from({ length: Number(processes) }, () => workers.start()));

const network = await Network.start();
const agent = new Agent();
serve(await network.bind(agentAddress), ({ sink }) => agent.answer(sink));
await page.listen(metricsAddress, () => workers.metrics());

// One after the other: a second signal waits for the end of the first one's work.
let work: Promise<void> = Promise.resolve();
const inTurn = (job: () => Promise<void>) => {
  work = work.then(job).catch((error) => {
    console.error(error);
    process.exit(1);
  });
};
process.on("SIGHUP", () =>
  inTurn(async () => {
    await workers.replaceAll();
    console.log(`replaced ${workers.processIds.join(" ")}`);
  }));
process.once("SIGTERM", () =>
  inTurn(async () => {
    await agent.drain();
    await workers.endAll();
    console.log("drained");
    await page.close();
    await network.close();
    process.exit(0);
  }));
console.log(`ready ${workers.processIds.join(" ")}`);
