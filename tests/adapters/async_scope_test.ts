/**
 * The context in which sockets call their program, in both ways that there are to switch it.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { Agent, createServer, get, type IncomingMessage, request } from "node:http";
import type { Server, Socket } from "node:net";
import net from "../../src/adapters/net.ts";
import { asyncScope } from "../../src/adapters/async_scope.ts";
import { ResourceScope } from "../../src/adapters/resource_scope.ts";
import { SwitchedScope } from "../../src/adapters/switched_scope.ts";
import { assert, suite } from "../harness.ts";

const test = suite("async scope");
const storage = new AsyncLocalStorage<string>();

/** A context that a core like Deno's has. */
class OneContext {
  current: unknown = "outside";

  getAsyncContext(): unknown {
    return this.current;
  }

  setAsyncContext(context: unknown): void {
    this.current = context;
  }
}

test("a scope has the store of the moment at which it was captured", () => {
  const captured = storage.run("inside", () => [asyncScope.capture(), new ResourceScope()]);
  for (const scope of captured) {
    assert.is(storage.getStore(), undefined);
    assert.is(scope.run(() => storage.getStore(), null), "inside");
    assert.is(storage.getStore(), undefined);
  }
});

test("a scope passes on this, two arguments and what is returned", () => {
  const self = {};
  const scope = asyncScope.capture();
  const seen = scope.run(
    function (this: unknown, first: number, second: number) {
      return [this, first, second];
    },
    self,
    1,
    2,
  );
  assert.equal(seen, [self, 1, 2]);
});

test("a switched scope puts the context back, also behind an error", () => {
  const access = new OneContext();
  access.current = "captured";
  const scope = new SwitchedScope(access);
  access.current = "outside";
  assert.is(scope.run(() => access.current), "captured");
  assert.is(access.current, "outside");
  assert.throws(() =>
    scope.run(() => {
      throw new Error("of the program");
    }), /of the program/);
  assert.is(access.current, "outside");
});

test("a context that a listener enters does not leak to what runs next", () => {
  const scope = asyncScope.capture();
  scope.run(() => storage.enterWith("entered"));
  assert.is(storage.getStore(), undefined);
});

const inBun = "Bun" in globalThis
  ? "Bun's node:http runs handlers of an emitted connection in an empty context"
  : null;

test.skipIf(inBun, "requests of node:http have the context of their connection", async () => {
  const stores: unknown[] = [];
  const http = createServer((_, answer) => {
    stores.push(storage.getStore());
    answer.end("x");
  });
  // Without this Deno closes the connection behind the first answer.
  (http as unknown as { _handle: object })._handle = {};
  const server = net.createServer((socket) => {
    storage.run(`connection ${stores.length}`, () => http.emit("connection", socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  for (let i = 0; i < 2; i++) {
    const [answer] = await once(get({ port, agent: false }), "response") as [IncomingMessage];
    answer.resume();
    await once(answer, "end");
  }
  server.close();
  assert.equal(stores, ["connection 0", "connection 1"]);
});

test("each of several connects at a time reports in the context of its own call", async () => {
  const server = net.createServer((peer) => void peer.resume());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  const calls = Array.from({ length: 6 }, (_, at) => {
    const expected = `call ${at}`;
    return storage.run(expected, () => {
      // Port 1 refuses, so that half of the calls fail.
      const socket = net.connect(at % 2 === 0 ? port : 1, "127.0.0.1");
      const seen = new Set<unknown>();
      for (const name of ["connect", "ready", "connectionAttemptFailed", "error", "close"]) {
        socket.on(name, () => void seen.add(storage.getStore()));
      }
      socket.on("connect", () => void socket.destroy());
      return new Promise((resolve) => socket.on("close", () => resolve([...seen])))
        .then((stores) => assert.equal(stores, [expected]));
    });
  });
  await Promise.all(calls);
  server.close();
});

/** A client that was made in the context "made", whose peer sends back what it gets. */
async function echoed(): Promise<{ server: Server; client: Socket }> {
  const server = net.createServer({ allowHalfOpen: true }, (peer) => void peer.pipe(peer));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  const client = storage.run("made", () => net.connect(port, "127.0.0.1"));
  await once(client, "connect");
  return { server, client };
}

/** Calls `body` in a context, and returns the one in which it has called back. */
function contextOf(name: string, body: (called: () => void) => unknown): Promise<unknown> {
  return new Promise((resolve) => {
    storage.run(name, () => body(() => resolve(storage.getStore())));
  });
}

test("a write that has waited calls back in its own context, as do 'drain' and end()", async () => {
  const { server, client } = await echoed();
  const seen: unknown[] = [];
  client.resume();
  client.on("drain", () => seen.push(`drain ${storage.getStore()}`));
  client.on("finish", () => seen.push(`finish ${storage.getStore()}`));
  const bytes = Buffer.alloc(4_194_304);
  for (const name of ["request 1", "request 2"]) {
    seen.push(await contextOf(name, (called) => client.write(bytes, called)));
  }
  seen.push(await contextOf("last", (called) => client.end(called)));
  assert.equal(seen, [
    "drain request 1",
    "request 1",
    "drain request 2",
    "request 2",
    "finish last",
    "last",
  ]);
  await once(client, "close");
  server.close();
});

test("'close' has the context of the socket, and not that of destroy()", async () => {
  const { server, client } = await echoed();
  const closed = contextOf("listener", (called) => client.on("close", called));
  storage.run("another", () => client.destroy());
  assert.is(await closed, "made");
  server.close();
});

test("'timeout' has the context of the last setTimeout()", async () => {
  const { server, client } = await echoed();
  const timedOut = () => contextOf("listener", (called) => client.once("timeout", called));
  client.resume();
  storage.run("request 1", () => client.setTimeout(20));
  storage.run("request 1", () => client.setTimeout(0));
  storage.run("request 2", () => client.setTimeout(20));
  assert.is(await timedOut(), "request 2");
  storage.run("later", () => client.write("x"));
  assert.is(await timedOut(), "request 2");
  client.destroy();
  server.close();
});

test("requests that share a connection of node:http finish in their own contexts", async () => {
  const http = createServer((request, answer) => {
    request.resume();
    request.on("end", () => answer.end("x"));
  });
  await once(http.listen(0, "127.0.0.1"), "listening");
  const { port } = http.address() as { port: number };
  let connectionCount = 0;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  Object.assign(agent, {
    createConnection(): Socket {
      connectionCount++;
      return net.connect(port, "127.0.0.1");
    },
  });
  const bytes = Buffer.alloc(4_194_304);
  const stores: unknown[] = [];
  for (const name of ["request 1", "request 2"]) {
    await storage.run(name, async () => {
      const sent = request({ port, host: "127.0.0.1", method: "POST", agent });
      sent.on("finish", () => stores.push(storage.getStore()));
      sent.end(bytes);
      const [answer] = await once(sent, "response") as [IncomingMessage];
      answer.resume();
      await once(answer, "end");
    });
  }
  agent.destroy();
  http.close();
  assert.is(connectionCount, 1);
  assert.equal(stores, ["request 1", "request 2"]);
});

test.run();
