/**
 * Unusual calls of `uringnet/net` and their outcome in Node: a connect on a socket that has a
 * connection, times that the kernel refuses, options that do not fit together.
 *
 * @module
 */
import { once } from "node:events";
import type * as node from "node:net";
import process from "node:process";
import { setImmediate } from "node:timers";
import net from "../../src/adapters/net.ts";
import { assert, suite } from "../harness.ts";

const test = suite("adapters/net limits", {}, { timeoutMs: 30_000 });

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

test("an attempt that fails inside of connect() is told after the tick of the call", async () => {
  const blockList = new net.BlockList();
  blockList.addAddress("127.0.0.1");
  // As node:http does: it hears of errors one tick after it has got the socket.
  const lookup = ((_host, _options, callback) => callback(null, "127.0.0.1", 4)) as NonNullable<
    node.TcpSocketConnectOpts["lookup"]
  >;
  const options = { port: 1, host: "name.test", autoSelectFamily: false, blockList, lookup };
  const socket = net.connect(options);
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
    process.nextTick(() => socket.once("error", resolve));
  });
  assert.is(error.code, "ERR_IP_BLOCKED");
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

test("the high-water mark of a server is checked, and a negative one is the default", async () => {
  const wrong = { highWaterMark: "x" } as unknown as node.ServerOpts;
  assert.throws(() => net.createServer(wrong), /"options.highWaterMark" property must be of type/);
  const target = await peers({ highWaterMark: -1 });
  const socket = net.connect(target.port, "127.0.0.1");
  await once(socket, "connect");
  socket.end("x");
  socket.resume();
  await once(socket, "close");
  assert.is(target.sockets[0].readableHighWaterMark, socket.readableHighWaterMark);
  await drained(target);
});

/** Connects to a server with `onread`, whose function gets each text. Ends with the socket. */
async function readInto(
  serve: (peer: node.Socket) => void,
  sizeBytes: number,
  take: (text: string, socket: node.Socket) => boolean,
  begin: (socket: node.Socket) => void = () => {},
): Promise<void> {
  const server = net.createServer(serve);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket: node.Socket = net.connect({
    port: (server.address() as node.AddressInfo).port,
    host: "127.0.0.1",
    onread: {
      buffer: new Uint8Array(sizeBytes),
      callback(count: number, bytes: Uint8Array): boolean {
        return take(new TextDecoder().decode(bytes.subarray(0, count)), socket);
      },
    },
  });
  begin(socket);
  await once(socket, "close");
  server.close();
  await once(server, "close");
}

test("onread delivers while something listens to 'readable'", async () => {
  let text = "";
  const take = (piece: string): boolean => {
    text += piece;
    return true;
  };
  const listen = (socket: node.Socket) => void socket.on("readable", () => {});
  await readInto((peer) => void peer.end("hello world"), 4, take, listen);
  assert.is(text, "hello world");
});

test("a callback of onread that resumes and then returns false loses no bytes", async () => {
  const serve = (peer: node.Socket): void => {
    peer.write("abcdef");
    peer.once("data", () => peer.end("ghijkl"));
  };
  let text = "";
  await readInto(serve, 4, (piece, socket) => {
    text += piece;
    if (text === "abcd") socket.write("more");
    socket.resume();
    setImmediate(() => socket.resume());
    return false;
  });
  assert.is(text, "abcdefghijkl");
});

test("a callback of onread that pauses stays paused when the call before has resumed", async () => {
  const told: string[] = [];
  await readInto((peer) => void peer.end("abcdef"), 2, (piece, socket) => {
    told.push(piece);
    if (told.length === 1) socket.pause().resume();
    if (told.length !== 2) return true;
    // Behind the tick in which the stream follows the call of resume().
    setImmediate(() => {
      told.push("resumed");
      socket.resume();
    });
    return false;
  });
  assert.equal(told, ["ab", "cd", "resumed", "ef"]);
});

