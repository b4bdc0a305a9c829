/**
 * Pipelines of 100 SETs and GETs through ioredis: PROGRAM VARIANT PORT SECONDS.
 *
 * @module
 */
import process from "node:process";
import { createRequire } from "node:module";
import { measure, sockets } from "./lib.mjs";

const require = createRequire(new URL("../../tests/clients/package.json", import.meta.url));
const { Redis } = require("ioredis");
const net = await sockets();
const [port, seconds] = process.argv.slice(3).map(Number);

class Connector {
  connect() {
    this.stream = net.connect({ host: "127.0.0.1", port });
    return Promise.resolve(this.stream);
  }

  check() {
    return true;
  }

  disconnect() {
    this.stream.end();
  }
}

const client = new Redis({ Connector });
await measure(seconds, 1, async () => {
  const pipeline = client.pipeline();
  for (let i = 0; i < 50; i++) pipeline.set(`key${i}`, "value").get(`key${i}`);
  await pipeline.exec();
  return 100;
});
await client.quit();
process.exit(0);
