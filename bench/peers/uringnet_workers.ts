/**
 * uringnet_workers.ts: an echo server of several threads on one port (`reusePort`), each with a
 * network of its own; the kernel shares connections out among them.
 *
 * Usage: bun uringnet_workers.ts PORT [--workers N]
 *        deno run --allow-ffi --allow-read uringnet_workers.ts PORT ...
 *
 * Port 0 picks a free one; `listening PORT` on stdout says which, when all listen.
 *
 * Limits: loopback only, 64 workers.
 */
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type Connection, Network } from "../../mod.ts";

const WORKERS_MAX = 64;

/** Runs a connection to its end; a peer that resets it is an end like another. */
async function run(connection: Connection): Promise<void> {
  const { stream, sink } = connection;
  try {
    for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
  } catch {
    // The connection is closed below, whatever ended it.
  }
  await connection.close();
}

/** Listens, says where, and serves without end. */
async function serve(port: number): Promise<void> {
  const network = await Network.start();
  const options = { backlog: 4_096, reusePort: true };
  const listener = await network.bind(`127.0.0.1:${port}`, options);
  parentPort?.postMessage("port" in listener.localAddress ? listener.localAddress.port : 0);
  for await (const connection of listener) run(connection);
}

/** Starts the workers one by one: the first one's port is everybody's. */
async function startWorkers(count: number, port: number): Promise<number> {
  let shared = port;
  for (let i = 0; i < count; i++) {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: shared });
    worker.on("error", (error) => {
      console.error(error);
      process.exit(1);
    });
    [shared] = await once(worker, "message") as [number];
  }
  return shared;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2),
    allowPositionals: true,
    options: {
      workers: { type: "string", default: "1" },
    },
  });
  const count = Number(values.workers);
  if (!(Number.isInteger(count) && count >= 1 && count <= WORKERS_MAX)) {
    throw new RangeError(`Cannot start "${values.workers}" workers: wanted 1 to ${WORKERS_MAX}`);
  }
  process.on("SIGTERM", () => process.exit(0));
  console.log(`listening ${await startWorkers(count, Number(positionals[0] ?? "0"))}`);
}

if (isMainThread) await main();
else await serve(workerData as number);
