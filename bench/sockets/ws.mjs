/**
 * Echo of messages of 64 bytes by a server of ws: PROGRAM VARIANT.
 *
 * @module
 */
import http from "node:http";
import { WebSocketServer } from "../../tests/clients/node_modules/ws/wrapper.mjs";
import { announce, sockets } from "./lib.mjs";

const net = await sockets();
const server = http.createServer();
if ("Deno" in globalThis) server._handle = {};
const echo = new WebSocketServer({ server });
echo.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
announce(net.createServer({ noDelay: true }, (socket) => server.emit("connection", socket)));
