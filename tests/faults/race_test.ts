/**
 * Races between a cancel, a completion and data, forced one way and then the other: the table holds
 * completions and cancels back until the test lets them go.
 *
 *   kernel done, completion held -> the call times out or is aborted -> completion let go
 *   cancel held -> data arrives -> cancel let go
 *
 * @module
 */
import type { CallOptions, Connection, Network, NetworkConfig, Sink } from "../../mod.ts";
import { LIMITS } from "../../src/base/limits.ts";
import { HEADER } from "../../src/ring/port.ts";
import { expectEnd, readAll, settlesWithin, until } from "../contract/fixture.ts";
import { assert, bytesEqual, Random } from "../harness.ts";
import {
  closeEmpty,
  closePair,
  connectFaulty,
  errorOf,
  expectError,
  faultSuite,
  type FaultyPair,
  macrotask,
  Script,
  soon,
  withFaulty,
  withPair,
} from "./fixture.ts";
import { FaultyNetwork } from "./library.ts";
import { type Fault, type OperationKind, table } from "./table.ts";

const test = faultSuite("races");

const QUIET_ROUNDS = 4;
const BUDGET_MS = 30;

const hold = (on: OperationKind, repeat = 1): Fault => ({ on, delayTurns: "forever", repeat });

/** Operations that the kernel has not completed, whether their completions are held or not. */
function withKernel(network: FaultyNetwork): number {
  const { recvRing, sendRing } = network.context;
  const count = recvRing.port.header[HEADER.inFlight];
  return recvRing === sendRing ? count : count + sendRing.port.header[HEADER.inFlight];
}

/**
 * Waits until the peer's window is full: turns in rounds of the event loop complete nothing. False
 * when the send has ended before that, or is about to.
 */
async function untilStalled(
  network: FaultyNetwork,
  sink: Sink,
  sending: Promise<unknown>,
): Promise<boolean> {
  let isOver = false;
  sending.catch(() => {}).then(() => isOver = true);
  for (let quiet = 0, seen = 0; quiet < QUIET_ROUNDS || withKernel(network) !== 1;) {
    await macrotask();
    if (isOver || table.acted() > 0) return false;
    quiet = sink.bytesSent === seen && seen > 0 ? quiet + 1 : 0;
    seen = sink.bytesSent;
  }
  return true;
}

/**
 * Plays a race on a pair of its own, with a longer budget each time, until the budget does not end
 * before the send has stalled.
 */
async function untilInTime(
  healthy: Network,
  play: (pair: FaultyPair, budgetMs: number) => Promise<boolean>,
): Promise<void> {
  let isInTime = false;
  for (let budgetMs = BUDGET_MS; !isInTime; budgetMs *= 4) {
    await withPair(healthy, {}, async (pair) => {
      isInTime = await play(pair, budgetMs);
      table.reset();
    });
  }
}

/** The kernel has answered, and the core does not know it. */
function held(): Promise<void> {
  return soon(() => table.held() > 0, "a completion is held");
}

/** Ends a call the hard way, and waits until it has. */
const ENDINGS: readonly [
  name: string,
  end: (
    start: (options: CallOptions) => Promise<unknown>,
    budgetMs?: number,
  ) => {
    call: Promise<unknown>;
    now(): void;
    ended(result: Promise<unknown>): Promise<void>;
  },
][] = [
  ["times out", (start, budgetMs = BUDGET_MS) => ({
    call: start({ timeoutMs: budgetMs }),
    now: () => {},
    ended: async (call) => expectError(await errorOf(call), { code: "Timeout" }),
  })],
  ["is aborted", (start) => {
    const controller = new AbortController();
    return {
      call: start({ signal: controller.signal }),
      now: () => controller.abort("enough"),
      ended: (call) =>
        call.then(
          () => assert.unreachable("it was aborted"),
          (reason) => assert.is(reason, "enough"),
        ),
    };
  }],
];

const WAYS: readonly [
  name: string,
  kind: "recv" | "recvSelect" | "recvMultishot",
  config: NetworkConfig,
  warmUpCount: number,
][] = [
  ["into its result", "recv", { readBufferSize: 0 }, 0],
  ["into a read buffer", "recvSelect", {}, 0],
  ["that completes many times", "recvMultishot", {}, LIMITS.multishotAfterCount],
];

async function warmUp(pair: FaultyPair, script: Script, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const received = pair.client.stream.recv(10);
    await pair.server.sink.send(script.next(10));
    script.check((await received).toUint8Array());
  }
}

