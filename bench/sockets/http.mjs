/**
 * "Hello world" of node:http: over `uringnet/net`, over `node:net` with `emit("connection")`, or
 * ("listen") with the runtime's own listener.
 *
 * @module
 */
import http from "node:http";
import { announce, sockets, variant } from "./lib.mjs";

const server = http.createServer((_, response) => response.end("hello world"));
if (variant === "listen") {
  announce(server);
} else {
  const net = await sockets();
  // An http.Server that never listened closes each connection after one answer in Deno.
  if ("Deno" in globalThis) server._handle = {};
  announce(net.createServer({ noDelay: true }, (socket) => server.emit("connection", socket)));
}
