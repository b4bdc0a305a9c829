/**
 * `uringnet/net` as a module: what it exports, how its classes are called, and all the ways to
 * listen.
 *
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import type * as node from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import net, * as module from "../../src/adapters/net.ts";
import { assert, suite } from "../harness.ts";
import { type Certificate, certificate } from "./certificate.ts";

const test = suite("adapters/net module", {}, { timeoutMs: 60_000 });

/** See docs/PORTABLE.md: some options are errors there, and `listen` may complete later. */
const portable = process.env.URINGNET_BACKEND === "portable";

const builtin = (process as unknown as { getBuiltinModule(name: string): typeof node })
  .getBuiltinModule("node:net");

/** Members of Node's own parts, which each runtime has some of. */
const INTERNAL = /^_/;

function documented(names: Iterable<string>): string[] {
  return [...names].filter((name) => !INTERNAL.test(name)).sort();
}

function membersOf(prototype: object): string[] {
  return documented(Object.getOwnPropertyNames(prototype));
}

/** Also what a class inherits up to the stream or the emitter. */
function hasMember(prototype: object, name: string): boolean {
  return name in prototype;
}

async function closed(server: node.Server): Promise<void> {
  server.close();
  await once(server, "close");
}

/** One byte there and back. */
async function works(server: node.Server, target: node.NetConnectOpts): Promise<void> {
  server.once("connection", (socket: node.Socket) => socket.pipe(socket));
  const client = net.connect(target);
  client.write("x");
  const [data] = await once(client, "data");
  assert.is(String(data), "x");
  client.end();
  await once(client, "close");
}

test("default and named exports are those of the runtime's module", () => {
  assert.equal(documented(Object.keys(net)), documented(Object.keys(builtin)));
  const named = module as unknown as Record<string, unknown>;
  for (const name of Object.keys(net)) {
    assert.is(named[name], (net as unknown as Record<string, unknown>)[name], name);
  }
});

test("Socket and Server have every member of the runtime's", () => {
  for (const [ours, theirs] of [[net.Socket, builtin.Socket], [net.Server, builtin.Server]]) {
    const missing = membersOf(theirs.prototype).filter((name) =>
      name !== "getsockname" && !hasMember(ours.prototype, name)
    );
    assert.equal(missing, [], theirs.name);
    assert.is(ours.name, theirs.name);
  }
});

test("classes may be called without new, inherited from by class, and in the old way", () => {
  const { Socket, Server } = net as unknown as Record<string, (...args: unknown[]) => unknown>;
  assert.ok(Socket() instanceof net.Socket);
  assert.ok(Server() instanceof net.Server);
  class Modern extends net.Socket {}
  const modern = new Modern({ allowHalfOpen: true });
  assert.ok(modern instanceof Modern && modern instanceof net.Socket);
  assert.is(modern.allowHalfOpen, true);
  function Old(this: unknown) {
    Socket.call(this, { allowHalfOpen: true });
  }
  Object.setPrototypeOf(Old.prototype, net.Socket.prototype);
  const old = Reflect.construct(Old, []) as node.Socket;
  assert.ok(old instanceof net.Socket);
  assert.equal([old.allowHalfOpen, old.pending, old.readyState], [true, true, "open"]);
});

test("a _write of a subclass gets the bytes once that wait for the connection", async () => {
  const server = net.createServer((peer) => void peer.resume());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as node.AddressInfo;
  const seen: string[] = [];
  class Framed extends net.Socket {
    override _write(chunk: string, encoding: BufferEncoding, done: () => void): void {
      seen.push(chunk);
      super._write(`<${chunk}>`, encoding, done);
    }

    override _writev(chunks: { chunk: string; encoding: BufferEncoding }[], done: () => void) {
      for (const { chunk } of chunks) seen.push(chunk);
      super._writev?.(chunks.map((part) => ({ ...part, chunk: `<${part.chunk}>` })), done);
    }
  }
  const accepted = once(server, "connection");
  const single = new Framed().connect(port, "127.0.0.1");
  single.end("a");
  const corked = new Framed();
  corked.cork();
  corked.write("b");
  corked.write("c");
  corked.connect(port, "127.0.0.1").uncork();
  corked.end();
  await accepted;
  await Promise.all([once(single, "close"), once(corked, "close")]);
  await closed(server);
  assert.equal(seen, ["a", "b", "c"]);
  assert.equal([single.bytesWritten, corked.bytesWritten], [3, 6]);
});

