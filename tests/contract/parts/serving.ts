/**
 * Servers: limits, failures of handlers, idle peers, draining, and the end of a network whose
 * connections owe answers.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Connection,
  type Network,
  type NetworkConfig,
  NetworkError,
  serve,
  type ServeOptions,
  type Server,
} from "../../../mod.ts";
import { assert, deferred } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  countedMs,
  expectEnd,
  expectText,
  pause,
  settlesWithin,
  socketPath,
  SOON_MS,
  started,
  until,
} from "../fixture.ts";

const SOON = { timeoutMs: SOON_MS };

async function echo({ stream, sink }: Connection): Promise<void> {
  for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
}

/** Requests in progress that a drain has to answer. */
const BUSY_COUNT = 200;

function addresses(): string[] {
  return ["127.0.0.1:0", `unix:${socketPath()}`];
}

async function ask(connection: Connection, request: string): Promise<string> {
  await connection.sink.send(request, SOON);
  return (await connection.stream.recv(request.length, SOON)).text();
}

/** The end that a client sees: its last bytes, a clean end, or an errno. */
async function lastWords(connection: Connection): Promise<string> {
  try {
    const data = await connection.stream.recvSome(undefined, SOON);
    return data === null ? "a clean end" : data.text();
  } catch (error) {
    return (error as NetworkError).errno ?? (error as NetworkError).code;
  }
}

/** Collects what `onError` is told. */
function told(): { errors: unknown[]; onError: NonNullable<ServeOptions["onError"]> } {
  const errors: unknown[] = [];
  return { errors, onError: (error) => void errors.push(error) };
}