for (const [way, kind, config, warmUpCount] of WAYS) {
  for (const [ending, make] of ENDINGS) {
    test(`class 4: a receive ${way} ${ending} as its bytes come: none is lost`, async (c) => {
      await withPair(c.healthy, config, async (pair) => {
        const { client: { stream }, server } = pair;
        const script = new Script(2_000);
        table.reset(hold(kind));
        await warmUp(pair, script, warmUpCount);
        const { call, now, ended } = make((options) => stream.recv(1_000, options));
        const result = ended(call);
        await server.sink.send(script.next(400));
        await held();
        now();
        await result;
        const next = stream.recv(700);
        await server.sink.send(script.next(600));
        table.clear(0);
        script.check((await next).toUint8Array());
        script.check((await stream.recv(300)).toUint8Array());
        assert.is(stream.bytesReceived, script.received);
      });
    });

    test(`class 4: a receive ${way} ${ending}, bytes come before its cancel`, async (c) => {
      await withPair(c.healthy, config, async (pair) => {
        const { client: { stream }, server, faulty } = pair;
        const script = new Script(60_000);
        table.reset(hold("cancel"));
        await warmUp(pair, script, warmUpCount);
        const { call, now, ended } = make((options) => stream.recv(1_000, options));
        const result = ended(call);
        await soon(() => withKernel(faulty) === 1, "the receive is with the kernel");
        now();
        await result;
        // A receive into its result is cancelled; the cancel is on its way, and bytes are faster.
        await server.sink.send(script.next(400));
        script.check((await stream.recv(300)).toUint8Array());
        const next = stream.recv(400);
        await soon(() => withKernel(faulty) === 1, "the next receive is with the kernel");
        // The cancel arrives now, and finds nothing: the next receive is none of its business.
        table.clear(0);
        for (let i = 0; i < 5; i++) await macrotask();
        await server.sink.send(script.next(300));
        script.check((await next).toUint8Array());
      });
    });

    test(`class 3: a receive ${way} ${ending}, and its cancel is answered late`, async (c) => {
      await withPair(c.healthy, config, async (pair) => {
        const { client: { stream }, server } = pair;
        const script = new Script(2_000);
        table.reset({ on: kind, delayTurns: 200 });
        await warmUp(pair, script, warmUpCount);
        const { call, now, ended } = make((options) => stream.recv(1_000, options));
        const result = ended(call);
        for (let i = 0; i < 3; i++) await macrotask();
        now();
        await result;
        const next = stream.recv(500);
        await server.sink.send(script.next(500));
        script.check((await next).toUint8Array());
      });
    });
  }

  for (const how of ["close", "reset"] as const) {
    test(`class 5: ${how}() while a completion ${way} is on its way`, async (context) => {
      await withFaulty(config, async (faulty) => {
        const pair = await connectFaulty(faulty, context.healthy);
        table.reset(hold(kind));
        const script = new Script(3_000);
        await warmUp(pair, script, warmUpCount);
        const waiting = errorOf(pair.client.stream.recv(1_000));
        await pair.server.sink.send(script.next(500));
        await held();
        if (how === "reset") pair.client.reset();
        const closed = pair.client.close();
        expectError(await waiting, { code: "Closed", operation: "recv" });
        // The operation has not come back: its descriptor must not be free for another connection.
        assert.not(await settlesWithin(closed, 20));
        assert.is(faulty.stats().connections, 1);
        const other = await connectFaultyAgain(faulty, context.healthy);
        await other.server.sink.send("mine");
        assert.is((await other.client.stream.recv(4)).text(), "mine");
        table.clear(0);
        await closed;
        await Promise.all([closePair(other), closePair(pair)]);
      });
    });
  }
}

/** As `connectFaulty`, but leaves the table alone. */
async function connectFaultyAgain(
  faulty: FaultyNetwork,
  healthy: Parameters<typeof connectFaulty>[1],
): Promise<FaultyPair> {
  const listener = await healthy.bind("127.0.0.1:0");
  const [client, server] = await Promise.all([
    faulty.dial(listener.localAddress),
    listener.accept(),
  ]);
  return { faulty, client, server, listener };
}

test("class 4: a large receive that is aborted keeps its parts in order", async ({ healthy }) => {
  await withPair(healthy, {}, async ({ client: { stream }, server, faulty }) => {
    const script = new Script(300_000);
    table.reset({ ...hold("cancel"), repeat: 100 });
    for (let i = 0; i < 6; i++) {
      const controller = new AbortController();
      const call = stream.recv(100_000, { signal: controller.signal });
      const end = call.then(() => "done", (reason) => reason);
      await server.sink.send(script.next(20_000));
      await until(() => stream.bytesReceived === script.sent, "a part has come");
      controller.abort(i);
      assert.is(await end, i);
      assert.is(stream.buffered, script.sent - script.received);
      bytesEqual(stream.peek(10).slice(), script.bytes.subarray(script.received).slice(0, 10));
      await server.sink.send(script.next(5_000));
      if (i % 2 === 1) script.check((await stream.recv(30_000)).toUint8Array());
      if (i === 3) table.clear(0);
    }
    await soon(() => faulty.stats().receivesPending <= 1, "cancels have arrived");
    script.check((await stream.recv(script.sent - script.received)).toUint8Array());
  });
});

