/**
 * Bytes of an idle connection: PROGRAM VARIANT COUNT. The peer is a process of its own, so that
 * only one end counts.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { sockets } from "./lib.mjs";

const net = await sockets();
const count = Number(process.argv[3]);
const isDeno = "Deno" in globalThis;

function collect() {
  if (isDeno) globalThis.gc();
  else globalThis.Bun.gc(true);
}

/** Resident bytes that are not files', after the collector had its chances. */
async function residentBytes() {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1_024;
}

const held = [];
let wanted = Promise.withResolvers();
const server = net.createServer((socket) => {
  socket.on("data", () => {});
  socket.on("error", () => {});
  held.push(socket);
  if (held.length === wanted.count) wanted.resolve();
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", 4_096, resolve));

const peers = [];
/** Other processes connect so many times and hold what they have. */
async function connect(more) {
  wanted = Promise.withResolvers();
  wanted.count = held.length + more;
  const client = fileURLToPath(new URL("idle_client.mjs", import.meta.url));
  const flags = isDeno ? ["run", "-A", "--quiet", client] : [client];
  const args = [...flags, `${server.address().port}`, `${more}`];
  peers.push(spawn(process.execPath, args, { stdio: "ignore" }));
  await wanted.promise;
}

// The first ones pay for what all of them share.
await connect(200);
const before = await residentBytes();
await connect(count);
const after = await residentBytes();
console.log(JSON.stringify({ bytes: Math.round((after - before) / count) }));
for (const peer of peers) peer.kill("SIGKILL");
process.exit(0);
