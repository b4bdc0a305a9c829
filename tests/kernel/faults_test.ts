/**
 * Real faults: resets in every state, peers that never read, closes that race completions,
 * connects that are refused again and again.
 *
 * @module
 */
import { connect as netConnect, createServer, type Server, type Socket } from "node:net";
import { type Connection, Network, NetworkError } from "../../mod.ts";
import {
  allocated,
  closeChecked,
  connect,
  type ContractContext,
  descriptors,
  expectAlive,
  expectNoNewDescriptors,
  pattern,
  pause,
  settlesWithin,
  SOON_MS,
  started,
  until,
} from "../contract/fixture.ts";
import { assert, bytesEqual, deferred, Random, suite } from "../harness.ts";

const test = suite<ContractContext>("kernel", {} as ContractContext, { timeoutMs: 60_000 });

test.before(async (context) => {
  await (await Network.start()).close();
  await closeServer(await listen(() => {}));
  context.descriptors = descriptors();
  context.network = await Network.start();
});

test.after(async ({ network, descriptors }) => {
  await closeChecked(network);
  await expectNoNewDescriptors(descriptors);
});

/** A listening server of `node:net`. */
async function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onConnection);
  const listening = deferred();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  return server;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

function closeServer(server: Server): Promise<void> {
  const closed = deferred();
  server.close(() => closed.resolve());
  return closed.promise;
}

/** How a call ended: "ok", or the code of its error. */
function ending(call: Promise<unknown>): Promise<string> {
  const released = (value: unknown) => {
    (value as Disposable | null | undefined)?.[Symbol.dispose]();
    return "ok";
  };
  return call.then(released, (error) => {
    assert.instance(error, NetworkError);
    return (error as NetworkError).code;
  });
}

// ------------------------------------------------------------------------------- RST in each state

const STATES: readonly [
  name: string,
  enter: (
    connection: Connection,
    peer: Connection,
  ) => Promise<unknown>[] | Promise<Promise<unknown>[]>,
  expected: readonly string[][],
][] = [
  ["idle, then recv", () => [], [["RecvFailed"]]],
  ["waiting in recv", ({ stream }) => [stream.recv(10)], [["RecvFailed"], ["Closed"]]],
  ["waiting in recvSome", ({ stream }) => [stream.recvSome()], [["RecvFailed"], ["Closed"]]],
  ["waiting in a large recv", ({ stream }) => [stream.recv(1 << 20)], [["RecvFailed"], ["Closed"]]],
  [
    "in the middle of a message",
    async ({ stream }, peer) => {
      const recv = stream.recv(10);
      await peer.sink.send("01234");
      await until(() => stream.bytesReceived === 5, "half has arrived");
      return [recv];
    },
    // Bytes that had arrived stay readable.
    [["RecvFailed"], ["ok"]],
  ],
  [
    "in the middle of a large message",
    async ({ stream }, peer) => {
      const recv = stream.recv(1 << 20);
      await peer.sink.send(pattern(1_000));
      await until(() => stream.bytesReceived === 1_000, "a part has arrived");
      return [recv];
    },
    // Bytes that had arrived stay readable.
    [["RecvFailed"], ["ok"]],
  ],
  [
    "with a send that waits",
    async ({ sink }) => {
      const send = sink.send(pattern(24 << 20));
      await until(() => sink.bytesSent > 0, "a part is taken");
      return [send];
    },
    [["SendFailed"], ["RecvFailed", "Closed"]],
  ],
  [
    "with a queue of sends that wait",
    async ({ sink }) => {
      const sends = [sink.send(pattern(24 << 20)), sink.send("b"), sink.send(pattern(100_000))];
      await until(() => sink.bytesSent > 0, "a part is taken");
      return sends;
    },
    [["SendFailed"], ["Closed"], ["Closed"], ["RecvFailed", "Closed"]],
  ],
  [
    "sending and receiving",
    async ({ sink, stream }) => {
      const calls = [sink.send(pattern(24 << 20)), stream.recv(5)];
      await until(() => sink.bytesSent > 0, "a part is taken");
      return calls;
    },
    // The socket tells its error once: whoever asks next sees a broken pipe or the end.
    [["SendFailed"], ["RecvFailed"], ["Closed", "RecvFailed"]],
  ],
  [
    "half closed by us",
    async ({ sink, stream }) => {
      await sink.close();
      return [stream.recv(1)];
    },
    [["RecvFailed"], ["Closed"]],
  ],
  [
    "half closed by the peer",
    async ({ stream }, peer) => {
      await peer.sink.close();
      assert.is(await stream.recvSome(), null);
      return [];
    },
    [["RecvFailed", "Closed"]],
  ],
  [
    "half closed by both",
    async ({ sink, stream }, peer) => {
      await Promise.all([sink.close(), peer.sink.close()]);
      assert.is(await stream.recvSome(), null);
      return [];
    },
    [["RecvFailed", "Closed"]],
  ],
];