// ------------------------------------------------------------------------------------------- sends

for (const [ending, make] of ENDINGS) {
  test(`class 4: a send ${ending} after the kernel took all of it: it succeeds`, async (c) => {
    await withPair(c.healthy, {}, async ({ client: { sink }, server }) => {
      table.reset(hold("send"));
      const { call, now } = make((options) => sink.send("hello", options));
      await held();
      now();
      // Longer than the budget: the call is over but for the kernel's answer.
      assert.not(await settlesWithin(call, 60));
      table.clear(0);
      await call;
      assert.not(sink.closed);
      await sink.send(" world");
      assert.is((await server.stream.recv(11)).text(), "hello world");
    });
  });

  test(`class 4: a send ${ending}, more is taken before its cancel: true bytes, FIN`, (c) =>
    untilInTime(c.healthy, async ({ client: { sink, stream }, server, faulty }, budgetMs) => {
      const script = new Script(24 << 20);
      table.reset(hold("cancel", 100));
      const send = (options: CallOptions) => sink.send(script.next(24 << 20), options);
      const { call, now, ended } = make(send, budgetMs);
      const behind = errorOf(sink.send("behind"));
      behind.catch(() => {});
      if (!await untilStalled(faulty, sink, call)) return false;
      now();
      await until(() => table.acted() > 0, "the cancel is on its way");
      const before = sink.bytesSent;
      const arrived = readAll(server);
      arrived.catch(() => {}); // A failed claim is told first.
      const error = await call.then(() => null, (reason) => reason);
      await ended(Promise.reject(error));
      assert.ok(sink.bytesSent > before && sink.bytesSent < script.sent);
      if (error !== "enough") expectError(error, { bytesDone: sink.bytesSent });
      expectError(await behind, { code: "Closed", bytesDone: 0 });
      bytesEqual(await arrived, script.bytes.subarray(0, sink.bytesSent));
      expectError(await errorOf(sink.send("late")), { code: "Closed" });
      table.clear(0);
      await server.sink.send("still here");
      assert.is((await stream.recv(10)).text(), "still here");
      return true;
    }));

  test(`class 3: a send ${ending}, its cancel is lost and sent again`, (c) =>
    untilInTime(c.healthy, async ({ client: { sink }, server, faulty }, budgetMs) => {
      const script = new Script(24 << 20);
      table.reset({ on: "cancel", errno: "EALREADY", repeat: 1 });
      const send = (options: CallOptions) => sink.send(script.next(24 << 20), options);
      const { call, now, ended } = make(send, budgetMs);
      if (!await untilStalled(faulty, sink, call)) return false;
      now();
      await ended(call);
      assert.is(table.acted(), 1);
      bytesEqual(await readAll(server), script.bytes.subarray(0, sink.bytesSent));
      return true;
    }));
}

test("class 3: cancels that are lost for ever do not keep a network from closing", async (c) => {
  const { listener, client, server, faulty } = await connectFaulty(
    new FaultyNetwork({ shutdownTimeoutMs: 50 }),
    c.healthy,
  );
  const accepting = errorOf((await faulty.bind("127.0.0.1:0")).accept());
  const waiting = errorOf(client.stream.recv(10));
  await soon(() => withKernel(faulty) === 2, "both are with the kernel");
  table.reset({ on: "cancel", errno: "EALREADY" });
  client.reset();
  expectError(await waiting, { code: "Closed", operation: "recv" });
  await closeEmpty(faulty);
  expectError(await accepting, { code: "Closed", operation: "accept" });
  await client.close();
  assert.ok(table.acted() > 0, "a cancel was lost");
  await Promise.all([server.close(), listener.close()]);
});

// ------------------------------------------------------------------------------ accept and connect

test("class 13: an accept completes as its listener closes: it is closed", async (c) => {
  await withFaulty({}, async (faulty) => {
    const listener = await faulty.bind("127.0.0.1:0");
    table.reset(hold("accept"));
    const accepting = errorOf(listener.accept());
    const client = await c.healthy.dial(listener.localAddress);
    await held();
    const closed = listener.close();
    expectError(await accepting, { code: "Closed", operation: "accept" });
    table.clear(0);
    await closed;
    await expectEnd(client);
    assert.is(faulty.stats().connections, 0);
    await client.close();
  });
});