test("a server that was closed by a listener of 'connection' emits no other one", async () => {
  let accepted = 0;
  const server = net.createServer((socket) => {
    accepted++;
    server.close();
    socket.destroy();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as node.AddressInfo;
  const clients = Array.from({ length: 6 }, () => net.connect(port, "127.0.0.1"));
  await Promise.all(clients.map((client) => {
    client.on("error", () => {}).resume();
    return new Promise((resolve) => client.once("close", resolve));
  }));
  assert.is(accepted, 1);
});

test("ipv6Only says nothing about a server of IPv4", async () => {
  const server = net.createServer();
  await once(server.listen({ port: 0, host: "127.0.0.1", ipv6Only: true }), "listening");
  server.close();
  await once(server, "close");
});

async function refusal(options: node.ListenOptions): Promise<unknown[]> {
  const server = net.createServer();
  const [error] = await once(server.listen(options), "error") as [NodeJS.ErrnoException & Place];
  return [error.code, error.errno, error.syscall, error.address, error.port];
}

test("the error of a name that does not exist is Node's", async () => {
  const host = "does-not-exist.invalid";
  for (const start of [() => net.connect(80, host), () => net.createServer().listen(0, host)]) {
    const [error] = await once(start(), "error") as [NodeJS.ErrnoException & { hostname: string }];
    assert.equal(
      [error.name, error.message, error.code, error.errno, error.syscall, error.hostname],
      ["Error", `getaddrinfo ENOTFOUND ${host}`, "ENOTFOUND", -3008, "getaddrinfo", host],
    );
  }
});

test("errors of arguments name them as Node does", () => {
  const call = (options: object) => () => new net.Socket(options);
  assert.throws(
    () => net.connect(65_536),
    /^Port should be >= 0 and < 65536\. Received type number/,
  );
  assert.throws(call({ fd: -1 }), /^The value of "fd" is out of range\. It must be >= 0/);
  assert.throws(call({ fd: 999 }), /^Unsupported fd type: UNKNOWN$/);
  const wrong = /^The "options\.keepAliveInitialDelay" property must be of type number\./;
  assert.throws(call({ keepAliveInitialDelay: "x" }), wrong);
  const options = 1 as unknown as node.ServerOpts;
  assert.throws(
    () => net.createServer(options),
    /^The "options" argument must be of type object\./,
  );
});

const ATTEMPTS = ["connectionAttempt", "connectionAttemptFailed"] as const;

async function attempts(options: node.NetConnectOpts): Promise<unknown[]> {
  const events: unknown[] = [];
  const socket = new net.Socket();
  for (const name of ATTEMPTS) {
    socket.on(name, (address, port, family) => void events.push([name, address, port, family]));
  }
  socket.connect(options);
  await once(socket, "error");
  return events;
}

test("attempts to connect to a path are reported", async () => {
  const path = "/nowhere/at/all.sock";
  const events = await attempts({ path });
  assert.equal(events, ATTEMPTS.map((name) => [name, path, undefined, undefined]));
});

const bindReason = process.env.URINGNET_BACKEND === "portable"
  ? "the portable backend reports a local end that cannot be bound as a failed connect"
  : null;

test.skipIf(bindReason, "a local end that cannot be bound is no failed attempt", async () => {
  const events = await attempts({ port: 1, host: "127.0.0.1", localAddress: "192.0.2.1" });
  assert.equal(events.filter((event) => (event as unknown[])[0] === ATTEMPTS[1]), []);
});

test("a destroyed socket has no local end; a fresh one closes without a value", async () => {
  const target = await peers();
  const socket = net.connect(target.port, "127.0.0.1");
  await once(socket, "connect");
  assert.is(socket.address() && socket.localAddress, "127.0.0.1");
  assert.is(socket.remoteAddress, "127.0.0.1");
  socket.destroy();
  assert.equal([socket.address(), socket.localAddress, socket.localPort], [
    {},
    undefined,
    undefined,
  ]);
  assert.is(socket.remoteAddress, "127.0.0.1");
  assert.equal(await once(socket, "close"), [false]);
  assert.equal(await once(new net.Socket().destroy(), "close"), []);
  await drained(target);
});

interface Place {
  address?: string;
  port?: number;
}

test("errors of listen on a path and on a descriptor are Node's", async () => {
  const path = "/nowhere/at/all.sock";
  assert.equal(await refusal({ path }), ["EACCES", -13, "listen", path, -1]);
  assert.equal(await refusal({ path: "/tmp" }), ["EADDRINUSE", -98, "listen", "/tmp", -1]);
});

const fdReason = process.env.URINGNET_BACKEND === "portable"
  ? "the portable backend adopts no descriptors"
  : null;

test.skipIf(fdReason, "what is no open socket is EINVAL as a descriptor", async () => {
  for (const fd of [999, 1.5, 2 ** 40]) {
    assert.equal(await refusal({ fd } as node.ListenOptions), [
      "EINVAL",
      -22,
      "listen",
      undefined,
      undefined,
    ]);
  }
});

test.run();
