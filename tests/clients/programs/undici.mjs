// undici: request, stream of 8 MiB, pipelining, keep-alive. By its path: by its bare name Bun has one
// of its own, over fetch.
import http from "node:http";
import { fileURLToPath } from "node:url";
import { address } from "./curl.mjs";
import { net, say } from "./lib.mjs";

const path = fileURLToPath(new URL("../node_modules/undici/index.js", import.meta.url));
const { Agent, Pool, request } = (await import(path)).default;
const server = http.createServer(async (asked, answer) => {
  let count = 0;
  for await (const chunk of asked) count += chunk.length;
  if (asked.url === "/large") answer.end("x".repeat(8 * 1024 * 1024));
  else answer.end(`${asked.method} ${asked.url} ${count}`);
});
const base = await address(server);

/** How undici is given a socket. */
function connect({ hostname, port }, callback) {
  const socket = net.connect({ host: hostname, port, noDelay: true }, () => callback(null, socket));
  socket.once("error", callback);
}

const options = net === null ? {} : { connect };
const dispatcher = new Agent(options);
const { statusCode, body } = await request(`${base}/a`, { dispatcher });
say(statusCode, await body.text());
const posted = await request(`${base}/b`, {
  dispatcher,
  method: "POST",
  body: "y".repeat(1_000_000),
});
say(await posted.body.text());
say((await (await request(`${base}/large`, { dispatcher })).body.text()).length);
const pool = new Pool(base, { ...options, connections: 4, pipelining: 4 });
const all = await Promise.all(
  Array.from(
    { length: 100 },
    (_, n) => pool.request({ path: `/${n}`, method: "GET" }).then((one) => one.body.text()),
  ),
);
say(all.length, all[99]);
await Promise.all([pool.close(), dispatcher.close()]);
server.close();
server.closeAllConnections();