for (const [ending, make] of ENDINGS) {
  test(`class 13: an accept ${ending} as a connection comes: the next one has it`, async (c) => {
    await withFaulty({}, async (faulty) => {
      const listener = await faulty.bind("127.0.0.1:0");
      table.reset(hold("accept"));
      const { call, now, ended } = make((options) => listener.accept(options));
      const result = ended(call);
      const client = await c.healthy.dial(listener.localAddress);
      await held();
      now();
      await result;
      table.clear(0);
      const server = await listener.accept();
      await client.sink.send("hello");
      assert.is((await server.stream.recv(5)).text(), "hello");
      await Promise.all([client.close(), server.close(), listener.close()]);
    });
  });

  test(`class 14: a dial ${ending} as it is connected: its socket is closed`, async (c) => {
    await withFaulty({}, async (faulty) => {
      const listener = await c.healthy.bind("127.0.0.1:0");
      table.reset(hold("connect"));
      const { call, now, ended } = make((options) => faulty.dial(listener.localAddress, options));
      const result = ended(call);
      const server = await listener.accept();
      await held();
      now();
      await result;
      table.clear(0);
      await expectEnd(server);
      assert.is(faulty.stats().connections, 0);
      await Promise.all([server.close(), listener.close()]);
    });
  });
}

test("class 13: a network closes while an accept, a connect and a receive are held", async (c) => {
  const faulty = new FaultyNetwork({ shutdownTimeoutMs: 50 });
  const pair = await connectFaulty(faulty, c.healthy);
  const listener = await faulty.bind("127.0.0.1:0");
  table.reset(hold("any", 100));
  const calls = [
    errorOf(listener.accept()),
    errorOf(faulty.dial(pair.listener.localAddress)),
    errorOf(pair.client.stream.recv(5)),
  ];
  const [outer, inner] = await Promise.all([
    c.healthy.dial(listener.localAddress),
    pair.listener.accept(),
    pair.server.sink.send("hello"),
  ]);
  await held();
  await closeEmpty(faulty);
  for (const error of await Promise.all(calls)) expectError(error, { code: "Closed" });
  await Promise.all([outer.close(), inner.close(), pair.server.close(), pair.listener.close()]);
});

// ------------------------------------------------------------------------------- delay and reorder

/** Messages both ways on several connections, each answered; every byte is compared. */
async function chat(
  faulty: FaultyNetwork,
  healthy: Parameters<typeof connectFaulty>[1],
  faults: readonly Fault[],
): Promise<void> {
  const pairs: FaultyPair[] = [];
  for (let i = 0; i < 8; i++) pairs.push(await connectFaulty(faulty, healthy));
  table.reset(...faults);
  await Promise.all(pairs.map(async ({ client, server }, index) => {
    const random = new Random(index);
    const echo = async ({ sink, stream }: Connection) => {
      for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
      await sink.close();
    };
    const answering = echo(index % 2 === 0 ? client : server);
    const { sink, stream } = index % 2 === 0 ? server : client;
    const script = new Script(1_300_000, index);
    for (let i = 0; i < 40; i++) {
      const length = random.int(1, random.pick([50, 50, 5_000, 30_000]));
      const sent = sink.send(script.next(length));
      script.check((await stream.recv(length)).toUint8Array());
      await sent;
    }
    await sink.close();
    await answering;
  }));
  assert.ok(faults.every((_, index) => table.acted(index) > 0), "all of the faults came to pass");
  for (const pair of pairs) await closePair(pair);
}

const DISORDER: readonly [string, readonly Fault[]][] = [
  ["completions come late", [{ on: "any", delayTurns: 3 }]],
  ["every completion comes behind those with it", [{ on: "any", reorder: true }]],
  ["some come very late, some behind, some short, some not at all at first", [
    { on: "recvSelect", delayTurns: 40, after: 20, repeat: 30 },
    { on: "recvMultishot", delayTurns: 7, repeat: 3 },
    { on: "send", clampBytes: 700, after: 10, repeat: 40 },
    { on: "send", errno: "EAGAIN", after: 60, repeat: 40 },
    { on: "any", reorder: true, after: 20 },
  ]],
];

for (const [name, faults] of DISORDER) {
  for (const topology of ["shared", "split"] as const) {
    test(`class 2: ${name} (${topology})`, async ({ healthy }) => {
      await withFaulty({ ring: { topology } }, (faulty) => chat(faulty, healthy, faults));
    });
  }
}

test.run();