test("wrong arguments get Node's errors at once", () => {
  const socket = new net.Socket();
  const wrong: [() => unknown, string, string][] = [
    [() => net.connect(70_000), "RangeError", "ERR_SOCKET_BAD_PORT"],
    [() => net.connect({} as never), "TypeError", "ERR_MISSING_ARGS"],
    [() => net.connect({ port: 80, localAddress: "x" }), "TypeError", "ERR_INVALID_IP_ADDRESS"],
    [() => net.connect({ port: 80, lookup: 1 as never }), "TypeError", "ERR_INVALID_ARG_TYPE"],
    [() => socket.setTimeout("1" as never), "TypeError", "ERR_INVALID_ARG_TYPE"],
    [() => socket.setTimeout(-1), "RangeError", "ERR_OUT_OF_RANGE"],
    [() => net.createServer().listen(-1), "RangeError", "ERR_SOCKET_BAD_PORT"],
    [() => net.createServer().listen({} as never), "TypeError", "ERR_INVALID_ARG_VALUE"],
    [
      () => net.createServer().listen({ port: 0, host: 5 as never }),
      "TypeError",
      "ERR_INVALID_ARG_TYPE",
    ],
    [() => net.createServer(1 as never), "TypeError", "ERR_INVALID_ARG_TYPE"],
    [() => new net.Socket({ fd: -1 }), "RangeError", "ERR_OUT_OF_RANGE"],
  ];
  for (const [call, name, code] of wrong) {
    const thrown = caught(call);
    assert.equal([thrown.name, thrown.code], [name, code]);
  }
});

function caught(call: () => unknown): NodeJS.ErrnoException {
  try {
    call();
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  throw new Error("nothing was thrown");
}

test("listen() by port, host, backlog, options, and by name", async () => {
  const forms: ((server: node.Server) => unknown)[] = [
    (server) => server.listen(),
    (server) => server.listen(0),
    (server) => server.listen("0"),
    (server) => server.listen(0, 5),
    (server) => server.listen(0, "127.0.0.1", 5),
    (server) => server.listen({ port: 0, host: "127.0.0.1", backlog: 5, exclusive: true }),
    (server) => server.listen({ port: 0, reusePort: true }),
    (server) => server.listen(0, "localhost"),
  ];
  for (const listen of forms) {
    const server = net.createServer();
    listen(server);
    await once(server, "listening");
    const { port } = server.address() as node.AddressInfo;
    await works(server, { port, host: "127.0.0.1" });
    await closed(server);
  }
});

test("listen() refuses a host that is no text, and then listens", async () => {
  for (const host of [5, true, [], {}, new String("127.0.0.1")]) {
    const server = net.createServer();
    const error = caught(() => server.listen({ port: 0, host: host as string }));
    assert.equal([error.name, error.code], ["TypeError", "ERR_INVALID_ARG_TYPE"]);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await closed(server);
  }
});

test("a write whose memory is gone when its turn comes fails alone", async () => {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as node.AddressInfo;
  const other = net.connect(port, "127.0.0.1");
  await once(other, "connect");
  for (const length of [10, 80_000]) {
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    const bytes = new Uint8Array(length);
    socket.cork();
    socket.write("before");
    const written = new Promise<unknown>((resolve) => socket.write(bytes, resolve));
    structuredClone(bytes, { transfer: [bytes.buffer] });
    const ended = new Promise((resolve) => socket.once("close", resolve));
    const error = new Promise((resolve) => socket.once("error", resolve));
    socket.uncork();
    assert.instance(await written, TypeError);
    assert.is(await error, await written);
    await ended;
    await new Promise<void>((resolve) => void other.write("still there", () => resolve()));
  }
  other.destroy();
  await closed(server);
});

/**
 * Servers for IPv4 and for IPv6 alone on one port. The kernel gives a port to both families, so a
 * port of IPv6 alone may belong to another process for IPv4.
 */
async function listenForEach(): Promise<{ four: node.Server; six: node.Server; port: number }> {
  for (let i = 0; i < 30; i++) {
    const four = net.createServer().listen(0, "127.0.0.1");
    await once(four, "listening");
    const { port } = four.address() as node.AddressInfo;
    const six = net.createServer();
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      six.once("error", resolve);
      six.listen({ port, host: "::", ipv6Only: true }, () => resolve(null));
    });
    if (error === null) return { four, six, port };
    assert.is(error.code, "EADDRINUSE");
    await closed(four);
  }
  throw new Error("every port was taken for IPv6");
}