export function serving(test: ContractSuite, config: NetworkConfig): void {
  test("an async context that a handler enters does not reach the next handler", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const storage = new AsyncLocalStorage<string>();
    const stores: unknown[] = [];
    const server = storage.run("server", () =>
      serve(listener, async (connection) => {
        stores.push(storage.getStore());
        storage.enterWith("request");
        await echo(connection);
      }));
    for (let i = 0; i < 3; i++) {
      await using client = await own.network.dial(listener.localAddress);
      assert.is(await ask(client, "hello"), "hello");
    }
    await server.close();
    assert.equal(stores, ["server", "server", "server"]);
  });

  test("serve() answers on each address, and closes when the handler ends", async () => {
    for (const address of addresses()) {
      await using own = await started(config);
      const listener = await own.network.bind(address);
      const server = serve(listener, async ({ stream, sink }) => {
        await sink.send(await stream.recv(5));
      });
      await using client = await own.network.dial(listener.localAddress);
      assert.is(await ask(client, "hello"), "hello");
      await expectEnd(client);
      await until(() => server.connections === 0, "the server has no connection");
      assert.is(server.draining, false);
      await server.close();
      assert.is(server.draining, true);
      await assert.rejects(own.network.dial(listener.localAddress), { code: "ConnectionFailed" });
    }
  });

  test("a handler that fails, now or later, resets its connection and no other", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const { errors, onError } = told();
    await using server = serve(listener, (connection) => {
      if (server.connections === 2) throw new Error("at once");
      if (server.connections === 3) return Promise.reject(new Error("later"));
      return echo(connection);
    }, { onError });
    await using first = await own.network.dial(listener.localAddress);
    assert.is(await ask(first, "one"), "one");
    await using second = await own.network.dial(listener.localAddress);
    assert.is(await lastWords(second), "ECONNRESET");
    await until(() => server.connections === 1, "the second connection is gone");
    assert.equal(errors.map((error) => (error as Error).message), ["at once"]);
    assert.is(await ask(first, "two"), "two");
  });

  test("a handler that fails with undefined, now or later, has failed", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const { errors, onError } = told();
    const nothing: unknown = undefined;
    let isFirst = true;
    await using server = serve(listener, () => {
      if (!isFirst) return Promise.reject();
      isFirst = false;
      throw nothing;
    }, { onError });
    await using now = await own.network.dial(listener.localAddress);
    await using later = await own.network.dial(listener.localAddress);
    assert.is(await lastWords(now), "ECONNRESET");
    assert.is(await lastWords(later), "ECONNRESET");
    await until(() => server.connections === 0, "both connections are gone");
    assert.equal(errors, [undefined, undefined]);
  });

  test("an onError that throws or rejects ends nothing", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    let toldCount = 0;
    const onError = () => {
      toldCount++;
      if (toldCount === 1) throw new Error("onError throws, as it should");
      return Promise.reject(new Error("onError rejects, as it should"));
    };
    const fail = () => Promise.reject(new Error("the handler"));
    await using _server = serve(listener, fail, { onError: onError as () => void });
    for (let i = 1; i <= 3; i++) {
      await using client = await own.network.dial(listener.localAddress);
      assert.is(await lastWords(client), "ECONNRESET");
      assert.is(toldCount, i);
    }
  });

  test("above maxConnections peers wait in the backlog, and none is refused", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    let most = 0;
    await using server = serve(listener, async (connection) => {
      most = Math.max(most, server.connections);
      await echo(connection);
    }, { maxConnections: 2 });
    const clients = await Promise.all(
      [0, 1, 2, 3, 4].map(() => own.network.dial(listener.localAddress)),
    );
    await until(() => server.connections === 2, "two are served");
    for (const client of clients) {
      // The kernel has connected it; the server gets to it when another one leaves.
      assert.is(await ask(client, "hi"), "hi");
      await client.close();
    }
    assert.is(most, 2);
  });

  test("idleTimeoutMs resets connections on which no byte moves, and no others", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const { errors, onError } = told();
    await using _server = serve(listener, echo, { idleTimeoutMs: 200, onError });
    // On a busy machine, much time passes between the accept and the end of the dials.
    const start = performance.now();
    await using quiet = await own.network.dial(listener.localAddress);
    await using busy = await own.network.dial(listener.localAddress);
    const end = lastWords(quiet);
    while (!(await settlesWithin(end, 20))) assert.is(await ask(busy, "."), ".");
    const elapsed = performance.now() - start;
    assert.is(await end, "ECONNRESET");
    assert.ok(elapsed >= 195, `not before its time: ${elapsed} ms`);
    assert.is(await ask(busy, "still"), "still");
    assert.is(errors.length, 1);
    assert.is((errors[0] as NetworkError).code, "Timeout");
    assert.is((errors[0] as NetworkError).operation, "serve");
  });

  test(`close() answers ${BUSY_COUNT} requests that are in progress`, async () => {
    for (const address of addresses()) {
      await using own = await started(config);
      const listener = await own.network.bind(address);
      const gate = deferred<void>();
      let waiting = 0;
      let signalled = 0;
      const server = serve(listener, async ({ stream, sink }, { signal }) => {
        signal.addEventListener("abort", () => signalled++);
        const request = await stream.recv(4);
        waiting++;
        await gate.promise;
        await sink.send(request);
      });
      const clients: Connection[] = [];
      while (clients.length < BUSY_COUNT) {
        // No more at once than the shortest backlog of a machine holds.
        const dials = Array.from({ length: 50 }, () => own.network.dial(listener.localAddress));
        clients.push(...await Promise.all(dials));
      }
      const answers = clients.map((client, i) => ask(client, String(1_000 + i)));
      await until(() => waiting === BUSY_COUNT, "all requests have arrived");
      const closed = server.close();
      assert.is(server.draining, true);
      assert.is(signalled, BUSY_COUNT, "each handler is told");
      assert.is(await settlesWithin(closed, 20), false, "it waits for its handlers");
      gate.resolve();
      const wanted = clients.map((_, i) => String(1_000 + i));
      assert.equal(await Promise.all(answers), wanted);
      await closed;
      await server.finished;
      assert.is(server.connections, 0);
      await Promise.all(clients.map((client) => client.close()));
    }
  });

  test("handlers that wait with the signal end at once, and cleanly", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const { errors, onError } = told();
    let partCount = 0;
    const server = serve(listener, async ({ stream, sink }, { signal }) => {
      for (let request; (request = await stream.recvSome(undefined, { signal }));) {
        const isPart = request.bytes[0] === 33;
        if (isPart) {
          request.release();
          partCount++;
        }
        await (isPart ? stream.recv(1, { signal }) : sink.send(request));
      }
    }, { onError });
    const [fresh, idle, asking] = await Promise.all(
      [0, 1, 2].map(() => own.network.dial(listener.localAddress)),
    );
    assert.is(await ask(idle, "one"), "one");
    await asking.sink.send("!");
    await until(() => server.connections === 3 && partCount === 1, "all are served");
    await pause(10);
    const counted = await countedMs(server.close());
    assert.ok(counted < 2_500, `close() took ${counted} ms`);
    assert.is(await lastWords(fresh), "a clean end");
    assert.is(await lastWords(idle), "a clean end");
    assert.is(await lastWords(asking), "ECONNRESET", "its answer is owed");
    assert.equal(errors, []);
    for (const client of [fresh, idle, asking]) await client.close();
  });

  for (const how of ["server.close()", "the signal", "network.close()"]) {
    test(`${how} serves the peers that wait in the backlog`, async () => {
      const { network } = await started(config);
      await using dialer = await started(config);
      const listener = await network.bind("127.0.0.1:0");
      const controller = new AbortController();
      const release = deferred<void>();
      let most = 0;
      const server = serve(listener, async ({ stream, sink }, { signal }) => {
        most = Math.max(most, server.connections);
        for (let data; (data = await stream.recvSome(undefined, { signal })) !== null;) {
          await release.promise;
          await sink.send(data);
        }
      }, { maxConnections: 1, signal: controller.signal });
      let connected = 0;
      const asks = ["first", "second", "third", "fourth"].map(async (request) => {
        await using client = await dialer.network.dial(listener.localAddress);
        await client.sink.send(request, SOON);
        connected++;
        const answer = await lastWords(client);
        await expectEnd(client);
        return answer;
      });
      await until(() => connected === asks.length && server.connections === 1, "all wait");
      // The portable backend: the runtime accepts from its own event loop.
      if (network.backend === "portable") { for (let i = 0; i < 5; i++) await pause(10); }
      if (how === "the signal") controller.abort();
      const closed = how === "network.close()" ? network.close() : server.close();
      release.resolve();
      assert.equal(await Promise.all(asks), ["first", "second", "third", "fourth"]);
      await closed;
      await assert.rejects(dialer.network.dial(listener.localAddress), { errno: "ECONNREFUSED" });
      await network.close();
      assert.is(most, 1, "maxConnections");
    });
  }

  test("peers from the backlog whose turn does not come within the budget are reset", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const { errors, onError } = told();
    const never = new Promise<void>(() => {});
    const server = serve(listener, () => never, { maxConnections: 1, onError });
    const dials = [0, 1, 2].map(() => own.network.dial(listener.localAddress));
    const clients = await Promise.all(dials);
    await until(() => server.connections === 1, "one is served");
    await server.close({ drainTimeoutMs: 80 });
    for (const client of clients) {
      assert.is(await lastWords(client), "ECONNRESET");
      await client.close();
    }
    assert.equal(errors, []);
  });

  test("close() without a limit outlasts the budgets of the server and the network", async () => {
    const drainTimeoutMs = 50;
    await using own = await started({ ...config, shutdownTimeoutMs: drainTimeoutMs });
    const listener = await own.network.bind("127.0.0.1:0");
    const release = deferred<void>();
    const server = serve(listener, async ({ stream, sink }) => {
      (await stream.recv(1)).release();
      await release.promise;
      await sink.send("answer");
    }, { drainTimeoutMs });
    await using client = await own.network.dial(listener.localAddress);
    await client.sink.send("?");
    await until(() => server.connections === 1, "it is served");
    const closed = server.close({ drainTimeoutMs: null });
    await pause(3 * drainTimeoutMs);
    release.resolve();
    assert.is(await lastWords(client), "answer");
    await closed;
  });

  test("handlers that never end are reset when the budget is over", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const { errors, onError } = told();
    const server = serve(listener, async ({ stream }) => {
      (await stream.recv(2)).release();
      await new Promise<never>(() => {});
    }, { drainTimeoutMs: 60_000, onError });
    await using client = await own.network.dial(listener.localAddress);
    await client.sink.send("hi");
    await until(() => server.connections === 1, "it is served");
    const long = server.close();
    const start = performance.now();
    // A later call can only shorten the budget.
    const counted = await countedMs(server.close({ drainTimeoutMs: 80 }));
    assert.ok(performance.now() - start >= 75, "not before its budget is over");
    await long;
    assert.ok(counted < 3_000, `${counted} ms`);
    assert.is(await lastWords(client), "ECONNRESET");
    assert.equal(errors, [], "a reset of the server's own is no failure");
  });

  test("a server ends with its signal, with its listener, and by await using", async () => {
    await using own = await started(config);
    const ends: ((server: Server, controller: AbortController) => void)[] = [
      (_server, controller) => controller.abort(),
      (server) => void server[Symbol.asyncDispose](),
    ];
    for (const end of ends) {
      const controller = new AbortController();
      const listener = await own.network.bind("127.0.0.1:0");
      const server = serve(listener, echo, { signal: controller.signal });
      await using client = await own.network.dial(listener.localAddress);
      assert.is(await ask(client, "one"), "one");
      end(server, controller);
      assert.is(server.draining, true);
      await client.close();
      await server.finished;
    }
    const listener = await own.network.bind("127.0.0.1:0");
    const server = serve(listener, echo);
    await listener.close();
    await server.finished;
    const late = serve(listener, echo, { signal: AbortSignal.abort() });
    await late.finished;
  });

  test("a server that is full ends with its listener", async () => {
    await using own = await started(config);
    const listener = await own.network.bind("127.0.0.1:0");
    const server = serve(listener, async ({ stream }, { signal }) => {
      await stream.recvSome(undefined, { signal });
    }, { maxConnections: 1 });
    await using client = await own.network.dial(listener.localAddress);
    await until(() => server.connections === 1, "the server is full");
    await listener.close();
    assert.is(await lastWords(client), "a clean end");
    await server.finished;
    assert.ok(server.draining);
  });

  test("network.close() drains servers first, and their handlers may dial", async () => {
    await using upstream = await started(config);
    const source = await upstream.network.bind("127.0.0.1:0");
    await using _upstream = serve(source, echo);
    const { network } = await started(config);
    await using dialer = await started(config);
    const listener = await network.bind("127.0.0.1:0");
    const arrived = deferred<void>();
    serve(listener, async ({ stream, sink }, { signal }) => {
      const request = await stream.recv(4);
      arrived.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      await pause(20);
      await using helper = await network.dial(source.localAddress);
      await helper.sink.send(request);
      await sink.send(await helper.stream.recv(4));
    });
    await using client = await dialer.network.dial(listener.localAddress);
    const answer = ask(client, "help");
    await arrived.promise;
    const closed = network.close();
    await assert.rejects(network.bind("127.0.0.1:0"), { code: "Closed" });
    assert.is(await answer, "help");
    await closed;
    await assert.rejects(network.dial(source.localAddress), { code: "Closed" });
  });

  test("wrong arguments of serve() are refused at once", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const wrong: [unknown, unknown, unknown, RegExp][] = [
      [{}, echo, undefined, /"listener"/],
      [listener, null, undefined, /"handler"/],
      [listener, echo, null, /"options"/],
      [listener, echo, { maxConnections: 0 }, /"options.maxConnections".*1 to/],
      [listener, echo, { maxConnections: 1.5 }, /"options.maxConnections"/],
      [listener, echo, { drainTimeoutMs: -1 }, /"options.drainTimeoutMs"/],
      [listener, echo, { idleTimeoutMs: NaN }, /"options.idleTimeoutMs"/],
      [listener, echo, { onError: "log" }, /"options.onError"/],
      [listener, echo, { signal: {} }, /"options.signal"/],
      [listener, echo, { backlog: 3 }, /"options.backlog".*only/],
    ];
    for (const [first, second, options, message] of wrong) {
      assert.throws(
        () => serve(first as never, second as never, options as never),
        (error: Error) =>
          (error instanceof TypeError || error instanceof RangeError) &&
          message.test(error.message),
      );
    }
    const server = serve(listener, echo);
    await assert.rejects(server.close({ drainTimeoutMs: "1" as never }), TypeError);
    assert.is(server.draining, false);
    await server.close();
  });

  test("network.close() leaves time for an answer that is owed", async () => {
    for (const address of addresses()) {
      await using client = await started(config);
      const { network } = await started(config);
      await using pair = await connect(network, address, client.network);
      await pair.client.sink.send("request");
      await expectText(pair.server, "request");
      const closed = network.close();
      await pause(30);
      await pair.server.sink.send("answer");
      assert.is(await lastWords(pair.client), "answer");
      assert.is(await lastWords(pair.client), "a clean end");
      await closed;
    }
  });

  test("network.close() resets a connection whose answer never comes", async () => {
    await using client = await started(config);
    const { network } = await started({ ...config, shutdownTimeoutMs: 80 });
    await using pair = await connect(network, "127.0.0.1:0", client.network);
    await pair.client.sink.send("request");
    await expectText(pair.server, "request");
    await network.close();
    assert.is(await lastWords(pair.client), "ECONNRESET");
  });

  test("network.close() resets at once what has received, and waits for more", async () => {
    await using client = await started(config);
    const { network } = await started(config);
    await using pair = await connect(network, "127.0.0.1:0", client.network);
    await pair.client.sink.send("request");
    await expectText(pair.server, "request");
    const pending = assert.rejects(pair.server.stream.recv(1), { code: "Closed" });
    await expectQuick(network);
    await pending;
    assert.is(await lastWords(pair.client), "ECONNRESET");
  });

  test("network.close() is quick for connections that owe nothing", async () => {
    await using client = await started(config);
    const { network } = await started(config);
    const pairs = await Promise.all(
      [0, 1, 2].map(() => connect(network, "127.0.0.1:0", client.network)),
    );
    // Nothing was received; what was received is answered; this end has dialled.
    await pairs[1].client.sink.send("request");
    await expectText(pairs[1].server, "request");
    await pairs[1].server.sink.send("answer");
    await expectText(pairs[1].client, "answer");
    await using back = await connect(client.network, "127.0.0.1:0", network);
    await back.server.sink.send("news");
    await expectText(back.client, "news");
    await expectQuick(network);
    for (const { client } of pairs) assert.is(await lastWords(client), "a clean end");
    assert.is(await lastWords(back.server), "a clean end");
    await Promise.all(pairs.map((pair) => pair[Symbol.asyncDispose]()));
  });

  test("network.close() does not wait where the peer is its own and does not receive", async () => {
    const { network } = await started(config);
    const pair = await connect(network);
    await pair.client.sink.send("request");
    await expectText(pair.server, "request");
    await expectQuick(network);
  });
}

/** Well below `shutdownTimeoutMs`. */
async function expectQuick(network: Network): Promise<void> {
  const counted = await countedMs(network.close());
  assert.ok(counted < 2_500, `close() took ${counted} ms`);
}