for (const [name, enter, expected] of STATES) {
  test(`RST while ${name}`, async ({ network }) => {
    for (let round = 0; round < 3; round++) {
      await using pair = await connect(network);
      const calls = await enter(pair.client, pair.server);
      for (const call of calls) call.catch(() => {});
      pair.server.reset();
      const endings: string[] = [];
      for (const call of calls) endings.push(await ending(call));
      endings.push(await ending(pair.client.stream.recv(1, { timeoutMs: SOON_MS })));
      const fits = endings.every((code, i) => expected[i].includes(code));
      assert.ok(fits, `got ${endings}, expected ${JSON.stringify(expected)}`);
      // And whatever it was, the connection can be closed, and a new one works.
      await pair.client.close();
    }
    await using pair = await connect(network);
    await expectAlive(pair);
  });
}

test("RST before accept: the connection is accepted, then fails", async ({ network }) => {
  await using listener = await network.bind("127.0.0.1:0");
  const client = await network.dial(listener.localAddress);
  client.reset();
  await client.close();
  await using server = await listener.accept({ timeoutMs: SOON_MS });
  assert.is(await ending(server.stream.recv(1)), "RecvFailed");
});

test("sending into RST again and again: one SendFailed each, no signal", async ({ network }) => {
  for (let round = 0; round < 30; round++) {
    await using pair = await connect(network);
    pair.server.reset();
    const codes: string[] = [];
    for (let i = 0; i < 5; i++) {
      codes.push(await ending(pair.client.sink.send([pattern(10), pattern(3_000)])));
    }
    assert.is(codes.filter((code) => code === "SendFailed").length, 1, `${codes}`);
    assert.is(codes.at(-1), "Closed");
  }
});

// ------------------------------------------------------------------------- peers that do not read

test("a peer that never reads: memory stays bounded however much is to be sent", async () => {
  const sockets: Socket[] = [];
  const server = await listen((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  });
  {
    await using own = await started({});
    const { network } = own;
    const bytes = pattern(64 << 20);
    const connections: Connection[] = [];
    const sends: Promise<unknown>[] = [];
    for (let i = 0; i < 8; i++) {
      const connection = await network.dial({ hostname: "127.0.0.1", port: portOf(server) });
      connections.push(connection);
      for (let j = 0; j < 10; j++) sends.push(connection.sink.send(bytes).catch(() => {}));
    }
    await pause(200);
    // Ten sends of 64 MiB each: the first window of each call, and four of the one in flight.
    const { classes } = network.pool.stats();
    const held = classes.reduce((sum, { allocated, sizeBytes }) => sum + allocated * sizeBytes, 0);
    const boundBytes = 8 * (10 + 4 + 1) * 65_536;
    assert.ok(held <= boundBytes, `${held} bytes of the pool are held, bound ${boundBytes}`);
    const sent = connections.reduce((sum, { sink }) => sum + sink.bytesSent, 0);
    assert.ok(sent < 8 * bytes.length, `${sent} bytes with the kernel`);
    for (const connection of connections) connection.reset();
    await Promise.all(sends);
    await until(() => allocated(network) <= 256, "everything came back");
  }
  for (const socket of sockets) socket.destroy();
  await closeServer(server);
});

