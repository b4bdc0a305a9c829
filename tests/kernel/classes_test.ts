/**
 * Fault classes that need a real kernel and were not tried elsewhere: overflowing queues, ports
 * that run out, peers that are killed or stopped, suspended processes, a wake channel that is full.
 * docs/RELIABILITY.md has the whole list.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { type Connection, Network, NetworkError } from "../../mod.ts";
import {
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
import { assert, bytesEqual, rejects, suite } from "../harness.ts";
import { endChildren, start } from "../lifecycle/child.ts";
import { write } from "../support/libc.ts";

const test = suite<ContractContext>("classes", {} as ContractContext, { timeoutMs: 30_000 });

test.before(async (context) => {
  await (await Network.start()).close();
  context.descriptors = descriptors();
  context.network = await Network.start();
});

test.after(async ({ network, descriptors }) => {
  endChildren();
  await closeChecked(network);
  await expectNoNewDescriptors(descriptors);
});

test("class 9: completions that overflow their queue are all delivered", async ({ network }) => {
  // The kernel's own thread completes 300 receives before this one looks: the queue holds 64.
  await using own = await started({ ring: { entries: 8, sqPoll: true } });
  const listener = await own.network.bind("127.0.0.1:0");
  const pairs: { client: Connection; server: Connection }[] = [];
  for (let i = 0; i < 300; i++) {
    const [client, server] = await Promise.all([
      network.dial(listener.localAddress),
      listener.accept(),
    ]);
    pairs.push({ client, server });
  }
  // At least five rounds, and until the queue has overflowed: with one processor that takes luck.
  for (let round = 0; round < 5 || own.network.stats().ringOverflows === 0; round++) {
    const received = pairs.map(({ server }) => server.stream.recv(100));
    await pause(20);
    await Promise.all(pairs.map(({ client }, i) => client.sink.send(pattern(100, round + i))));
    // Not a wait for an event: the kernel's thread must get ahead of this one.
    for (const end = performance.now() + 5 + 10 * round; performance.now() < end;);
    const messages = await Promise.all(received);
    messages.forEach((bytes, i) => bytesEqual(bytes.toUint8Array(), pattern(100, round + i)));
  }
  await Promise.all(pairs.flatMap(({ client, server }) => [client.close(), server.close()]));
  await listener.close();
});

// ---------------------------------------------------------------------------------- ports run out

const IN_NAMESPACE = ["unshare", "-rn", "sh", "-c"];
const TEN_PORTS = 'ip link set lo up && echo "40000 40009" >/proc/sys/net/ipv4/ip_local_port_range';
const { status } = spawnSync(IN_NAMESPACE[0], [...IN_NAMESPACE.slice(1), TEN_PORTS]);
const noNamespace = status === 0 ? null : "no network namespace of one's own here";

test.skipIf(noNamespace, "class 14: no local port is left, no route leads there", async () => {
  const prefix = [...IN_NAMESPACE, `${TEN_PORTS} && exec "$0" "$@"`];
  const { code, output } = await start("port_exhaustion", { prefix }).ended;
  assert.is(code, 0, output);
  assert.match(output, "<after 10: ConnectionFailed EADDRNOTAVAIL>");
  assert.match(output, "<freed: connected>");
  assert.match(output, "<no route: ConnectionFailed ENETUNREACH>");
  assert.match(output, "<left 0>");
});

test.skipIf(noNamespace, "class 14: a dial that meets itself is refused", async () => {
  const prefix = [...IN_NAMESPACE, `${TEN_PORTS} && exec "$0" "$@"`];
  const { code, output } = await start("self_connect", { prefix }).ended;
  assert.is(code, 0, output);
  assert.match(output, "<200 times ConnectionFailed ECONNREFUSED>");
});

// ------------------------------------------------------------------------ stopped and killed peers

async function echoed({ sink, stream }: Connection, length: number): Promise<void> {
  const bytes = pattern(length, length);
  const received = stream.recv(length);
  await sink.send(bytes);
  bytesEqual((await received).toUint8Array(), bytes);
}

test("class 15: a peer that is stopped, and goes on", async ({ network }) => {
  const program = start("echo_server");
  const address = `127.0.0.1:${(await program.line(/<port (\d+)>/))[1]}`;
  const connections = await Promise.all([network.dial(address), network.dial(address)]);
  for (const connection of connections) await echoed(connection, 1_000);
  program.signal("SIGSTOP");
  const [patient, hasty] = connections;
  // The kernel of the peer still connects and takes bytes.
  const late = await network.dial(address);
  await patient.sink.send("are you there");
  await rejects(patient.stream.recv(13, { timeoutMs: 100 }), { code: "Timeout", bytesDone: 0 });
  const error = await rejects(hasty.sink.send(pattern(64 << 20), { timeoutMs: 100 }), {
    code: "Timeout",
    operation: "send",
  });
  assert.is(error.bytesDone, hasty.sink.bytesSent - 1_000);
  program.signal("SIGCONT");
  assert.is((await patient.stream.recv(13)).text(), "are you there");
  await echoed(patient, 100_000);
  await echoed(late, 100_000);
  for (const connection of [patient, hasty, late]) connection.reset();
  await Promise.all([patient, hasty, late].map((connection) => connection.close()));
  program.kill();
  await program.ended;
});

test("class 15: a peer that is killed with operations in flight", async ({ network }) => {
  const program = start("echo_server");
  const address = `127.0.0.1:${(await program.line(/<port (\d+)>/))[1]}`;
  const idle = await network.dial(address);
  const sending = await network.dial(address);
  await echoed(idle, 1_000);
  const waiting = idle.stream.recv(10);
  const large = sending.sink.send(pattern(64 << 20));
  waiting.catch(() => {});
  large.catch(() => {});
  // The peer echoes bytes that this side does not read, so both of its directions are in flight.
  await until(() => sending.sink.bytesSent > 0, "a part is taken");
  program.kill();
  const received = await rejects(waiting, NetworkError);
  assert.is(received.code, "RecvFailed");
  assert.ok(received.endOfStream || received.errno === "ECONNRESET", `${received}`);
  const sent = await rejects(large, { code: "SendFailed" });
  assert.is(sent.bytesDone, sending.sink.bytesSent);
  await program.ended;
  await rejects(network.dial(address), { code: "ConnectionFailed", errno: "ECONNREFUSED" });
  await Promise.all([idle.close(), sending.close()]);
});

test("class 24: a process that was stopped: each deadline fires once, and not early", async () => {
  const program = start("deadlines");
  await program.line(/<waiting>/);
  await pause(100);
  program.signal("SIGSTOP");
  await pause(700);
  program.signal("SIGCONT");
  const { code, output } = await program.ended;
  assert.is(code, 0, output);
  assert.match(output, "<once 100 early 0>");
});

// ------------------------------------------------------------------- calls in reaction to others

for (const how of ["close", "reset"] as const) {
  test(`class 20: ${how}() inside the reaction to a completion`, async ({ network }) => {
    await using pair = await connect(network);
    const { client, server } = pair;
    const reaction = client.stream.recv(5).then(async (received) => {
      assert.is(received.text(), "hello");
      const ends = [client[how](), client[how](), client.close(), client.sink.close()];
      const late = [client.stream.recv(1), client.stream.recvSome(), client.sink.send("late")];
      for (const call of late) await rejects(call, { code: "Closed" });
      assert.is(client.stream.tryRecv(1), null);
      await Promise.all(ends);
    });
    const behind = rejects(client.stream.recv(100), { code: "Closed" });
    await server.sink.send("hello world");
    await Promise.all([reaction, behind]);
  });
}

test("class 20: Network.close() inside the reaction to a completion, twice", async () => {
  const network = await Network.start();
  const { client, server, listener } = await connect(network);
  const accepting = rejects(listener.accept(), { code: "Closed" });
  const reaction = client.stream.recv(5).then(async (received) => {
    received.release();
    await Promise.all([network.close(), network.close()]);
  });
  await server.sink.send("hello");
  await Promise.all([reaction, accepting]);
  await closeChecked(network);
});

// ------------------------------------------------------------------------------- the wake channel

/** The kernel objects by which a sleeping runtime is woken, used by the test as well. */
interface WakeChannel {
  /** Wakes the runtime for nothing. */
  wake(): void;
  /** Wakes the runtime until the channel takes no more. */
  fill(): void;
}

