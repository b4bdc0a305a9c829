/**
 * Both ends of the library on a line that loses, delays, reorders, duplicates and corrupts packets,
 * or that is cut in the middle of a transfer. Every byte is compared, and each test looks at the
 * kernel's counters, or at the clock, to see that its disturbance did happen.
 *
 * TCP repairs such a line, at the price of short writes, small and late completions and long waits,
 * which a loopback interface does not show. Where the line stays cut, only a budget or the kernel
 * ends a call.
 *
 * Needs root, iproute2 and the modules veth and sch_netem: `make test-kernel` has them all.
 *
 * @module
 */
import { type Connection, type Listener, Network, NetworkError } from "../../mod.ts";
import {
  closeChecked,
  descriptors,
  expectEnd,
  expectNoNewDescriptors,
  pattern,
  pause,
  readAll,
  started,
} from "../contract/fixture.ts";
import { assert, bytesEqual, Random, rejects, type Suite, suite } from "../harness.ts";
import { type Counters, FAR_ADDRESS, Line } from "./line.ts";

/** Bytes of one transfer, each way: some 700 packets. */
const TRANSFER_BYTES = 1 << 20;
/** More than the sockets of both ends can hold: the line is cut before the end of it. */
const LONG_BYTES = 16 << 20;

interface Context extends Record<string, unknown> {
  line: Line;
  near: Network;
  far: Network;
  listener: Listener;
  descriptors: Map<string, string>;
}

/** Why no line can be made here, and why none can be disturbed; null where it can. */
const [noLine, noNetem] = lacking();

function lacking(): [line: string | null, netem: string | null] {
  const line = Line.make();
  if (typeof line === "string") return [line, line];
  line.close();
  return [null, line.undisturbed];
}

const test: Suite<Context> = suite("netem", {} as Context, { timeoutMs: 60_000 });

test.before(async (context) => {
  await (await Network.start()).close();
  context.descriptors = descriptors();
  const line = Line.make();
  if (typeof line === "string") throw new Error(line);
  context.line = line;
  context.near = await Network.start();
  context.far = await Network.start();
  context.listener = await line.far.inside(() => context.far.bind(`${FAR_ADDRESS}:0`));
});

test.before.each(({ line }) => line.disturb());

// A test that failed behind a cut must not fail those that follow.
test.after.each(({ line }) => line.mend());

test.after(async ({ line, near, far, listener, descriptors }) => {
  await listener.close();
  await Promise.all([closeChecked(near), closeChecked(far)]);
  line.close();
  await expectNoNewDescriptors(descriptors);
});

interface Ends extends AsyncDisposable {
  near: Connection;
  far: Connection;
}

/** Connects across the line. */
async function connect(
  { line, near, listener }: Context,
  dialer: Network = near,
): Promise<Ends> {
  const [dialed, accepted] = await Promise.all([
    line.near.inside(() => dialer.dial(listener.localAddress)),
    listener.accept(),
  ]);
  const dispose = async () => {
    dialed.reset();
    accepted.reset();
    await Promise.all([dialed.close(), accepted.close()]);
  };
  return { near: dialed, far: accepted, [Symbol.asyncDispose]: dispose };
}