test("a peer that pauses and resumes gets every byte once", async ({ network }) => {
  const arrived = deferred<Uint8Array>();
  const server = await listen((socket) => {
    const parts: Uint8Array[] = [];
    let size = 0;
    socket.on("data", (part: Uint8Array) => {
      parts.push(new Uint8Array(part));
      size += part.length;
      if (parts.length % 20 === 0) {
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      }
    });
    socket.on("end", () => {
      const whole = new Uint8Array(size);
      let at = 0;
      for (const part of parts) {
        whole.set(part, at);
        at += part.length;
      }
      socket.end();
      arrived.resolve(whole);
    });
    socket.on("error", arrived.reject);
    setTimeout(() => socket.resume(), 30);
  });
  {
    await using client = await network.dial({ hostname: "127.0.0.1", port: portOf(server) });
    const bytes = pattern(12 << 20, 3);
    const sends: Promise<void>[] = [];
    const random = new Random();
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(at + random.int(1, 600_000), bytes.length);
      sends.push(client.sink.send(bytes.subarray(at, end)));
      at = end;
    }
    await Promise.all([...sends, client.sink.close()]);
    bytesEqual(await arrived.promise, bytes);
    assert.is(await client.stream.recvSome(), null);
  }
  await closeServer(server);
});

test("a peer that sends single bytes does not pin a buffer with each", async ({ network }) => {
  await using listener = await network.bind("127.0.0.1:0");
  const { port } = listener.localAddress as { port: number };
  const socket = netConnect({ port, host: "127.0.0.1", noDelay: true });
  const closed = deferred();
  socket.on("close", () => closed.resolve());
  await using server = await listener.accept();
  const waiting = server.stream.recv(60_000).catch((error) => error);
  const before = allocated(network);
  for (let i = 0; i < 300; i++) {
    socket.write(new Uint8Array([i & 0xff]));
    if (i % 3 === 0) await pause(0);
  }
  await until(() => server.stream.bytesReceived === 300, "all have arrived");
  assert.ok(allocated(network) - before <= 8, `${allocated(network) - before} buffers`);
  socket.end();
  assert.is((await waiting).code, "RecvFailed");
  const received = (await server.stream.recv(300)).toUint8Array();
  bytesEqual(received, Uint8Array.from({ length: 300 }, (_, i) => i & 0xff));
  await server.close();
  await closed.promise;
});

// --------------------------------------------------------------------------------------- the races

test("close() races a completion, in every way, 200 times", async ({ network }) => {
  const random = new Random();
  for (let round = 0; round < 200; round++) {
    await using pair = await connect(network);
    const { client, server } = pair;
    const calls = [
      client.stream.recv(random.pick([1, 100, 100_000])),
      client.stream.recvSome(),
      server.stream.recvSome(),
      client.sink.send(pattern(random.pick([1, 3_000, 200_000]))),
    ].map((call) =>
      (call as Promise<Disposable | null | void>).then((got) => {
        if (got) got[Symbol.dispose]();
      }, (error) => assert.instance(error, NetworkError))
    );
    const sending = server.sink.send(pattern(random.pick([1, 100, 150_000]))).catch(() => {});
    for (let i = random.int(0, 6); i > 0; i--) await Promise.resolve();
    if (random.chance(0.3)) await pause(0);
    const end = random.int(0, 3);
    if (end === 0) client.reset();
    if (end === 1) void client.close();
    if (end === 2) void server.close();
    if (end === 3) server.reset();
    if (random.chance(0.5)) client.reset();
    await Promise.all([client.close(), server.close(), sending, ...calls]);
  }
  await until(() => network.stats().connections === 0, "all are closed");
});