/** Adds to the count of an eventfd, which takes no sum that is too large. */
function add(fd: number, count: bigint): number {
  return write(fd, new Uint8Array(new BigUint64Array([count]).buffer));
}

/**
 * One end belongs to the runtime. Packets that are written there arrive at the other end unread.
 * The eventfd is what wakes the runtime once it watches that in place of its end.
 */
function socketChannel(sockets: readonly number[], event: number): WakeChannel {
  const send = (bytes: Uint8Array) => Math.max(...sockets.map((fd) => write(fd, bytes)));
  return {
    wake() {
      assert.is(send(new Uint8Array(1)), 1);
      assert.is(add(event, 1n), 8);
    },
    fill() {
      const chunk = new Uint8Array(1_024);
      let count = 0;
      while (send(chunk) > 0 && count < 10_000) count++;
      while (send(chunk.subarray(0, 1)) > 0 && count < 20_000) count++;
      assert.ok(count < 20_000, "it is full");
    },
  };
}

/** The count of an eventfd, which the runtime reads itself. It takes no write that exceeds it. */
function eventChannel(fd: number): WakeChannel {
  return {
    wake: () => assert.is(add(fd, 1n), 8),
    fill() {
      // A late signal may be in it: the largest count that still fits, again and again.
      for (let count = 0xffff_ffff_ffff_fffen; count > 0n;) if (add(fd, count) < 0) count >>= 1n;
      assert.ok(add(fd, 1n) < 0, "it is full");
    },
  };
}