test("listen() takes any number for a backlog", async () => {
  for (const backlog of [-1, 0, 0.5, 1.5, 1e10, Infinity, NaN]) {
    for (const args of [[{ port: 0, host: "127.0.0.1", backlog }], [0, "127.0.0.1", backlog]]) {
      const server = net.createServer();
      Reflect.apply(server.listen, server, args);
      await once(server, "listening");
      const { address, port } = server.address() as node.AddressInfo;
      await works(server, { port, host: address });
      await closed(server);
    }
  }
});

test("listen() without a host takes both families, and with ipv6Only one", async () => {
  const both = net.createServer().listen(0);
  await once(both, "listening");
  const { port, address } = both.address() as node.AddressInfo;
  assert.is(address, "::");
  await works(both, { port, host: "::1" });
  await works(both, { port, host: "127.0.0.1" });
  await closed(both);
  // Deno ignores `ipv6Only`, so the option is Unsupported there.
  if (portable && "Deno" in globalThis) return;
  const { four, six, port: sharedPort } = await listenForEach();
  await works(six, { port: sharedPort, host: "::1" });
  await works(four, { port: sharedPort, host: "127.0.0.1" });
  await closed(six);
  await closed(four);
});

test("listen() on a path, readable and writable for all, which is gone after close()", async () => {
  const folder = mkdtempSync(join(tmpdir(), "uringnet-net-"));
  try {
    for (const options of [{}, { readableAll: true, writableAll: true }]) {
      const path = join(folder, "socket");
      const server = net.createServer().listen({ path, ...options });
      if (portable && "readableAll" in options) {
        const [error] = await once(server, "error");
        assert.is(error.code, "EOPNOTSUPP");
        continue;
      }
      assert.is(server.address(), path);
      if ("readableAll" in options) assert.is(statSync(path).mode & 0o777, 0o766);
      await works(server, { path });
      await closed(server);
      while (existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("listen() with a signal closes the server when it is aborted", async () => {
  const controller = new AbortController();
  const server = net.createServer().listen({ port: 0, signal: controller.signal });
  await once(server, "listening");
  controller.abort();
  await once(server, "close");
  assert.is(server.listening, false);
});

test("a block list refuses peers of a server, and targets of a client", async () => {
  const blockList = new net.BlockList();
  blockList.addAddress("127.0.0.1");
  const server = net.createServer({ blockList }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as node.AddressInfo;
  const dropped = once(server, "drop");
  const peer = net.connect(port, "127.0.0.1").on("error", () => {}).resume();
  const [data] = await dropped as [node.DropArgument];
  assert.is(data?.remoteAddress, "127.0.0.1");
  if (!peer.destroyed) await once(peer, "close");
  const client = net.connect({ port, host: "127.0.0.1", blockList });
  const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) =>
    client.once("error", (error) => resolve([error]))
  );
  assert.is(error.code, "ERR_IP_BLOCKED");
  await closed(server);
});

test("channels of diagnostics_channel tell of sockets and of listening", async () => {
  const told: string[] = [];
  const listen = "tracing:net.server.listen";
  const names = ["net.client.socket", "net.server.socket"];
  names.push(`${listen}:asyncStart`, `${listen}:asyncEnd`, `${listen}:error`);
  const listeners = names.map((name) => (message: unknown) => {
    const { socket, server, options, error } = message as Record<string, never>;
    // On the portable backend, the runtime tells of its own sockets as well.
    const subject: object = socket ?? server;
    if (!(subject instanceof net.Socket || subject instanceof net.Server)) return;
    const state = socket ? socket["connecting"] : server["listening"];
    told.push([name.replace(listen, "listen"), state, Boolean(options), error?.["code"]].join(" "));
  });
  names.forEach((name, index) => diagnostics.subscribe(name, listeners[index]));
  const server = net.createServer((socket) => socket.end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as node.AddressInfo;
  await once(net.connect(port, "127.0.0.1").resume(), "close");
  const second = net.createServer();
  await new Promise((resolve) => second.listen(port, "127.0.0.1").once("error", resolve));
  await closed(server);
  names.forEach((name, index) => diagnostics.unsubscribe(name, listeners[index]));
  assert.equal(told, [
    "listen:asyncStart false true ",
    "listen:asyncEnd true false ",
    "net.client.socket false false ",
    "net.server.socket false false ",
    "listen:asyncStart false true ",
    "listen:error false false EADDRINUSE",
  ]);
});

test("localAddress and localPort are where a connection comes from", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as node.AddressInfo;
  const accepted = once(server, "connection");
  const client = net.connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
  const [peer] = await accepted as [node.Socket];
  assert.is(peer.remoteAddress, "127.0.0.2");
  client.destroy();
  peer.destroy();
  const taken = net.connect({ port, host: "127.0.0.1", localAddress: "192.0.2.1" });
  const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) =>
    taken.once("error", (error) => resolve([error]))
  );
  // The runtime binds and connects in one step.
  const failed = portable ? "connect" : "bind";
  assert.equal([error.syscall, error.code], [failed, "EADDRNOTAVAIL"]);
  await closed(server);
});

test("a handle has the members that programs use", async () => {
  const server = net.createServer((socket) => void socket.resume()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as node.AddressInfo;
  const client = net.connect(port, "127.0.0.1");
  const handle = (client as unknown as { _handle: Record<string, (...args: unknown[]) => number> })
    ._handle;
  assert.is(handle.fd as unknown as number, -1);
  await once(client, "connect");
  const fd = handle.fd as unknown as number;
  if (portable) assert.is(fd, -1);
  else assert.ok(fd > 2);
  const calls: unknown[][] = [];
  const original = handle.setNoDelay;
  handle.setNoDelay = function (...args) {
    calls.push(args);
    return original.apply(this, args);
  };
  client.setNoDelay().setNoDelay(true).setNoDelay(false);
  assert.equal(calls, [[true], [false]]);
  const name: Record<string, unknown> = {};
  handle.getpeername(name);
  assert.equal(name, { address: "127.0.0.1", family: "IPv4", port });
  const marked = client as unknown as {
    setTypeOfService(value: number): void;
    getTypeOfService(): number;
  };
  if (portable) assert.throws(() => marked.setTypeOfService(0x10), /EOPNOTSUPP/);
  else {
    marked.setTypeOfService(0x10);
    assert.is(marked.getTypeOfService(), 0x10);
  }
  client.destroy();
  assert.is((client as unknown as { _handle: unknown })._handle, null);
  await closed(server);
});

const noAdoption = portable ? "descriptors are Unsupported on the portable backend" : null;
const adopts = "a descriptor that is a socket is taken over, another one is the runtime's";
test.skipIf(noAdoption, adopts, async () => {
  const server = net.createServer((socket) => socket.end("hello")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as node.AddressInfo;
  const program = fileURLToPath(new URL("programs/descriptor.ts", import.meta.url));
  const deno = ["run", "-A", "--no-check", "--quiet", program];
  // The shell connects descriptor 3, which the program inherits.
  const script = `exec 3<>/dev/tcp/127.0.0.1/${port} && exec "$0" "$@"`;
  const args = ["-c", script, process.execPath, ..."Bun" in globalThis ? [program] : deno];
  const child = spawn("bash", args, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end("through a pipe");
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) output += chunk;
  assert.equal(output.trim().split("\n"), ["socket: hello", "pipe: through a pipe"]);
  await closed(server);
});

/** The number of bytes that the program `last_words.ts` sends before its process ends. */
async function lastWords(
  length: number,
  mode: "exits" | "throws" | "unrefs" | "answers",
): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as node.AddressInfo;
  const accepted = once(server, "connection");
  const program = fileURLToPath(new URL("programs/last_words.ts", import.meta.url));
  const deno = ["run", "-A", "--no-check", "--quiet", program];
  const start = "Bun" in globalThis ? [program] : deno;
  const args = [...start, String(port), String(length), mode];
  const child = spawn(process.execPath, args, { stdio: mode === "throws" ? "ignore" : "inherit" });
  const [peer] = await accepted as [node.Socket];
  let count = 0;
  peer.on("data", (chunk) => count += chunk.length).on("error", () => {});
  if (mode === "answers") peer.write("x");
  await once(peer, "close");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  await closed(server);
  return count;
}

test("a process that exits right after a write has sent it", async () => {
  for (const length of [5, 100_000]) assert.is(await lastWords(length, "exits"), length);
});

test("a process that ends by an uncaught error right after a write has sent it", async () => {
  for (const length of [5, 100_000]) assert.is(await lastWords(length, "throws"), length);
});

test("a process whose socket is unrefed ends once what it has written is sent", async () => {
  assert.is(await lastWords(8_000_000, "unrefs"), 8_000_000);
});

test("the bytes of a write leave before its callback runs", async () => {
  assert.is(await lastWords(5, "answers"), 5);
});

test("workers of node:cluster share a port", () => {
  const program = fileURLToPath(new URL("programs/workers.ts", import.meta.url));
  const deno = ["run", "-A", "--no-check", "--quiet", program];
  const args = "Bun" in globalThis ? [program] : deno;
  const output = execFileSync(process.execPath, args, { encoding: "utf8", timeout: 50_000 });
  assert.is(output.trim(), "2 workers listen, 8 answers");
});

interface Secured {
  server: node.Server;
  /** The socket of the client below TLS. */
  raw: node.Socket;
  client: tls.TLSSocket;
}

/** A client of TLS, over a socket to a server whose connections `upgrade` makes TLS sockets. */
async function secured(
  upgrade: (socket: node.Socket, identity: Certificate) => void,
): Promise<Secured> {
  const { key, cert } = certificate();
  const server = net.createServer((socket) => upgrade(socket, { key, cert })).listen(0);
  await once(server, "listening");
  const { port } = server.address() as node.AddressInfo;
  const raw = net.connect(port, "127.0.0.1");
  const client = tls.connect({ socket: raw, ca: cert, servername: "localhost" });
  return { server, raw, client };
}

test("node:tls serves and connects over its sockets", async () => {
  const { server, client } = await secured((socket, identity) => {
    const secure = tls.createServer(identity, (peer) => peer.pipe(peer));
    secure.emit("connection", socket);
  });
  client.write("x");
  const [data] = await once(client, "data");
  assert.equal([String(data), client.authorized], ["x", true]);
  client.destroy();
  await closed(server);
});

const hooked = "Bun" in globalThis ? null : "Deno has no hook: see uringnet/register";
test.skipIf(hooked, "listeners below node:tls get nothing, and may be removed", async () => {
  const { server, raw, client } = await secured((socket, identity) => {
    const peer = new tls.TLSSocket(socket, { isServer: true, ...identity });
    socket.removeAllListeners();
    peer.on("data", (chunk) => peer.write(chunk));
  });
  raw.on("data", (chunk: Uint8Array) => assert.unreachable(`${chunk.length} bytes below TLS`));
  client.write("x");
  const [data] = await once(client, "data");
  assert.is(String(data), "x");
  client.destroy();
  await closed(server);
});

test.skipIf(hooked, "node:tls destroys its socket before 'close' of the socket below", async () => {
  const told = Promise.withResolvers<boolean>();
  const { server, client } = await secured((socket, identity) => {
    const secure = tls.createServer(identity, (peer) => {
      peer.on("error", () => {});
      socket.on("close", () => told.resolve(peer.destroyed));
      socket.destroy();
    });
    secure.emit("connection", socket);
  });
  client.on("error", () => {});
  assert.is(await told.promise, true);
  client.destroy();
  await closed(server);
});

test.skipIf(hooked, "a writer over node:tls waits for a peer that does not read", async () => {
  const served: node.Socket[] = [];
  const { server, raw, client } = await secured((socket, identity) => {
    const secure = tls.createServer(identity, (peer) => void peer.pause());
    served.push(socket);
    secure.emit("connection", socket);
  });
  await once(client, "secureConnect");
  // Far more than the buffers of the kernel hold.
  const [chunk, chunksMax] = [new Uint8Array(256 * 1024), 400];
  let ended = 0;
  const write = (): void => {
    client.write(chunk, (error) => {
      if (error || ++ended === chunksMax) client.destroy();
      else write();
    });
  };
  write();
  for (let before = -1; before !== ended || ended === 0;) {
    before = ended;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(ended < chunksMax / 2, `${ended} of ${chunksMax} writes have ended`);
  assert.ok(raw.writableLength < 2 * chunk.length, `${raw.writableLength} bytes wait`);
  client.destroy();
  served[0]?.destroy();
  await closed(server);
});

test("an idle server or socket that is unreferenced lets the process end", () => {
  const program = fileURLToPath(new URL("programs/idle.ts", import.meta.url));
  const deno = ["run", "-A", "--no-check", "--quiet", program];
  const args = "Bun" in globalThis ? [program] : deno;
  const output = execFileSync(process.execPath, args, { encoding: "utf8", timeout: 50_000 });
  assert.is(output.trim(), "listening connected");
});

test.run();
