/**
 * Unusual calls of `uringnet/net` and their outcome in Node: a connect on a socket that has a
 * connection, times that the kernel refuses, options that do not fit together.
 *
 * @module
 */
import { once } from "node:events";
import type * as node from "node:net";
import net from "../../src/adapters/net.ts";
import { assert, suite } from "../harness.ts";

const test = suite("adapters/net limits", {}, { timeoutMs: 10_000 });

interface Peers {
  server: node.Server;
  port: number;
  sockets: node.Socket[];
}

async function peers(options: node.ServerOpts = {}): Promise<Peers> {
  const sockets: node.Socket[] = [];
  const server = net.createServer(options, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.resume();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { server, port: (server.address() as node.AddressInfo).port, sockets };
}

/** Closes the server, which waits until none of its connections is left. */
async function drained({ server }: Peers): Promise<void> {
  server.close();
  await once(server, "close");
}

test("connect on a socket that is connecting destroys the socket with EALREADY", async () => {
  const target = await peers();
  const socket = new net.Socket();
  socket.connect(target.port, "127.0.0.1");
  socket.connect(target.port, "127.0.0.1");
  const [error] = await once(socket, "error") as [NodeJS.ErrnoException];
  assert.equal([error.code, error.syscall, error.errno], ["EALREADY", "connect", -114]);
  await drained(target);
});

test("connect on a connected socket keeps the connection, and loses none", async () => {
  const [first, second] = [await peers(), await peers()];
  const socket = net.connect(first.port, "127.0.0.1");
  await once(socket, "connect");
  socket.connect(second.port, "127.0.0.1");
  assert.ok(socket.connecting);
  await once(socket, "connect");
  assert.is(socket.remotePort, first.port);
  socket.write("x");
  const [peer] = first.sockets;
  await once(peer, "data");
  socket.destroy();
  await Promise.all([drained(first), drained(second)]);
  assert.is(second.sockets.length, 0);
});

test("a keep-alive delay that the kernel refuses leaves the system's", async () => {
  const refusedMs = 40_000_000;
  const target = await peers({ keepAlive: true, keepAliveInitialDelay: refusedMs });
  const socket = net.connect({
    port: target.port,
    host: "127.0.0.1",
    keepAlive: true,
    keepAliveInitialDelay: refusedMs,
  });
  await once(socket, "connect");
  assert.is(socket.setKeepAlive(true, 1_000_000_000), socket);
  socket.end();
  socket.resume();
  await once(socket, "close");
  await drained(target);
});

test.run();