/** The kinds of events for which an epoll instance of this process watches a descriptor. */
function watchedEvents(fd: number): number[] {
  const found: number[] = [];
  for (const [epoll, target] of descriptors()) {
    if (target !== "anon_inode:[eventpoll]") continue;
    // Deno itself reads this file only with every permission.
    const { stdout } = spawnSync("cat", [`/proc/${process.pid}/fdinfo/${epoll}`]);
    for (const [, entry, kinds] of `${stdout}`.matchAll(/^tfd: +(\d+) events: +(\w+)/gm)) {
      if (Number(entry) === fd) found.push(Number.parseInt(kinds, 16));
    }
  }
  return found;
}

/** Starts a network and finds the channel by which the kernel wakes the runtime. */
async function withWakeChannel(
  body: (network: Network, channel: WakeChannel, events: readonly number[]) => Promise<void>,
): Promise<void> {
  const before = descriptors();
  await using own = await started({});
  const added = (kind: string) =>
    [...descriptors()]
      .filter(([fd, target]) => target.startsWith(kind) && before.get(fd) !== target)
      .map(([fd]) => Number(fd));
  const [sockets, events] = [added("socket:"), added("anon_inode:[eventfd]")];
  assert.is(sockets.length, 2, "the two ends of the socket pair");
  // Deno has a duplicate of the ring's eventfd.
  if (events.length === 2) await body(own.network, eventChannel(events[0]), events);
  else await body(own.network, socketChannel(sockets, events[0]), events);
}

async function answered(pair: { client: Connection; server: Connection }): Promise<void> {
  const received = pair.server.stream.recv(5, { timeoutMs: SOON_MS });
  await pair.client.sink.send("hello");
  assert.is((await received).text(), "hello");
}

test("class 25: spurious wakeups, with and without traffic", async (c) => {
  await withWakeChannel(async (network, channel) => {
    await using pair = await connect(network, "127.0.0.1:0", c.network);
    for (let round = 0; round < 100; round++) {
      for (let i = round % 4; i > 0; i--) channel.wake();
      if (round % 5 === 0) await pause(2);
      await answered(pair);
    }
    // Spurious wakes do not end a receive, nor does sleeping afterwards lose a true one.
    const waiting = pair.server.stream.recv(5);
    for (let i = 0; i < 10; i++) {
      channel.wake();
      await pause(1);
    }
    assert.not(await settlesWithin(waiting, 5));
    await pair.client.sink.send("hello");
    assert.is((await waiting).text(), "hello");
  });
});

test("class 25: a full doorbell loses no wakeup and blocks no thread", async (c) => {
  await withWakeChannel(async (network, channel) => {
    await using pair = await connect(network, "127.0.0.1:0", c.network);
    await expectAlive(pair);
    for (let round = 0; round < 20; round++) {
      const received = pair.server.stream.recv(5, { timeoutMs: SOON_MS });
      await pause(3); // Longer than it spins: the doorbell is armed.
      // The event loop reads only after this task.
      channel.fill();
      // The bytes arrive in this very task, and the byte that should tell so finds no room.
      const sent = pair.client.sink.send("hello");
      assert.is((await received).text(), "hello");
      await sent;
    }
    await expectAlive(pair);
  });
});

const EPOLL_IN = 1;
const EPOLL_OUT = 4;

test("class 25: the event loop watches the eventfd, for nothing but its signals", async (c) => {
  await withWakeChannel(async (network, _channel, events) => {
    await using pair = await connect(network, "127.0.0.1:0", c.network);
    for (let round = 0; round < 5; round++) {
      const received = pair.server.stream.recv(5, { timeoutMs: SOON_MS });
      await pause(3); // Longer than it spins: the doorbell rings for the bytes.
      await pair.client.sink.send("hello");
      assert.is((await received).text(), "hello");
    }
    // Deno has two descriptors of its epoll instance.
    const watched = new Set(events.flatMap(watchedEvents));
    assert.equal([...watched].map((kinds) => kinds & (EPOLL_IN | EPOLL_OUT)), [EPOLL_IN]);
  });
});

test.run();
