/**
 * Two workers of `node:cluster` listen on one port; the primary asks both of them.
 *
 * @module
 */
import cluster from "node:cluster";
import { once } from "node:events";
import process from "node:process";
import net from "../../../src/adapters/net.ts";

const WORKER_COUNT = 2;
const QUESTION_COUNT = 8;

async function primary(): Promise<void> {
  // A port that is free: bound by none of the workers yet.
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  const workers = Array.from({ length: WORKER_COUNT }, () => cluster.fork({ WORKER_PORT: port }));
  await Promise.all(workers.map((worker) => once(worker, "message")));
  let answers = 0;
  for (let i = 0; i < QUESTION_COUNT; i++) {
    const client = net.connect(port, "127.0.0.1");
    for await (const chunk of client) answers += String(chunk) === "hello" ? 1 : 0;
  }
  console.log(`${workers.length} workers listen, ${answers} answers`);
  for (const worker of workers) worker.process.kill();
  process.exit(0);
}

function worker(): void {
  const server = net.createServer((socket) => socket.end("hello"));
  server.listen(Number(process.env.WORKER_PORT), "127.0.0.1", () => process.send?.("listening"));
}

if (cluster.isPrimary) await primary();
else worker();
