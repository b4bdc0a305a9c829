/**
 * Echo of messages of 64 bytes by a server of ws: PROGRAM VARIANT.
 *
 * @module
 */
import http from "node:http";
import { createRequire } from "node:module";
import { announce, sockets } from "./lib.mjs";

const require = createRequire(new URL("../../tests/clients/package.json", import.meta.url));
// By its path: by its bare name Bun has one of its own.
const { WebSocketServer } = require("./node_modules/ws/index.js");
const net = await sockets();
const server = http.createServer();
if ("Deno" in globalThis) server._handle = {};
const echo = new WebSocketServer({ server });
echo.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
announce(net.createServer({ noDelay: true }, (socket) => server.emit("connection", socket)));
