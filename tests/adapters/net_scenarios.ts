/**
 * The events on sockets and servers, as lines: the same program over any `node:net`.
 *
 * The lines that are expected are those of Node. Each scenario ends what it begins.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type * as node from "node:net";
import process, { nextTick } from "node:process";

export type Net = typeof node;

export interface Scenario {
  claim: string;
  play(net: Net, log: (line: string) => void): Promise<void>;
  expected: readonly string[];
  /** Why a runtime's own `node:net` tells something else. */
  differs?: { bun?: string; deno?: string };
  /** Why `uringnet/net` tells something else on the portable backend. */
  portable?: { bun?: string; deno?: string };
}

type Log = (line: string) => void;

function portOf(server: node.Server): number {
  return (server.address() as node.AddressInfo).port;
}

/** Logs events by name. */
function watch(
  emitter: node.Socket | node.Server,
  who: string,
  names: readonly string[],
  log: Log,
): void {
  for (const name of names) {
    emitter.on(name, (value?: unknown) => {
      if (value instanceof Error) log(`${who} ${name} ${(value as NodeJS.ErrnoException).code}`);
      else if (typeof value === "boolean") log(`${who} ${name} ${value}`);
      else log(`${who} ${name}`);
    });
  }
}

const ONE_CHUNK = "read() returns one chunk, and no event tells of the others";

const ENDINGS = ["connect", "ready", "end", "finish", "error", "close"];

async function listening(server: node.Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return portOf(server);
}

/** A look-up that finds the loopback interface of both families. */
function bothFamilies(): node.LookupFunction {
  const found = [{ address: "::1", family: 6 }, { address: "127.0.0.1", family: 4 }];
  const lookup = (_: string, __: unknown, done: (...args: unknown[]) => void) =>
    void setTimeout(() => done(null, found), 1);
  return lookup as unknown as node.LookupFunction;
}

function closed(emitter: node.Socket | node.Server): Promise<unknown> {
  return new Promise((resolve) => emitter.once("close", resolve));
}

