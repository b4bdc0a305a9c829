/**
 * Listeners: order, timeouts, iteration, and their end.
 *
 * @module
 */
import { type Connection, type NetworkConfig, NetworkError } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  expectAlive,
  expectText,
  settlesWithin,
  SOON_MS,
  until,
} from "../fixture.ts";

export function accepting(test: ContractSuite, _config: NetworkConfig): void {
  test("a getter of the options that closes the listener: Closed", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const options = {
      get timeoutMs() {
        void listener.close();
        return null;
      },
    };
    await assert.rejects(listener.accept(options), { code: "Closed" });
  });

  test("three clients, one after the other and all at once", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const serve = (async () => {
      for await (const server of listener) {
        (async () => {
          await expectText(server, "0123456789 ping!");
          await server.sink.send("0123456789 pong!");
          await server.close();
        })();
      }
    })();
    const talk = async () => {
      await using client = await network.dial(listener.localAddress);
      await client.sink.send("0123456789 ping!");
      await expectText(client, "0123456789 pong!");
    };
    for (let i = 0; i < 3; i++) await talk();
    await Promise.all([talk(), talk(), talk()]);
    await listener.close();
    await serve;
  });

  test("accept calls are served in order", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const accepts = Array.from({ length: 5 }, () => listener.accept());
    const all: Connection[] = [];
    for (const accept of accepts) {
      const client = await network.dial(listener.localAddress);
      const server = await accept;
      assert.equal(server.remoteAddress, client.localAddress);
      all.push(client, server);
    }
    await Promise.all(all.map((connection) => connection.close()));
  });

  test("a connection has its address, whatever becomes of the listener's", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    await using client = await network.dial(listener.localAddress);
    const shown = listener.localAddress as { hostname: string; port: number };
    shown.hostname = "changed";
    shown.port = 1;
    await using server = await listener.accept();
    assert.equal(server.localAddress, client.remoteAddress);
  });

  test("connections that arrived before accept() wait in order", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const clients: Connection[] = [];
    for (let i = 0; i < 5; i++) clients.push(await network.dial(listener.localAddress));
    for (const client of clients) {
      await using server = await listener.accept();
      assert.equal(server.remoteAddress, client.localAddress);
      await client.close();
    }
  });

  test("accept: Timeout, and a connection that arrives later is not lost", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const start = performance.now();
    const error = await assert.rejects(listener.accept({ timeoutMs: 30 }), {
      code: "Timeout",
      operation: "accept",
    });
    assert.instance(error, NetworkError);
    assert.ok(performance.now() - start >= 30);
    await using client = await network.dial(listener.localAddress);
    await using server = await listener.accept();
    assert.equal(server.remoteAddress, client.localAddress);
    await expectAlive({ client, server });
  });

  test("accept with a signal, aborted before and during: nothing is lost", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const reason = { why: "not an Error" };
    const aborted = listener.accept({ signal: AbortSignal.abort(reason) });
    assert.is(await aborted.catch((error) => error), reason);
    const controller = new AbortController();
    const first = listener.accept({ signal: controller.signal });
    const second = listener.accept();
    controller.abort(reason);
    assert.is(await first.catch((error) => error), reason);
    await using client = await network.dial(listener.localAddress);
    await using server = await second;
    assert.equal(server.remoteAddress, client.localAddress);
    await expectAlive({ client, server });
  });

  test("an accept gives up as a connection arrives: the next one gets it", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    for (let round = 0; round < 50; round++) {
      const controller = new AbortController();
      const accept = listener.accept({ signal: controller.signal });
      const outcome = accept.catch(() => null);
      const client = await network.dial(listener.localAddress);
      if (round % 2 === 0) await Promise.resolve();
      controller.abort();
      const server = await outcome ?? await listener.accept({ timeoutMs: SOON_MS });
      assert.equal(server.remoteAddress, client.localAddress);
      await Promise.all([client.close(), server.close()]);
    }
  });

  test("closing a listener ends pending calls with Closed, and later ones", async ({ network }) => {
    const listener = await network.bind("127.0.0.1:0");
    const pending = [listener.accept(), listener.accept()];
    const checks = pending.map((accept) =>
      assert.rejects(accept, { code: "Closed", operation: "accept" })
    );
    const closing = listener.close();
    await Promise.all(checks);
    await closing;
    await assert.rejects(listener.accept(), { code: "Closed", operation: "accept" });
    await Promise.all([listener.close(), listener.close()]);
    await assert.rejects(network.dial(listener.localAddress), { errno: "ECONNREFUSED" });
  });

  test("closing a listener leaves the accepted connections alone", async ({ network }) => {
    await using pair = await connect(network);
    await pair.listener.close();
    await expectAlive(pair);
  });

  test("connections that were not accepted are reset with the listener", async ({ network }) => {
    const listener = await network.bind("127.0.0.1:0");
    await using client = await network.dial(listener.localAddress);
    const recv = client.stream.recv(1, { timeoutMs: SOON_MS });
    await listener.close();
    await assert.rejects(recv, { code: "RecvFailed", errno: "ECONNRESET", endOfStream: false });
  });

  test("iterating over a listener ends when it closes", async ({ network }) => {
    const listener = await network.bind("127.0.0.1:0");
    const seen: Connection[] = [];
    const loop = (async () => {
      for await (const connection of listener) seen.push(connection);
      return "ended";
    })();
    const clients = [];
    for (let i = 0; i < 3; i++) clients.push(await network.dial(listener.localAddress));
    await until(() => seen.length === 3, "all are accepted");
    assert.not(await settlesWithin(loop, 20));
    await listener.close();
    assert.is(await loop, "ended");
    assert.is(seen.length, 3);
    await Promise.all([...clients, ...seen].map((connection) => connection.close()));
    for await (const _ of listener) assert.unreachable("a closed listener yields nothing");
  });

  test("leaving the iteration leaves the listener open", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    for (let i = 0; i < 2; i++) {
      await using client = await network.dial(listener.localAddress);
      for await (const server of listener) {
        await expectAlive({ client, server });
        await server.close();
        break;
      }
    }
  });

  test("steps that overlap are served in order, and end with the listener", async ({ network }) => {
    const listener = await network.bind("127.0.0.1:0");
    const steps = listener[Symbol.asyncIterator]();
    const pending = [steps.next(), steps.next(), steps.next()];
    const all: Connection[] = [];
    for (const step of pending.slice(0, 2)) {
      const client = await network.dial(listener.localAddress);
      const { value, done } = await step;
      assert.is(done, false);
      assert.equal(value.remoteAddress, client.localAddress);
      all.push(client, value);
    }
    await listener.close();
    assert.equal(await pending[2], { value: undefined, done: true });
    assert.equal(await steps.next(), { value: undefined, done: true });
    await Promise.all(all.map((connection) => connection.close()));
  });

  test("an iteration that was left takes no connection any more", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const steps = listener[Symbol.asyncIterator]();
    assert.equal(await steps.return?.(), { value: undefined, done: true });
    assert.equal(await steps.next(), { value: undefined, done: true });
    await using client = await network.dial(listener.localAddress);
    await using server = await listener.accept();
    await expectAlive({ client, server });
  });

  test("ref and unref of a listener, at any time", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    listener.unref();
    const accept = listener.accept();
    listener.ref();
    listener.unref();
    listener.unref();
    await using client = await network.dial(listener.localAddress);
    await using server = await accept;
    listener.ref();
    await expectAlive({ client, server });
    await listener.close();
    listener.unref();
    listener.ref();
  });
}
