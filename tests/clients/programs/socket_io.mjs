// socket.io, both ends: by polling, by WebSocket, and from one to the other; acknowledgements,
// binary messages, a room.
import { Buffer } from "node:buffer";
import http from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { address } from "./curl.mjs";
import { event, say, text } from "./lib.mjs";

const server = http.createServer();
const sockets = new Server(server);
sockets.on("connection", (socket) => {
  socket.on("length", (value, done) => done(value.length));
  socket.on("echo", (bytes, done) => done(bytes));
  socket.join("room");
});
const base = await address(server);
const bytes = Buffer.from(text(100_000));
for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  const client = io(base, { transports, forceNew: true });
  await event(client, "connect");
  const echoed = await client.emitWithAck("echo", bytes);
  const told = event(client, "news");
  sockets.to("room").emit("news", "for all");
  say(
    transports,
    await client.emitWithAck("length", "hello"),
    bytes.equals(Buffer.from(echoed)),
    await told,
  );
  const gone = event([...sockets.sockets.sockets.values()][0], "disconnect");
  client.disconnect();
  await gone;
}
await new Promise((resolve) => sockets.close(resolve));
say("ended");
