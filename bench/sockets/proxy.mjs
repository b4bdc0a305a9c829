/**
 * A TCP proxy of two pipes: PROGRAM VARIANT PORT.
 *
 * @module
 */
import process from "node:process";
import { announce, sockets } from "./lib.mjs";

const net = await sockets();
const port = Number(process.argv[3]);
announce(net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const server = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  client.pipe(server).pipe(client);
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
}));
