/**
 * `select 1` through pg: PROGRAM VARIANT PORT SECONDS. Sixteen clients, each with one query at a
 * time.
 *
 * @module
 */
import process from "node:process";
import { createRequire } from "node:module";
import { measure, sockets } from "./lib.mjs";

const require = createRequire(new URL("../../tests/clients/package.json", import.meta.url));
const pg = require("pg");
const net = await sockets();
const [port, seconds] = process.argv.slice(3).map(Number);
const idle = [];
for (let i = 0; i < 16; i++) {
  const options = { host: "127.0.0.1", port, user: "test", database: "postgres" };
  const client = new pg.Client({ ...options, stream: () => new net.Socket() });
  await client.connect();
  idle.push(client);
}
const all = [...idle];
await measure(seconds, idle.length, async () => {
  const client = idle.pop();
  await client.query("select 1");
  idle.push(client);
  return 1;
});
for (const client of all) await client.end();
process.exit(0);