/** Sends in pieces of random size, several at a time, some of them vectored. */
async function sendAll(to: Connection, bytes: Uint8Array, random: Random): Promise<void> {
  let sends: Promise<void>[] = [];
  for (let at = 0; at < bytes.length;) {
    const pieces: Uint8Array[] = [];
    for (let count = random.pick([1, 1, 1, 5, 40]); count > 0 && at < bytes.length; count--) {
      const end = Math.min(at + random.int(1, 30_000), bytes.length);
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    sends.push(to.sink.send(pieces.length === 1 ? pieces[0] : pieces));
    if (sends.length < random.int(1, 8)) continue;
    await Promise.all(sends);
    sends = [];
  }
  await Promise.all(sends);
}

/** Receives in every way, and compares each byte with what is expected at its place. */
async function receiveAll(from: Connection, expected: Uint8Array, random: Random): Promise<void> {
  for (let at = 0; at < expected.length;) {
    const left = expected.length - at;
    const received = random.chance(0.5)
      ? await from.stream.recv(Math.min(random.int(1, 100_000), left))
      : await from.stream.recvSome(left);
    assert.ok(received !== null, `the stream ended after ${at} of ${expected.length} bytes`);
    const bytes = received.toUint8Array();
    bytesEqual(bytes, expected.subarray(at, at + bytes.length), `bytes from ${at}`);
    at += bytes.length;
  }
}

/** Both directions at once, then an orderly end of both. */
async function exchange({ near, far }: Ends, length: number, random: Random): Promise<void> {
  const there = pattern(length, random.next());
  const back = pattern(length, random.next());
  await Promise.all([
    sendAll(near, there, random.fork()).then(() => near.sink.close()),
    sendAll(far, back, random.fork()).then(() => far.sink.close()),
    receiveAll(near, back, random.fork()),
    receiveAll(far, there, random.fork()),
  ]);
  await Promise.all([expectEnd(near), expectEnd(far)]);
}

// -------------------------------------------------------------------------- disturbances, repaired

interface Disturbance {
  name: string;
  /** Words of tc-netem(8). */
  netem: string;
  /** Counters that grow on each side, at least one of them, when it happens. */
  shows: readonly string[];
}

const DISTURBANCES: readonly Disturbance[] = [
  { name: "loss", netem: "loss 4%", shows: ["Tcp.RetransSegs"] },
  { name: "reordering", netem: "delay 5ms reorder 30% 50%", shows: ["TcpExt.TCPOFOQueue"] },
  {
    name: "duplication",
    netem: "duplicate 20%",
    shows: ["TcpExt.TCPDSACKOldSent", "TcpExt.TCPDSACKOfoSent"],
  },
  { name: "corruption", netem: "corrupt 4%", shows: ["Tcp.InCsumErrors"] },
];

const grown = (before: Counters, after: Counters, names: readonly string[]): number =>
  names.reduce((sum, name) => sum + after[name] - before[name], 0);

for (const { name, netem, shows } of DISTURBANCES) {
  test.skipIf(
    noNetem,
    `${name}: every byte arrives, in both directions at once`,
    async (context) => {
      const { line } = context;
      line.disturb(...netem.split(" "));
      const before = line.counters();
      {
        await using ends = await connect(context);
        await exchange(ends, TRANSFER_BYTES, new Random());
      }
      const after = line.counters();
      for (const side of ["near", "far"] as const) {
        assert.ok(grown(before[side], after[side], shows) > 0, `${shows} did not grow on ${side}`);
      }
    },
  );
}

test.skipIf(
  noNetem,
  "delay: a dial and an echo take the way there and back, and lose nothing",
  async (context) => {
    context.line.disturb("delay", "60ms");
    const startedAt = performance.now();
    await using ends = await connect(context);
    const connectedAt = performance.now();
    assert.ok(connectedAt - startedAt >= 120, `dialed in ${connectedAt - startedAt} ms`);
    const answered = ends.near.stream.recv(5);
    await ends.near.sink.send("hello");
    await ends.far.sink.send(await ends.far.stream.recv(5));
    assert.is((await answered).text(), "hello");
    assert.ok(performance.now() - connectedAt >= 120, "the echo came before it could");
    await exchange(ends, TRANSFER_BYTES, new Random());
  },
);

test.skipIf(
  noNetem,
  "all at once: connections that come and go exchange every byte",
  async (context) => {
    context.line.disturb(
      ..."delay 5ms 3ms loss 2% duplicate 5% corrupt 2% reorder 10% 50%".split(" "),
    );
    const random = new Random();
    for (let round = 0; round < 2; round++) {
      const all: Ends[] = [];
      // One after the other: then the connection that is accepted is the one that was dialed.
      for (let count = 0; count < 5; count++) all.push(await connect(context));
      await Promise.all(all.map(async (ends) => {
        const own = random.fork();
        await echo(ends, own);
        await exchange(ends, own.int(1, 100_000), own);
        await ends[Symbol.asyncDispose]();
      }));
    }
  },
);

/** Messages of random length, each answered with the buffers that it came in. */
async function echo({ near, far }: Ends, random: Random): Promise<void> {
  for (let message = 0; message < 5; message++) {
    const bytes = pattern(random.int(1, 20_000), random.next());
    const echoed = near.stream.recv(bytes.length);
    await near.sink.send(bytes);
    await far.sink.send(await far.stream.recv(bytes.length));
    bytesEqual((await echoed).toUint8Array(), bytes);
  }
}

// ------------------------------------------------------------------------------------ a line cut

/** Starts a long transfer, takes a part of it, and cuts the line. */
async function cutInTheMiddle(
  { line }: Context,
  { near, far }: Ends,
  options: { timeoutMs?: number } = {},
): Promise<{ bytes: Uint8Array; sent: Promise<void>; arrived: number }> {
  const bytes = pattern(LONG_BYTES, new Random().next());
  const sent = near.sink.send(bytes, options);
  sent.catch(() => {});
  const arrived = 200_000;
  bytesEqual((await far.stream.recv(arrived)).toUint8Array(), bytes.subarray(0, arrived));
  line.cut();
  return { bytes, sent, arrived };
}

test.skipIf(
  noLine,
  "a cut that is mended: the transfer stands still, goes on, and is whole",
  async (context) => {
    await using ends = await connect(context);
    const { near, far } = ends;
    const { bytes, sent, arrived } = await cutInTheMiddle(context, ends);
    const rest = far.stream.recv(bytes.length - arrived);
    // The bytes that the far kernel holds arrive first, which takes longer on a slow machine.
    let before: number[];
    let after = [near.sink.bytesSent, far.stream.bytesReceived];
    do {
      before = after;
      await pause(500);
      after = [near.sink.bytesSent, far.stream.bytesReceived];
    } while (after[0] !== before[0] || after[1] !== before[1]);
    assert.ok(after[1] < bytes.length, "bytes passed a cut line, or the transfer preceded the cut");
    context.line.mend();
    bytesEqual((await rest).toUint8Array(), bytes.subarray(arrived));
    await sent;
    await exchange(ends, 10_000, new Random());
  },
);

test.skipIf(
  noLine,
  "a cut that outlasts budgets: both calls end, and no byte is in doubt",
  async (context) => {
    await using ends = await connect(context);
    const { near, far } = ends;
    const { bytes, sent, arrived } = await cutInTheMiddle(context, ends, { timeoutMs: 1_500 });
    const length = bytes.length - arrived;
    const waiting = await rejects(far.stream.recv(length, { timeoutMs: 500 }), {
      code: "Timeout",
      operation: "recv",
    });
    assert.is(waiting.bytesDone, far.stream.bytesReceived - arrived);
    assert.ok(Number(waiting.bytesDone) < length, "the transfer ended before the cut");
    const error = await rejects(sent, { code: "Timeout", operation: "send" });
    assert.is(error.bytesDone, near.sink.bytesSent);
    await rejects(near.sink.send("late"), { code: "Closed" });
    // The kernel still delivers exactly the bytes that it took, then the end.
    context.line.mend();
    const rest = await readAll(far);
    bytesEqual(rest, bytes.subarray(arrived, near.sink.bytesSent));
    // The other direction of the connection never failed.
    await far.sink.send("and back");
    assert.is((await near.stream.recv(8)).text(), "and back");
  },
);

test.skipIf(
  noLine,
  "a cut that outlasts the kernel's patience: each call fails, none ends well",
  async (c) => {
    // Gives up about 1.5 s after the first loss, instead of about 15 minutes.
    c.line.near.run("sh", "-c", "echo 2 >/proc/sys/net/ipv4/tcp_retries2");
    await using idle = await connect(c);
    await using busy = await connect(c);
    await using sending = await connect(c);
    idle.near.setKeepAlive({ idleSeconds: 1, intervalSeconds: 1, count: 2 });
    const cut = { code: "RecvFailed", endOfStream: false, bytesDone: 0 };
    const failures = [
      rejects(idle.near.stream.recv(1), { ...cut, errno: "ETIMEDOUT" }),
      // The kernel gives the reason to one operation of a socket, or drops it where it tells one
      // how many bytes were taken: the others get EPIPE, and what looks like the end of the stream.
      rejects(busy.near.stream.recvSome(), cut),
      rejects(busy.near.sink.send(new Uint8Array(LONG_BYTES)), { code: "SendFailed" }),
    ];
    const { sent } = await cutInTheMiddle(c, sending);
    const error = await rejects(sent, { code: "SendFailed" });
    assert.ok(["ETIMEDOUT", "EPIPE"].includes(String(error.errno)), `${error}`);
    assert.is(error.bytesDone, sending.near.sink.bytesSent);
    await Promise.all(failures);
    for (const { near } of [idle, busy, sending]) {
      await rejects(near.stream.recvSome(), { endOfStream: false });
      await rejects(near.sink.send("late"), NetworkError);
    }
  },
);

test.skipIf(
  noLine,
  "a cut line: a dial ends with its budget, and closing with its own",
  async (context) => {
    const { line, listener } = context;
    await using own = await started({ shutdownTimeoutMs: 300 });
    await using ends = await connect(context, own.network);
    const { sent } = await cutInTheMiddle(context, ends);
    const dialed = line.near.inside(() =>
      own.network.dial(listener.localAddress, { timeoutMs: 500 })
    );
    await rejects(dialed, { code: "Timeout", operation: "dial" });
    const closed = rejects(sent, { code: "Closed" });
    await ends.near.close();
    await closed;
    line.mend();
  },
);

test.run();
