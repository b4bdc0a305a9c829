/**
 * Binding and dialing: addresses of every kind, and every kind of failure.
 *
 * @module
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { type Connection, type NetworkConfig, NetworkError } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import {
  bindAlone,
  bindFamilies,
  connect,
  type ContractSuite,
  countedMs,
  expectAlive,
  expectText,
  settlesWithin,
  socketPath,
  SOON_MS,
  started,
} from "../fixture.ts";

export function connecting(test: ContractSuite, config: NetworkConfig): void {
  test("bind and dial: 16 bytes each way", async ({ network }) => {
    await using pair = await connect(network);
    await pair.client.sink.send("client_send_data");
    await expectText(pair.server, "client_send_data");
    await pair.server.sink.send("server_send_data");
    await expectText(pair.client, "server_send_data");
  });

  test("port 0 becomes a real port, and each end knows both addresses", async ({ network }) => {
    await using pair = await connect(network);
    const { listener, client, server } = pair;
    const bound = listener.localAddress;
    assert.ok("port" in bound && bound.port > 0 && bound.hostname === "127.0.0.1");
    assert.equal(client.remoteAddress, bound);
    assert.equal(server.localAddress, bound);
    assert.equal(server.remoteAddress, client.localAddress);
  });

  test("addresses may be text or objects", async ({ network }) => {
    await using listener = await network.bind({ hostname: "127.0.0.1", port: 0 });
    const { hostname, port } = listener.localAddress as { hostname: string; port: number };
    for (const address of [`${hostname}:${port}`, { hostname, port }]) {
      await using client = await network.dial(address);
      await using server = await listener.accept();
      await expectAlive({ client, server });
    }
  });

  test("IPv6, in brackets and bare", async ({ network }) => {
    for (
      const address of ["[::1]:0", { hostname: "::1", port: 0 }, { hostname: "[::1]", port: 0 }]
    ) {
      await using pair = await connect(network, address);
      assert.is((pair.listener.localAddress as { hostname: string }).hostname, "::1");
      assert.is((pair.server.remoteAddress as { hostname: string }).hostname, "::1");
      await expectAlive(pair);
    }
  });

  test("IPv6 with an interface, by name and by number", async ({ network }) => {
    await using listener = await network.bind("[::1%lo]:0");
    const { port } = listener.localAddress as { port: number };
    for (const hostname of ["::1%lo", "[::1%lo]", "::1%1"]) {
      await using client = await network.dial({ hostname, port });
      await using server = await listener.accept();
      await expectAlive({ client, server });
    }
  });

  test("an interface that does not exist: ENODEV, and later calls work", async ({ network }) => {
    for (const name of ["nosuch0", "25lo", "99999999999"]) {
      const address = `[fe80::1%${name}]:80`;
      const dialing = await assert.rejects(network.dial(address), {
        code: "ConnectionFailed",
        errno: "ENODEV",
      });
      assert.ok((dialing.message as string).includes(name), dialing.message as string);
      await assert.rejects(network.bind(address), { code: "BindFailed", errno: "ENODEV" });
    }
    await using pair = await connect(network);
    await expectAlive(pair);
  });

  const BOUND_AND_DIALED = [["127.0.0.1", "127.0.0.1"], ["0.0.0.0", "127.0.0.2"], [
    "[::]",
    "[::1]",
  ]];
  for (const [bound, dialed] of BOUND_AND_DIALED) {
    test(`accepted on ${bound}: the own address is known after the end`, async ({ network }) => {
      await using listener = await network.bind(`${bound}:0`);
      const { port } = listener.localAddress as { port: number };
      for (const end of ["close", "reset"] as const) {
        await using client = await network.dial(`${dialed}:${port}`);
        const server = await listener.accept();
        await server[end]();
        assert.equal(server.localAddress, client.remoteAddress);
        (server.localAddress as { port: number }).port = 0;
      }
      assert.is((listener.localAddress as { port: number }).port, port);
    });
  }

  test("an IPv6 listener takes IPv4 as well, unless ipv6Only", async ({ network }) => {
    await using both = await network.bind("[::]:0");
    const { port } = both.localAddress as { port: number };
    await using client = await network.dial({ hostname: "127.0.0.1", port });
    await using server = await both.accept();
    assert.is((server.remoteAddress as { hostname: string }).hostname, "::ffff:127.0.0.1");
    await using again = await network.dial({ hostname: "::ffff:127.0.0.1", port });
    await using other = await both.accept();
    await expectAlive({ client: again, server: other });
    await expectAlive({ client, server });

    const families = await bindFamilies(network);
    await using four = families.four;
    await using six = families.six;
    for (const [hostname, listener] of [["127.0.0.1", four], ["::1", six]] as const) {
      await using client = await network.dial({ hostname, port: families.port });
      await using server = await listener.accept({ timeoutMs: SOON_MS });
      assert.equal(server.remoteAddress, client.localAddress);
    }
  });

  test("ipv6Only has no effect without IPv6, reusePort none without a port", async (context) => {
    const { network } = context;
    const path = socketPath();
    for (const address of ["127.0.0.1:0", { path }, { path: `\0${path}` }]) {
      const options = { ipv6Only: true, reusePort: typeof address !== "string" };
      await using listener = await network.bind(address, options);
      await using client = await network.dial(listener.localAddress);
      await using server = await listener.accept();
      await expectAlive({ client, server });
    }
  });

  test("localhost is a name for both loopback addresses", async ({ network }) => {
    await using pair = await connect(network, "localhost:0");
    await expectAlive(pair);
    for (const [own, other] of [["127.0.0.1", "::1"], ["::1", "127.0.0.1"]]) {
      const options = own === "::1" ? { ipv6Only: true } : {};
      await using listener = await bindAlone(network, own, other, options);
      const { port } = listener.localAddress as { port: number };
      await using client = await network.dial(`localhost:${port}`);
      await using server = await listener.accept();
      await expectAlive({ client, server });
    }
  });

  test("dialing where no socket listens: ConnectionFailed, ECONNREFUSED", async ({ network }) => {
    for (const address of ["127.0.0.1:1", "localhost:1", "[::1]:1"]) {
      const error = await assert.rejects(network.dial(address), {
        code: "ConnectionFailed",
        errno: "ECONNREFUSED",
        operation: "dial",
        bytesDone: 0,
      });
      assert.instance(error, NetworkError);
      assert.ok(error.message.includes(address), error.message);
    }
  });

  test("binding a used port: BindFailed, EADDRINUSE", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const { port } = listener.localAddress as { port: number };
    const error = await assert.rejects(network.bind(`127.0.0.1:${port}`), {
      code: "BindFailed",
      errno: "EADDRINUSE",
      operation: "bind",
    });
    assert.ok(error.message.includes(`127.0.0.1:${port}`), error.message);
    await using client = await network.dial(listener.localAddress);
    await using server = await listener.accept();
    await expectAlive({ client, server });
  });

  test("binding an address of another machine: BindFailed, EADDRNOTAVAIL", async ({ network }) => {
    await assert.rejects(network.bind("192.0.2.1:0"), {
      code: "BindFailed",
      errno: "EADDRNOTAVAIL",
    });
  });

  test("a port is free again as soon as its listener is closed", async ({ network }) => {
    let port = 0;
    for (let round = 0; round < 5; round++) {
      await using listener = await network.bind({ hostname: "127.0.0.1", port });
      port = (listener.localAddress as { port: number }).port;
      const [client, server] = await Promise.all([
        network.dial(listener.localAddress),
        listener.accept(),
      ]);
      // The listener's side closes first, so that its end stays in TIME_WAIT.
      await server.close();
      await client.close();
    }
  });

  test("reusePort: several listeners share a port, and only with it", async ({ network }) => {
    await using first = await network.bind("127.0.0.1:0", { reusePort: true });
    await assert.rejects(network.bind(first.localAddress), {
      code: "BindFailed",
      errno: "EADDRINUSE",
    });
    await using second = await network.bind(first.localAddress, { reusePort: true });
    assert.equal(second.localAddress, first.localAddress);
    const served = { first: 0, second: 0 };
    const serve = async (name: "first" | "second", listener: typeof first) => {
      for await (const connection of listener) {
        served[name]++;
        await connection.sink.send(name);
        await connection.close();
      }
    };
    const serving = [serve("first", first), serve("second", second)];
    for (let i = 0; i < 30; i++) {
      await using client = await network.dial(first.localAddress);
      const greeting = (await client.stream.recvSome())?.text();
      assert.ok(greeting === "first" || greeting === "second");
    }
    await Promise.all([first.close(), second.close(), ...serving]);
    assert.is(served.first + served.second, 30);
    assert.ok(served.first > 0 && served.second > 0, `shared as ${JSON.stringify(served)}`);
  });

  test("unix sockets: a path, which is removed when the listener closes", async ({ network }) => {
    const path = socketPath();
    for (const address of [{ path }, `unix:${path}`]) {
      {
        await using pair = await connect(network, address);
        assert.ok(existsSync(path));
        assert.equal(pair.listener.localAddress, { path });
        assert.equal(pair.client.remoteAddress, { path });
        assert.equal(pair.server.localAddress, { path });
        assert.equal(pair.server.remoteAddress, { path: "" });
        await expectAlive(pair);
        pair.client.setNoDelay(true);
        pair.client.setKeepAlive(true);
      }
      assert.not(existsSync(path), "the socket's file is gone");
    }
    await assert.rejects(network.dial({ path }), { code: "ConnectionFailed", errno: "ENOENT" });
  });

  test("unix sockets: errors name the path at both ends", async ({ network }) => {
    const path = socketPath();
    await using pair = await connect(network, { path });
    for (const { stream } of [pair.client, pair.server]) {
      await assert.rejects(stream.recv(9, { timeoutMs: 0 }), {
        message: `Cannot receive 9 bytes from unix:${path}: 0 ms passed after 0 bytes`,
      });
    }
    await pair.server.close();
    await assert.rejects(pair.server.sink.send("late"), {
      message: "Cannot send to an unnamed unix socket: the sink is closed",
    });
    await assert.rejects(pair.client.sink.send("late"), {
      message: `Cannot send 4 bytes to unix:${path}: broken pipe (EPIPE) after 0 bytes`,
    });
  });

  test("unix sockets: an existing file is neither used nor removed", async ({ network }) => {
    const path = socketPath();
    writeFileSync(path, "mine");
    try {
      await assert.rejects(network.bind({ path }), { code: "BindFailed", errno: "EADDRINUSE" });
      assert.ok(existsSync(path));
    } finally {
      rmSync(path);
    }
  });

  test("unix sockets: abstract names leave no file", async ({ network }) => {
    const path = `\0${socketPath().slice(5)}`;
    await using pair = await connect(network, { path });
    assert.equal(pair.listener.localAddress, { path });
    assert.equal(pair.client.remoteAddress, { path });
    await expectAlive(pair);
    await assert.rejects(network.bind({ path }), { code: "BindFailed", errno: "EADDRINUSE" });
  });

  test("unix sockets: a dial from an abstract name has it at both ends", async ({ network }) => {
    const name = { path: `\0${socketPath().slice(5)}` };
    const from = { path: `${name.path}-from` };
    await using listener = await network.bind(name);
    await using client = await network.dial(name, { localAddress: from });
    await using server = await listener.accept();
    assert.equal([client.localAddress, server.remoteAddress], [from, from]);
  });

  test("unix sockets: paths of at most 107 bytes", async ({ network }) => {
    const base = socketPath();
    const path = base + "x".repeat(107 - base.length);
    await using pair = await connect(network, { path });
    assert.equal(pair.client.remoteAddress, { path });
    await expectAlive(pair);
    await assert.rejects(network.bind({ path: `${path}x` }), RangeError);
  });

  /** A listener whose backlog is full: the next dial gets no answer. */
  async function full(network: ContractNetwork) {
    const listener = await network.bind("127.0.0.1:0", { backlog: 0 });
    const waiting = await network.dial(listener.localAddress);
    return {
      listener,
      async [Symbol.asyncDispose]() {
        await Promise.all([waiting.close(), listener.close()]);
      },
    };
  }

  test("dialing a listener whose backlog is full: Timeout, not before and soon after", async () => {
    await using own = await started({ ...config, connectTimeoutMs: 100 });
    await using target = await full(own.network);
    const start = performance.now();
    const dial = own.network.dial(target.listener.localAddress);
    const counted = countedMs(dial);
    const error = await assert.rejects(dial, { code: "Timeout", operation: "dial" });
    assert.ok(performance.now() - start >= 100, "not before its budget is over");
    assert.instance(error, NetworkError);
    assert.ok(await counted < 300, `it took ${await counted} ms`);
  });

  test("a dial's own budget comes before the configured one", async ({ network }) => {
    await using target = await full(network);
    const start = performance.now();
    const dial = network.dial(target.listener.localAddress, { timeoutMs: 40 });
    await assert.rejects(dial, { code: "Timeout" });
    assert.ok(performance.now() - start >= 40);

    await using own = await started({ ...config, connectTimeoutMs: 20 });
    const controller = new AbortController();
    const endless = own.network.dial(target.listener.localAddress, {
      timeoutMs: null,
      signal: controller.signal,
    });
    assert.not(await settlesWithin(endless, 60), "null is no budget");
    controller.abort("enough");
    assert.is(await endless.catch((reason) => reason), "enough");
  });

  test("dialing with a signal: aborted before and during", async ({ network }) => {
    await using target = await full(network);
    const reason = new Error("no longer wanted");
    const aborted = network.dial(target.listener.localAddress, {
      signal: AbortSignal.abort(reason),
    });
    assert.is(await aborted.catch((error) => error), reason);
    const controller = new AbortController();
    const dial = network.dial(target.listener.localAddress, { signal: controller.signal });
    assert.not(await settlesWithin(dial, 20));
    controller.abort(reason);
    assert.is(await dial.catch((error) => error), reason);
    await using pair = await connect(network);
    controller.abort();
    await expectAlive(pair);
  });

  test("a signal that is aborted after its dial succeeded changes nothing", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const controller = new AbortController();
    await using client = await network.dial(listener.localAddress, { signal: controller.signal });
    await using server = await listener.accept();
    controller.abort();
    await expectAlive({ client, server });
  });

  test("a hundred dials at once", async ({ network }) => {
    await using listener = await network.bind("127.0.0.1:0");
    const before = network.stats();
    const dials = Array.from({ length: 100 }, () => network.dial(listener.localAddress));
    const accepts = Array.from({ length: 100 }, () => listener.accept());
    const clients = await Promise.all(dials);
    const servers = await Promise.all(accepts);
    const after = network.stats();
    assert.is(after.outboundConnections - before.outboundConnections, 100);
    assert.is(after.inboundConnections - before.inboundConnections, 100);
    assert.is(after.connections - before.connections, 200);
    const ports = (list: Connection[], which: "localAddress" | "remoteAddress") =>
      list.map((connection) => (connection[which] as { port: number }).port).sort();
    assert.equal(ports(clients, "localAddress"), ports(servers, "remoteAddress"));
    await Promise.all([...clients, ...servers].map((connection) => connection.close()));
    assert.is(network.stats().connections, before.connections);
  });
}

type ContractNetwork = Parameters<typeof connect>[0];
