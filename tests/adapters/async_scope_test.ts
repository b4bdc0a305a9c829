/**
 * The context in which sockets call their program, in both ways that there are to switch it.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { createServer, get, type IncomingMessage } from "node:http";
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

test.run();
