/**
 * Two workers of `node:cluster` share a port, with a server of each kind. The primary waits until
 * both listen, asks them, and has a server of its own.
 *
 * @module
 */
import cluster from "node:cluster";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import process from "node:process";

const QUESTION_COUNT = 8;
const HOST = "127.0.0.1";
const MAKERS = {
  net: () => net.createServer((socket) => socket.end("worker")),
  http: () => http.createServer((_, response) => response.end("worker")),
};

async function freePort() {
  const probe = net.createServer().listen(0, HOST);
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

async function text(stream) {
  let all = "";
  for await (const chunk of stream) all += chunk;
  return all;
}

async function ask(kind, port) {
  if (kind === "net") return await text(net.connect(port, HOST));
  const [response] = await once(http.get({ port, host: HOST, agent: false }), "response");
  return await text(response);
}

async function primary() {
  for (const kind of Object.keys(MAKERS)) {
    const port = await freePort();
    const workers = [1, 2].map(() => cluster.fork({ SERVER_KIND: kind, SERVER_PORT: port }));
    const shared = await Promise.all(workers.map((worker) => once(worker, "listening")));
    console.log(kind, shared.every(([address]) => address.port === port));
    const answers = [];
    for (let i = 0; i < QUESTION_COUNT; i++) answers.push(await ask(kind, port));
    console.log(answers.join(" "));
    const own = http.createServer((_, response) => response.end("primary")).listen(0, HOST);
    await once(own, "listening");
    console.log(await ask("http", own.address().port));
    own.close();
    const ended = workers.map((worker) => once(worker, "exit"));
    for (const worker of workers) worker.process.kill();
    await Promise.all(ended);
  }
  process.exit(0);
}

if (cluster.isPrimary) await primary();
else MAKERS[process.env.SERVER_KIND]().listen(Number(process.env.SERVER_PORT), HOST);