test("an accept that completes while its listener closes, 200 times", async ({ network }) => {
  const before = descriptors();
  const random = new Random();
  for (let round = 0; round < 200; round++) {
    const listener = await network.bind("127.0.0.1:0");
    const accept = listener.accept().catch(() => null);
    const dial = network.dial(listener.localAddress).catch(() => null);
    for (let i = random.int(0, 8); i > 0; i--) await Promise.resolve();
    if (random.chance(0.2)) await pause(0);
    await listener.close();
    const [server, client] = await Promise.all([accept, dial]);
    await Promise.all([server?.close(), client?.close()]);
  }
  assert.is(network.stats().connections, 0);
  await expectNoNewDescriptors(before);
});

test("a dial that completes as it is aborted, 200 times", async ({ network }) => {
  const before = descriptors();
  const random = new Random();
  await using listener = await network.bind("127.0.0.1:0");
  const serve = (async () => {
    for await (const connection of listener) void connection.close();
  })();
  for (let round = 0; round < 200; round++) {
    const controller = new AbortController();
    const dial = network.dial(listener.localAddress, { signal: controller.signal });
    const outcome = dial.catch(() => null);
    for (let i = random.int(0, 10); i > 0; i--) await Promise.resolve();
    if (random.chance(0.2)) await pause(0);
    controller.abort();
    await (await outcome)?.close();
  }
  await listener.close();
  await serve;
  await until(() => network.stats().connections === 0, "all are closed");
  await expectNoNewDescriptors(before);
});

test("connects that are refused, 500 times: no descriptor is left", async ({ network }) => {
  const before = descriptors();
  const listener = await network.bind("127.0.0.1:0");
  const address = listener.localAddress;
  await listener.close();
  for (let round = 0; round < 10; round++) {
    const dials = Array.from(
      { length: 50 },
      () => network.dial(address).then(() => "connected", (error) => error.errno),
    );
    for (const outcome of await Promise.all(dials)) assert.is(outcome, "ECONNREFUSED");
  }
  await expectNoNewDescriptors(before);
});

test("1,500 dials at once: more than there is room for addresses", async ({ network }) => {
  // The shortest limit of a kernel (somaxconn), which drops connections that exceed a backlog.
  const backlog = 128;
  const listeners = await Promise.all(
    Array.from(
      { length: Math.ceil(1_500 / backlog) },
      () => network.bind("127.0.0.1:0", { backlog }),
    ),
  );
  const dials = Array.from(
    { length: 1_500 },
    (_, i) => network.dial(listeners[i % listeners.length].localAddress),
  );
  const servers: Connection[] = [];
  const serve = Promise.all(listeners.map(async (listener, at) => {
    for (let i = at; i < 1_500; i += listeners.length) {
      servers.push(await listener.accept({ timeoutMs: SOON_MS }));
    }
  }));
  serve.catch(() => {});
  const outcomes = await Promise.allSettled(dials);
  const failed = outcomes.filter(({ status }) => status === "rejected");
  assert.is(failed.length, 0, `${(failed[0] as PromiseRejectedResult)?.reason}`);
  await serve;
  const clients = outcomes.map((each) => (each as PromiseFulfilledResult<Connection>).value);
  await Promise.all([...clients, ...servers, ...listeners].map((each) => each.close()));
});

test("dialing a unix listener whose backlog is full ends with its budget", async ({ network }) => {
  const path = `\0uringnet-full-${new Random().next()}`;
  await using _listener = await network.bind({ path }, { backlog: 0 });
  const first = await network.dial({ path });
  const dials = Array.from({ length: 4 }, () =>
    network.dial({ path }, { timeoutMs: 100 }).then(
      (connection) => connection.close().then(() => "ok"),
      (error) => error.code as string,
    ));
  const outcome = Promise.all(dials);
  assert.ok(await settlesWithin(outcome, SOON_MS), "each ends");
  const timeouts = (await outcome).filter((code) =>
    code === "Timeout" || code === "ConnectionFailed"
  );
  assert.ok(timeouts.length >= 3, `${await outcome}`);
  await first.close();
});

test.run();
