// ws: a server above node:http, clients, a message of 4 MiB, ping, close codes. By its path: by its
// bare name Bun has one of its own.
import http from "node:http";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { address } from "./curl.mjs";
import { event, say, text } from "./lib.mjs";

const path = fileURLToPath(new URL("../node_modules/ws/wrapper.mjs", import.meta.url));
const { default: WebSocket, WebSocketServer } = await import(path);
const server = http.createServer();
const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
const base = (await address(server)).replace("http", "ws");
const client = new WebSocket(base);
await once(client, "open");
client.send("hello");
say(String((await once(client, "message"))[0]));
const large = text(4 * 1024 * 1024);
client.send(large);
say(String((await once(client, "message"))[0]) === large);
const pong = once(client, "pong");
client.ping();
await pong;
const clients = await Promise.all(
  Array.from({ length: 20 }, async (_, n) => {
    const one = new WebSocket(base);
    const received = [];
    const all = new Promise((resolve) =>
      one.on("message", (data) => received.push(String(data)) === 50 && resolve())
    );
    await once(one, "open");
    for (let count = 0; count < 50; count++) one.send(`${n}-${count}`);
    await all;
    one.close();
    return received.every((data, index) => data === `${n}-${index}`);
  }),
);
say(clients.every(Boolean));
const closed = event(client, "close");
client.close(4000, "done");
say(await closed);
sockets.close();
server.close();
server.closeAllConnections();