/** A server with one connection, and both ends of it. */
async function pair(
  net: Net,
  options: node.ServerOpts = {},
  clientOptions: object = {},
): Promise<{ server: node.Server; client: node.Socket; peer: node.Socket }> {
  const server = net.createServer(options);
  const port = await listening(server);
  const accepted = once(server, "connection");
  const client = net.connect({ port, host: "127.0.0.1", ...clientOptions });
  await once(client, "connect");
  const [peer] = await accepted as [node.Socket];
  return { server, client, peer };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    claim: "end() of a client: its peer ends as well, and both close without an error",
    async play(net, log) {
      const server = net.createServer((peer) => {
        watch(peer, "peer", ["end", "finish", "close"], log);
        peer.resume();
      });
      const port = await listening(server);
      const client = net.connect(port, "127.0.0.1");
      const logged: string[] = [];
      watch(client, "client", ENDINGS, (line) => logged.push(line));
      client.resume();
      client.end("bye");
      await closed(client);
      server.close();
      await closed(server);
      for (const line of logged) log(line);
    },
    expected: [
      "peer end",
      "peer finish",
      "peer close false",
      "client connect",
      "client ready",
      "client finish",
      "client end",
      "client close false",
    ],
  },
  {
    claim: "destroy() calls the callback of each write that waits, before 'close'",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      peer.pause();
      let called = 0;
      const writeCount = 1_000;
      for (let i = 0; i < writeCount; i++) client.write(Buffer.alloc(60_000), () => void called++);
      await new Promise((resolve) => setTimeout(resolve, 50));
      log(`writes wait: ${called < writeCount}`);
      client.destroy();
      await closed(client);
      log(`all called: ${called === writeCount}`);
      peer.destroy();
      server.close();
      await closed(server);
    },
    expected: ["writes wait: true", "all called: true"],
  },
  {
    claim: "with allowHalfOpen a server answers behind the end of its client",
    async play(net, log) {
      const { server, client, peer } = await pair(net, { allowHalfOpen: true });
      let got = "";
      client.setEncoding("utf8").on("data", (text) => got += text);
      peer.on("end", () => {
        log(`peer writable ${peer.writable}`);
        peer.end("late answer");
      }).resume();
      client.end();
      await Promise.all([closed(client), closed(peer)]);
      log(got);
      server.close();
      await closed(server);
    },
    expected: ["peer writable true", "late answer"],
  },
  {
    claim: "a refused connect has code, errno, syscall, address and port, and closes with an error",
    async play(net, log) {
      const server = net.createServer();
      const port = await listening(server);
      server.close();
      await closed(server);
      const client = net.connect(port, "127.0.0.1");
      const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) =>
        client.once("error", (error) => resolve([error]))
      );
      const { code, errno, syscall } = error;
      const { address, port: errorPort } = error as unknown as { address: string; port: number };
      log([code, errno, syscall, address, errorPort === port].join(" "));
      log(error.message.replace(String(port), "PORT"));
      log(`close ${await closed(client)}`);
    },
    expected: [
      "ECONNREFUSED -111 connect 127.0.0.1 true",
      "connect ECONNREFUSED 127.0.0.1:PORT",
      "close true",
    ],
  },
  {
    claim: "a path where nothing is gives ENOENT with the path",
    async play(net, log) {
      const client = net.connect("/nowhere/at/all.sock");
      const [error] = await new Promise<[NodeJS.ErrnoException]>((resolve) =>
        client.once("error", (error) => resolve([error]))
      );
      log(`${error.message} ${error.errno} ${(error as { address?: string }).address}`);
      await closed(client);
    },
    expected: ["connect ENOENT /nowhere/at/all.sock -2 /nowhere/at/all.sock"],
  },
  {
    claim: "a port that is taken gives EADDRINUSE in the words of listen",
    async play(net, log) {
      const first = net.createServer();
      const port = await listening(first);
      const second = net.createServer();
      second.listen(port, "127.0.0.1");
      const [error] = await once(second, "error") as [NodeJS.ErrnoException];
      log(error.message.replace(String(port), "PORT"));
      log(`${error.code} ${error.errno} ${error.syscall} ${second.listening}`);
      first.close();
      await closed(first);
    },
    expected: [
      "listen EADDRINUSE: address already in use 127.0.0.1:PORT",
      "EADDRINUSE -98 listen false",
    ],
    differs: { bun: "the errno is positive in Bun" },
  },
  {
    claim: "address() answers as soon as listen() has returned, and not after close()",
    async play(net, log) {
      const server = net.createServer();
      log(String(server.address()));
      server.listen(0);
      const { address, port } = server.address() as node.AddressInfo;
      log(`${["::", "0.0.0.0"].includes(address)} ${port > 0} ${server.listening}`);
      await once(server, "listening");
      server.close();
      log(`${server.address()} ${server.listening}`);
      await closed(server);
    },
    expected: ["null", "true true true", "null false"],
    portable: { deno: "Deno binds in a later turn" },
  },
  {
    claim: "a port is free at once after close()",
    async play(net, log) {
      const first = net.createServer();
      const port = await listening(first);
      first.close();
      const second = net.createServer();
      second.listen(port, "127.0.0.1");
      await once(second, "listening");
      log("listening again");
      second.close();
      await closed(second);
    },
    expected: ["listening again"],
  },
  {
    claim: "writes before the connection are sent in order, and counted",
    async play(net, log) {
      const server = net.createServer();
      const port = await listening(server);
      const client = net.connect(port, "127.0.0.1");
      client.write("one ");
      client.write("two ");
      log(`${client.connecting} ${client.pending} ${client.readyState} ${client.bytesWritten}`);
      const [peer] = await once(server, "connection") as [node.Socket];
      client.end("three");
      let got = "";
      for await (const chunk of peer) got += chunk;
      log(got);
      await closed(client);
      log(`${client.bytesWritten} ${peer.bytesRead}`);
      server.close();
      await closed(server);
    },
    expected: ["true true opening 8", "one two three", "13 13"],
  },
  {
    claim: "destroy(error) emits the error, then close with true",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      peer.on("error", () => {}).resume();
      watch(client, "client", ["error", "close"], log);
      const ends = [closed(client), closed(peer)];
      client.destroy(Object.assign(new Error("of the test"), { code: "MINE" }));
      log(`${client.destroyed} ${client.readyState}`);
      await Promise.all(ends);
      server.close();
      await closed(server);
    },
    expected: ["true closed", "client error MINE", "client close true"],
  },
  {
    claim: "the callbacks of writes come in order, also that of a write that waits",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      peer.resume();
      client.write("x", () => log("first"));
      await new Promise<void>((resolve) =>
        client.write(Buffer.alloc(100_000), () => {
          log("second");
          resolve();
        })
      );
      client.destroy();
      server.close();
      await closed(server);
    },
    expected: ["first", "second"],
  },
  {
    claim: "an immediate that a listener of 'error' asks for comes before 'close'",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      peer.resume();
      client.on("error", () => void setImmediate(() => log("immediate")));
      client.on("close", () => log("close"));
      client.destroy(new Error("of the program"));
      await closed(client);
      client.connect({ port: (server.address() as node.AddressInfo).port, host: "127.0.0.1" });
      client.destroy(new Error("of the program"));
      await closed(client);
      server.close();
      await closed(server);
    },
    expected: ["immediate", "close", "immediate", "close"],
    differs: { bun: "Bun emits 'close' first" },
  },
  {
    claim: "destroy() in a callback of write() still sends what was written",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      let got = 0;
      peer.on("data", (chunk) => got += chunk.length);
      client.write(Buffer.alloc(50_000), () => client.destroy());
      await Promise.all([closed(client), closed(peer)]);
      log(String(got));
      server.close();
      await closed(server);
    },
    expected: ["50000"],
  },
  {
    claim: "resetAndDestroy() is ECONNRESET for the peer, and no error on this side",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      const logged: string[] = [];
      watch(peer, "peer", ["end", "error", "close"], log);
      watch(client, "client", ["error", "close"], (line) => logged.push(line));
      peer.resume();
      client.resetAndDestroy();
      await Promise.all([closed(client), closed(peer)]);
      for (const line of logged) log(line);
      server.close();
      await closed(server);
    },
    expected: ["peer error ECONNRESET", "peer close true", "client close false"],
  },
  {
    claim: "resetAndDestroy() on a path throws, because unix sockets have no RST",
    async play(net, log) {
      const path = `/tmp/uringnet-reset-${process.pid}-${Math.random()}.sock`;
      const server = net.createServer((peer) => peer.on("error", () => {}).resume());
      server.listen(path);
      await once(server, "listening");
      const client = net.connect(path);
      const reset = () => {
        try {
          client.resetAndDestroy();
        } catch (error) {
          log(`${(error as NodeJS.ErrnoException).code} ${client.destroyed}`);
        }
      };
      reset();
      await once(client, "connect");
      reset();
      client.destroy();
      await closed(client);
      server.close();
      await closed(server);
    },
    expected: ["ERR_INVALID_HANDLE_TYPE false", "ERR_INVALID_HANDLE_TYPE false"],
    differs: { bun: "Bun destroys the socket", deno: "Deno destroys the socket" },
  },
  {
    claim:
      "a path is free when close() returns, with connections that live on, and another listens",
    async play(net, log) {
      const path = `/tmp/uringnet-free-${process.pid}-${Math.random()}.sock`;
      const server = net.createServer((peer) => peer.pipe(peer));
      server.listen(path);
      await once(server, "listening");
      const client = net.connect(path);
      client.write("ping");
      await once(client, "data");
      server.close();
      log(`exists ${existsSync(path)}`);
      const next = net.createServer();
      next.listen(path);
      await once(next, "listening");
      client.destroy();
      await closed(server);
      log(`exists ${existsSync(path)}`);
      next.close();
      await closed(next);
      log(`exists ${existsSync(path)}`);
    },
    expected: ["exists false", "exists true", "exists false"],
  },
  {
    claim: "a write behind end() fails, and one behind destroy() does",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      peer.on("error", () => {}).resume();
      client.end();
      client.on("error", (error) => log(`error ${(error as NodeJS.ErrnoException).code}`));
      client.write("x", (error) => log(`callback ${(error as NodeJS.ErrnoException)?.code}`));
      await closed(client);
      client.write("x", (error) => log(`callback ${(error as NodeJS.ErrnoException)?.code}`));
      await new Promise((resolve) => setTimeout(resolve, 20));
      peer.destroy();
      server.close();
      await closed(server);
    },
    expected: [
      "callback ERR_STREAM_WRITE_AFTER_END",
      "error ERR_STREAM_WRITE_AFTER_END",
      "callback ERR_STREAM_WRITE_AFTER_END",
    ],
    differs: { bun: "EPIPE in Bun" },
  },
  {
    claim: "a write behind the peer's end is sent when half open, and ends with EPIPE or a reset",
    async play(net, log) {
      const { server, client, peer } = await pair(net, {}, { allowHalfOpen: true });
      peer.end();
      client.resume();
      await once(client, "end");
      peer.destroy();
      await closed(peer);
      const failed = once(client, "error") as Promise<[NodeJS.ErrnoException]>;
      const timer = setInterval(() => client.write("x"), 5);
      const [error] = await failed;
      clearInterval(timer);
      log(String(["EPIPE", "ECONNRESET"].includes(String(error.code))));
      log(String(error.syscall === "write" || error.syscall === "read"));
      server.close();
      await closed(server);
    },
    expected: ["true", "true"],
  },
  {
    claim: "setTimeout() emits once until something moves, and 0 turns it off",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      client.setTimeout(40, () => log("callback"));
      await once(client, "timeout");
      log(`timeout ${client.timeout}`);
      let more = 0;
      client.on("timeout", () => more++);
      await new Promise((resolve) => setTimeout(resolve, 120));
      log(`${more} while nothing moved`);
      client.write("x");
      await once(client, "timeout");
      client.setTimeout(0);
      client.write("x");
      await new Promise((resolve) => setTimeout(resolve, 100));
      log(`${more} in the end`);
      client.destroy();
      peer.destroy();
      server.close();
      await closed(server);
    },
    expected: ["callback", "timeout 40", "0 while nothing moved", "1 in the end"],
    differs: { deno: "one timeout more in Deno, behind setTimeout(0)" },
  },
  {
    claim: "a write that the peer takes slowly is no silence for setTimeout()",
    async play(net, log) {
      // Where the machine itself stands still for so long, the silence is true: once more.
      for (let silenceMs = 400, timeouts = 1; timeouts > 0; silenceMs *= 2) {
        const { server, client, peer } = await pair(net, { pauseOnConnect: true });
        const bytes = 16_000_000;
        timeouts = 0;
        client.setTimeout(silenceMs, () => timeouts++);
        let written = false;
        client.write(Buffer.alloc(bytes), () => written = true);
        let longestMs = 0;
        let takenMs = performance.now();
        for (let left = bytes; !written;) {
          await new Promise((resolve) => setTimeout(resolve, silenceMs / 4));
          for (let taken = 0; !written && left > 0 && taken < 1_000_000;) {
            const chunk = peer.read() as Buffer | null;
            if (chunk === null) await once(peer, "readable");
            taken += chunk?.length ?? 0;
            left -= chunk?.length ?? 0;
          }
          longestMs = Math.max(longestMs, performance.now() - takenMs);
          takenMs = performance.now();
        }
        client.destroy();
        peer.destroy();
        server.close();
        await closed(server);
        if (longestMs < 0.75 * silenceMs) {
          log(`${timeouts}`);
          return;
        }
      }
      log("0");
    },
    expected: ["0"],
    differs: { deno: "Deno emits a timeout while the bytes leave" },
  },
  {
    claim: "a paused socket receives nothing beyond its buffers, and all of it when resumed",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      client.pause();
      const total = 24 << 20;
      let drained = 0;
      const chunk = Buffer.alloc(1 << 20, 1);
      for (let sent = 0; sent < total; sent += chunk.length) {
        if (!peer.write(chunk)) drained++;
      }
      peer.end();
      await new Promise((resolve) => setTimeout(resolve, 150));
      log(`${drained > 0} ${client.bytesRead < total / 2} ${peer.writableLength > 0}`);
      let got = 0;
      client.on("data", (data) => got += data.length).resume();
      await Promise.all([closed(client), closed(peer)]);
      log(`${got === total} ${client.bytesRead === total} ${peer.bytesWritten === total}`);
      server.close();
      await closed(server);
    },
    expected: ["true true true", "true true true"],
  },
  {
    claim: "cork() and uncork() send in one, in order",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      client.cork();
      for (const word of ["a", "bc", "def"]) client.write(word);
      log(`${client.writableLength} ${client.bytesWritten}`);
      client.uncork();
      client.end();
      let got = "";
      for await (const chunk of peer) got += chunk;
      log(got);
      await closed(client);
      server.close();
      await closed(server);
    },
    expected: ["6 6", "abcdef"],
  },
  {
    claim: "maxConnections drops with the ends of the connection, and the server goes on",
    async play(net, log) {
      const server = net.createServer((peer) => void peer.resume());
      server.maxConnections = 1;
      const port = await listening(server);
      const first = net.connect(port, "127.0.0.1");
      await once(server, "connection");
      const second = net.connect(port, "127.0.0.1").resume();
      second.on("error", () => {});
      const [data] = await once(server, "drop") as [node.DropArgument];
      log(`${data?.localAddress} ${data?.localPort === port} ${data?.remoteFamily}`);
      await closed(second);
      log(String(await new Promise((resolve) => server.getConnections((_, n) => resolve(n)))));
      first.end();
      await closed(first);
      server.close();
      await closed(server);
    },
    expected: ["127.0.0.1 true IPv4", "1"],
    differs: { deno: "no drop in Deno" },
  },
  {
    claim: "an aborted signal destroys with AbortError",
    async play(net, log) {
      const server = net.createServer((peer) => void peer.on("error", () => {}).resume());
      const port = await listening(server);
      const controller = new AbortController();
      const options = { port, host: "127.0.0.1", signal: controller.signal };
      const client = net.connect(options as node.NetConnectOpts);
      client.on("error", (error) => log(`${error.name} ${(error as NodeJS.ErrnoException).code}`));
      controller.abort();
      log(`close ${await closed(client)}`);
      server.close();
      await closed(server);
    },
    expected: ["AbortError ABORT_ERR", "close true"],
  },
  {
    claim: "close() of a server waits for its connections, and tells who calls it twice",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      let done = false;
      server.close(() => done = true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      log(`${done} ${server.listening}`);
      client.end();
      peer.resume();
      await closed(server);
      log(String(done));
      const error = await new Promise<unknown>((resolve) => server.close(resolve));
      log(String((error as NodeJS.ErrnoException).code));
    },
    expected: ["false false", "true", "ERR_SERVER_NOT_RUNNING"],
  },
  {
    claim: "a socket may be connected again after it was closed",
    async play(net, log) {
      const server = net.createServer((peer) => peer.end("hello"));
      const port = await listening(server);
      const client = new net.Socket();
      for (let round = 0; round < 2; round++) {
        client.connect(port, "127.0.0.1");
        let got = "";
        client.on("data", (chunk) => got += chunk);
        await closed(client);
        client.removeAllListeners("data");
        log(`${got} ${client.bytesRead}`);
      }
      server.close();
      await closed(server);
    },
    expected: ["hello 5", "hello 5"],
    differs: { bun: "bytesRead goes on counting in Bun" },
  },
  {
    claim: "a listener of 'readable' outlasts a failed connect, and gets the bytes of the next",
    async play(net, log) {
      const server = net.createServer((peer) => peer.end("hello"));
      const port = await listening(server);
      const client = new net.Socket();
      client.on("error", (error) => log((error as NodeJS.ErrnoException).code as string));
      client.on("readable", () => {
        const bytes = client.read();
        if (bytes !== null) log(String(bytes));
      });
      client.connect(1, "127.0.0.1");
      await closed(client);
      client.connect(port, "127.0.0.1");
      await closed(client);
      server.close();
      await closed(server);
    },
    expected: ["ECONNREFUSED", "hello"],
  },
  {
    claim: "an end before connect() does not count, and neither does a failed write",
    async play(net, log) {
      const server = net.createServer((peer) => peer.on("error", () => {}).pipe(peer));
      const port = await listening(server);
      const client = new net.Socket();
      client.end();
      client.connect(port, "127.0.0.1");
      await once(client, "connect");
      log(`${client.writableEnded} ${client.write("x")}`);
      log(String((await once(client, "data"))[0]));
      client.destroy();
      await closed(client);
      const failing = new net.Socket();
      failing.on("error", (error) => log((error as NodeJS.ErrnoException).code as string));
      failing.write("x");
      failing.connect(port, "127.0.0.1");
      log(`${failing.errored} ${failing.write("yz")} ${failing.bytesWritten}`);
      await closed(failing);
      server.close();
      await closed(server);
    },
    expected: ["false true", "x", "null true 2", "ERR_SOCKET_CLOSED"],
  },
  {
    claim: "the ends have names while there is a connection",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      log(`${client.remoteAddress} ${client.remoteFamily} ${client.remotePort === portOf(server)}`);
      log(`${client.localAddress} ${client.localPort === peer.remotePort} ${client.readyState}`);
      log(`${(client.address() as node.AddressInfo).family} ${peer.localPort === portOf(server)}`);
      client.destroy();
      peer.destroy();
      await Promise.all([closed(client), closed(peer)]);
      server.close();
      await closed(server);
    },
    expected: ["127.0.0.1 IPv4 true", "127.0.0.1 true open", "IPv4 true"],
  },
  {
    claim: "a look-up is told of, and one that fails destroys the socket",
    async play(net, log) {
      const server = net.createServer((peer) => peer.end());
      const port = await listening(server);
      const lookup = ((host: string, _: unknown, done: (...args: unknown[]) => void) => {
        const lost = Object.assign(new Error("gone"), { code: "ENOTFOUND" });
        setTimeout(() => host === "gone.test" ? done(lost) : done(null, "127.0.0.1", 4), 1);
      }) as unknown as node.LookupFunction;
      const found = net.connect({ port, host: "here.test", lookup, family: 4 }).resume();
      found.on(
        "lookup",
        (error, address, family, host) => log(`${error} ${address} ${family} ${host}`),
      );
      await closed(found);
      const lost = net.connect({ port, host: "gone.test", lookup, family: 4 });
      lost.on("error", (error) => log(`error ${(error as NodeJS.ErrnoException).code}`));
      log(`close ${await closed(lost)}`);
      server.close();
      await closed(server);
    },
    expected: ["null 127.0.0.1 4 here.test", "error ENOTFOUND", "close true"],
  },
  {
    claim: "autoSelectFamily goes on to the next address, and tells of each attempt",
    async play(net, log) {
      const server = net.createServer((peer) => peer.end());
      const port = await listening(server);
      const lookup = bothFamilies();
      const options = { port, host: "both.test", lookup, autoSelectFamily: true };
      const client = net.connect(options as node.NetConnectOpts).resume();
      client.on("connectionAttempt", (ip, _, family) => log(`attempt ${ip} ${family}`));
      client.on(
        "connectionAttemptFailed",
        (ip, _, family, error) =>
          log(`failed ${ip} ${family} ${(error as NodeJS.ErrnoException).code}`),
      );
      await closed(client);
      const tried = client.autoSelectFamilyAttemptedAddresses ?? [];
      log(tried.map((text) => text.replace(String(port), "PORT")).join(" "));
      server.close();
      await closed(server);
    },
    expected: [
      "attempt ::1 6",
      "failed ::1 6 ECONNREFUSED",
      "attempt 127.0.0.1 4",
      "::1:PORT 127.0.0.1:PORT",
    ],
  },
  {
    claim: "all addresses refused: one error with all of them, and the code of the first",
    async play(net, log) {
      const server = net.createServer();
      const port = await listening(server);
      server.close();
      await closed(server);
      const lookup = bothFamilies();
      const options = { port, host: "both.test", lookup, autoSelectFamily: true };
      const client = net.connect(options as node.NetConnectOpts);
      const [error] = await new Promise<[AggregateError & { code?: string }]>((resolve) =>
        client.once("error", (error) => resolve([error as never]))
      );
      log(`${error.constructor.name} ${error.code} ${error.errors.length}`);
      await closed(client);
    },
    expected: ["AggregateError ECONNREFUSED 2"],
  },
  {
    claim: "close() calls back when the server listens again in the same turn",
    async play(net, log) {
      const server = net.createServer();
      await listening(server);
      const called = new Promise<void>((resolve) => {
        server.close((error) => {
          log(`closed ${error}`);
          resolve();
        });
      });
      await listening(server);
      await called;
      log(`listens ${server.listening}`);
      server.close();
      await closed(server);
    },
    expected: ["closed undefined", "listens true"],
  },
  {
    claim: "the ticks of 'connect' and 'connection' run before the first bytes are told of",
    async play(net, log) {
      // A peer that speaks first, so that both sides have bytes to receive from the beginning.
      const server = net.createServer((peer) => {
        peer.write("greeting");
        peer.once("data", () => void lines.push("peer data"));
        nextTick(() => nextTick(() => void lines.push("peer tick")));
        peer.on("end", () => peer.end());
      });
      const lines: string[] = [];
      const client = net.connect(await listening(server), "127.0.0.1");
      client.write("hello");
      client.once("connect", () => nextTick(() => nextTick(() => void lines.push("client tick"))));
      client.once("data", () => {
        lines.push("client data");
        client.end();
      });
      await closed(client);
      // The sides are told of their events in any order.
      for (const side of ["client", "peer"]) log(lines.filter((e) => e.startsWith(side)).join());
      server.close();
      await closed(server);
    },
    expected: ["client tick,client data", "peer tick,peer data"],
  },
  {
    claim: "without a host, a port that is in use on IPv6 alone is in use",
    async play(net, log) {
      const first = net.createServer();
      first.listen(0, "::1");
      await once(first, "listening");
      const second = net.createServer();
      const failed = new Promise<NodeJS.ErrnoException & { address?: string }>((resolve) =>
        second.once("error", resolve).once("listening", () => resolve(new Error("listens")))
      );
      second.listen(portOf(first));
      const { code, address } = await failed;
      log(`${code} ${address}`);
      second.close();
      first.close();
      await closed(first);
    },
    expected: ["EADDRINUSE ::"],
  },
  {
    claim: "onread fills the program's own buffer, and pauses when told",
    async play(net, log) {
      const server = net.createServer((peer) => peer.end("abcdefghij"));
      const port = await listening(server);
      const buffer = Buffer.alloc(4);
      let got = "";
      let paused = 0;
      const client = net.connect({
        port,
        host: "127.0.0.1",
        onread: {
          buffer,
          callback(count: number, filled: Uint8Array) {
            got += Buffer.from(filled.subarray(0, count)).toString();
            paused++;
            setTimeout(() => client.resume(), 10);
            return false;
          },
        },
      } as node.NetConnectOpts);
      await closed(client);
      log(`${got} ${paused}`);
      server.close();
      await closed(server);
    },
    expected: ["abcdefghij 3"],
    differs: { bun: "Bun goes on without resume()" },
  },
  {
    claim: "pause() stops onread until resume(), also while something listens to 'readable'",
    async play(net, log) {
      const server = net.createServer((peer) => peer.on("end", () => peer.end("ij")).resume());
      const port = await listening(server);
      const accepted = once(server, "connection");
      const buffer = Buffer.alloc(4);
      const client = net.connect({
        port,
        host: "127.0.0.1",
        allowHalfOpen: true,
        onread: {
          buffer,
          callback(count: number, filled: Uint8Array) {
            log(Buffer.from(filled.subarray(0, count)).toString());
            client.pause();
            setTimeout(() => {
              log(`after ${client.bytesRead}`);
              client.resume();
              if (client.bytesRead === 8) client.end();
            }, 10);
            return true;
          },
        },
      } as node.NetConnectOpts);
      await once(client, "connect");
      client.on("readable", () => {});
      const [peer] = await accepted as [node.Socket];
      peer.write("abcdefgh");
      await closed(client);
      server.close();
      await closed(server);
    },
    expected: ["abcd", "after 4", "efgh", "after 8", "ij", "after 10"],
    differs: { bun: "Bun goes on without resume()" },
  },
  {
    claim: "one read() for each 'readable' is enough to get all bytes",
    async play(net, log) {
      const { server, client, peer } = await pair(net);
      const whole = Promise.withResolvers<void>();
      let count: number | null = null;
      const read = (): void => {
        count = (count ?? 0) + (client.read() as Uint8Array | null ?? "").length;
        if (count === 30) whole.resolve();
      };
      client.on("readable", () => count !== null && read());
      for (let sent = 10; sent <= 30; sent += 10) {
        peer.write("0123456789");
        while (client.bytesRead < sent) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      read();
      await whole.promise;
      log("30 bytes");
      client.destroy();
      peer.destroy();
      server.close();
      await closed(server);
    },
    expected: ["30 bytes"],
    differs: { bun: ONE_CHUNK, deno: ONE_CHUNK },
  },
  {
    claim: "the end of the peer waits while onread is paused",
    async play(net, log) {
      const server = net.createServer();
      const port = await listening(server);
      const accepted = once(server, "connection");
      const buffer = Buffer.alloc(4);
      const client = net.connect({
        port,
        host: "127.0.0.1",
        onread: {
          buffer,
          callback(count: number) {
            log(`got ${count}`);
            return true;
          },
        },
      } as node.NetConnectOpts);
      client.on("end", () => log("end"));
      const [peer] = await accepted as [node.Socket];
      peer.write("ab");
      while (client.bytesRead < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      client.pause();
      await new Promise((resolve) => peer.end(() => setTimeout(resolve, 10)));
      log("resume");
      client.resume();
      await closed(client);
      server.close();
      await closed(server);
    },
    expected: ["got 2", "resume", "end"],
    differs: { bun: "Bun goes on without resume()" },
  },
];
