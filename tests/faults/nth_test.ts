/**
 * The n-th operation of a scenario fails, for n = 1 to 200 and each kind of operation: every call
 * ends in success or in an error that says what happened, bytes are right up to it, and nothing is
 * left.
 *
 * Each n takes the next errno of a list. `make torture` sets URINGNET_TORTURE, and then each n is
 * played with every errno.
 *
 * @module
 */
import process from "node:process";
import type { Connection, Network, NetworkConfig } from "../../mod.ts";
import { LIMITS } from "../../src/base/limits.ts";
import { COUNT } from "../../src/base/meter.ts";
import type { NetworkError } from "../../src/base/network_error.ts";
import { IoBufs } from "../../src/buf/io_bufs.ts";
import { readAll } from "../contract/fixture.ts";
import { assert, bytesEqual, Random } from "../harness.ts";
import {
  closePair,
  connectFaulty,
  errorOf,
  expectError,
  faultSuite,
  type FaultyPair,
  macrotask,
  Script,
  sizes,
  soon,
  withFaulty,
} from "./fixture.ts";
import type { FaultyNetwork } from "./library.ts";
import { type Fault, type OperationKind, table } from "./table.ts";

const N_MAX = 200;
const EVERY_ERRNO = (process.env.URINGNET_TORTURE ?? "") !== "";

/** Tried again by the library, without an effect for the caller. */
const SOFT = ["EAGAIN", "EINTR", "ENOBUFS", "ENOMEM"];
const HARD = ["ECONNRESET", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "EIO", "EBADF", "ECANCELED"];
const CONNECT = ["ECONNREFUSED", "ETIMEDOUT", "EADDRNOTAVAIL", "ENETUNREACH", "EINTR", "ECANCELED"];
/** Of accept: the peer was gone, or the process had no descriptor for a while. */
const ACCEPT_SOFT = ["ECONNABORTED", "EPROTO", "EPERM", "EAGAIN", "EMFILE", "ENFILE", "ENOMEM"];
const ACCEPT_HARD = ["EBADF", "EINVAL", "ENOTSOCK", "ECANCELED"];
const CANCEL = ["EALREADY", "ENOENT"];

const test = faultSuite("the n-th operation");

interface Round {
  faulty: FaultyNetwork;
  healthy: Network;
  errno: string;
  n: number;
  /** Puts the fault, and others behind it, into the table: the count begins here. */
  arm(...others: Fault[]): void;
}

/** Plays a scenario for each n, and checks that the fault came to pass. */
function sweep(
  name: string,
  kind: OperationKind,
  errnos: readonly string[],
  config: NetworkConfig,
  scenario: (round: Round) => Promise<void>,
): void {
  test(`the n-th ${name} fails, n = 1 to ${N_MAX}`, async ({ healthy }) => {
    for (let n = 1; n <= N_MAX; n++) {
      for (const errno of EVERY_ERRNO ? errnos : [errnos[n % errnos.length]]) {
        const fault: Fault = { on: kind, errno, after: n - 1, repeat: 1 };
        const arm = (...others: Fault[]) => table.reset(fault, ...others);
        try {
          await withFaulty({ shutdownTimeoutMs: 1_000, ...config }, async (faulty) => {
            await scenario({ faulty, healthy, errno, n, arm });
            assert.is(table.acted(), 1, "the fault came to pass");
            table.reset();
          });
        } catch (error) {
          if (error instanceof Error) error.message = `n = ${n}, ${errno}: ${error.message}`;
          throw error;
        }
      }
    }
  }, { timeoutMs: EVERY_ERRNO ? 600_000 : 60_000 });
}

// ------------------------------------------------------------------------------ connect and accept

const WAVE = 10;

/** Reads the one number that each connection brings, and closes it. */
async function collect(connection: Connection, numbers: number[]): Promise<void> {
  const bytes = await readAll(connection);
  assert.is(bytes.length, 4);
  numbers.push(new DataView(bytes.buffer).getUint32(0));
  await connection.close();
}

async function bring(dial: Promise<Connection>, number: number): Promise<number> {
  const connection = await dial;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number);
  await connection.sink.send(bytes);
  await connection.close();
  return number;
}

/** Dials in waves until the fault has come and one wave more; returns what dials failed with. */
async function dialWaves(
  dialer: Pick<Network, "dial">,
  address: Parameters<Network["dial"]>[0],
  onWave: (count: number) => Promise<void>,
): Promise<{ brought: number[]; errors: unknown[] }> {
  const brought: number[] = [];
  const errors: unknown[] = [];
  for (let next = 0, last = false; !last;) {
    last = table.acted() > 0;
    const first = next;
    const wave: Promise<number>[] = [];
    while (next < first + WAVE) wave.push(bring(dialer.dial(address), next++));
    const accepting = onWave(WAVE);
    for (const ending of await Promise.allSettled(wave)) {
      if (ending.status === "fulfilled") brought.push(ending.value);
      else errors.push(ending.reason);
    }
    await accepting;
  }
  return { brought, errors };
}

const sorted = (numbers: number[]) => numbers.toSorted((a, b) => a - b);

sweep("connect", "connect", CONNECT, {}, async ({ faulty, healthy, errno, arm }) => {
  arm();
  const arrived: number[] = [];
  const served: Promise<void>[] = [];
  const listener = await healthy.bind("127.0.0.1:0");
  const serve = (async () => {
    for await (const connection of listener) served.push(collect(connection, arrived));
  })();
  const nothing = () => Promise.resolve();
  const { brought, errors } = await dialWaves(faulty, listener.localAddress, nothing);
  assert.is(errors.length, 1, "dials that failed");
  const error = await errorOf(Promise.reject(errors[0]));
  expectError(error, { code: "ConnectionFailed", errno, operation: "dial" });
  assert.is(faulty.stats().connections, 0);
  // Connections that were not accepted yet still wait in the backlog.
  while (served.length < brought.length) await macrotask();
  await Promise.all(served);
  await listener.close();
  await serve;
  assert.equal(sorted(arrived), brought);
});

sweep(
  "accept",
  "accept",
  [...ACCEPT_SOFT, ...ACCEPT_HARD],
  {},
  async ({ faulty, healthy, errno, arm }) => {
    arm();
    const arrived: number[] = [];
    const listener = await faulty.bind("127.0.0.1:0");
    const refused: unknown[] = [];
    const acceptWave = async (count: number) => {
      for (let accepted = 0; accepted < count;) {
        try {
          await collect(await listener.accept(), arrived);
          accepted++;
        } catch (error) {
          refused.push(error);
        }
      }
    };
    const { brought, errors } = await dialWaves(healthy, listener.localAddress, acceptWave);
    assert.equal(errors, []);
    assert.equal(sorted(arrived), brought, "no connection is lost");
    assert.is(refused.length, ACCEPT_HARD.includes(errno) ? 1 : 0, "accepts that failed");
    for (const reason of refused) {
      const error = await errorOf(Promise.reject(reason));
      expectError(error, { code: "AcceptFailed", errno, operation: "accept" });
    }
    assert.is(faulty.context.meter.counts[COUNT.retriesAccept], 1 - refused.length);
    await listener.close();
  },
);

// ---------------------------------------------------------------------------------------- receives

/** Bytes of one receive: several receives make one message. */
const CLAMP_BYTES = 900;
const MESSAGE_BYTES_MAX = 3_000;

/** Receives one message in one of the ways there are. */
async function receive(
  { stream }: Connection,
  script: Script,
  length: number,
  way: number,
): Promise<void> {
  for (const end = script.received + length; script.received < end;) {
    const left = end - script.received;
    const part = way === 0
      ? await stream.recv(left)
      : way === 1
      ? await stream.recvSome(left)
      : await stream.recv(Math.min(left, 700));
    script.check(part!.toUint8Array());
  }
}

/** After a receive has failed for good: what had come is there, the other half works. */
async function expectRecvFailed(
  pair: FaultyPair,
  script: Script,
  error: NetworkError,
  errno: string,
): Promise<void> {
  const { stream, sink } = pair.client;
  const buffered = stream.bytesReceived - script.received;
  expectError(error, { code: "RecvFailed", errno, bytesDone: buffered, endOfStream: false });
  assert.ok(stream.closed);
  assert.is(stream.buffered, buffered);
  if (buffered > 0) script.check(stream.tryRecv(buffered)!.toUint8Array());
  expectError(await errorOf(stream.recv(1)), { code: "Closed", operation: "recv", errno });
  expectError(await errorOf(stream.recvSome()), { code: "Closed", operation: "recvSome" });
  await sink.send("still here");
  const heard = await pair.server.stream.recv(10);
  assert.is(heard.text(), "still here");
}

function sweepReceives(
  name: string,
  kind: "recv" | "recvSelect" | "recvMultishot",
  config: NetworkConfig,
  warmUpCount: number,
): void {
  sweep(name, kind, [...SOFT, ...HARD], config, async ({ faulty, healthy, errno, n, arm }) => {
    const pair = await connectFaulty(faulty, healthy);
    const random = new Random(n);
    const script = new Script(800_000, n);
    const size = sizes(random, MESSAGE_BYTES_MAX);
    const message = async (length: number, way: number) => {
      const received = receive(pair.client, script, length, way);
      // Both at once: a receive may fail before its bytes are sent.
      await Promise.all([pair.server.sink.send(script.next(length)), received]);
    };
    for (let i = 0; i < warmUpCount; i++) await message(10, 1);
    arm({ on: kind, clampBytes: CLAMP_BYTES });
    let failed: NetworkError | null = null;
    for (let after = 0; after < 3 && failed === null;) {
      if (table.acted() > 0) after++;
      await message(size(), random.int(0, 2)).catch((error) => failed = error);
    }
    if (SOFT.includes(errno)) assert.is(failed, null);
    else await expectRecvFailed(pair, script, await errorOf(Promise.reject(failed)), errno);
    await closePair(pair);
  });
}

sweepReceives("receive into its result", "recv", { readBufferSize: 0 }, 0);
sweepReceives("receive into a read buffer", "recvSelect", { readBufferSize: 8_192 }, 0);
// One message less than what leads to a multishot receive.
const WARM_UP_COUNT = LIMITS.multishotAfterCount - 1;
sweepReceives("receive that completes many times", "recvMultishot", {}, WARM_UP_COUNT);

// ------------------------------------------------------------------------------------------- sends

/** Three buffers of the pool that are not neighbours: one SENDMSG. */
function pieces(faulty: FaultyNetwork, bytes: Uint8Array): IoBufs {
  const whole = new IoBufs();
  const step = Math.ceil(bytes.length / 3);
  for (let at = 0; at < bytes.length; at += step) {
    const part = bytes.subarray(at, at + step);
    const buffer = faulty.pool.alloc(part.length);
    buffer.bytes.set(part);
    whole.append(buffer);
  }
  return whole;
}

/** After a send has failed for good: FIN follows the bytes that were taken, receiving works. */
async function expectSendFailed(
  pair: FaultyPair,
  error: NetworkError,
  errno: string,
  doneBytes: number,
): Promise<void> {
  const { stream, sink } = pair.client;
  expectError(error, { code: "SendFailed", errno, operation: "send", bytesDone: doneBytes });
  assert.ok(sink.closed);
  expectError(await errorOf(sink.send("late")), { code: "Closed", operation: "send" });
  await pair.server.sink.send("still here");
  const heard = await stream.recv(10);
  assert.is(heard.text(), "still here");
}

function sweepSends(name: string, kind: "send" | "sendmsg", clampBytes: number): void {
  sweep(name, kind, [...SOFT, ...HARD], {}, async ({ faulty, healthy, errno, n, arm }) => {
    const pair = await connectFaulty(faulty, healthy);
    const script = new Script(3_000_000, n);
    const { sink } = pair.client;
    const arrived = readAll(pair.server);
    arm({ on: kind, clampBytes });
    let failed: NetworkError | null = null;
    let whole = 0;
    for (let after = 0; after < 3 && failed === null;) {
      if (table.acted() > 0) after++;
      const bytes = script.next(kind === "send" ? 2_000 : 9_000);
      whole = sink.bytesSent;
      await sink.send(kind === "send" ? bytes : pieces(faulty, bytes))
        .catch((error) => failed = error);
    }
    if (SOFT.includes(errno)) {
      assert.is(failed, null);
      await sink.close();
    } else {
      const error = await errorOf(Promise.reject(failed));
      await expectSendFailed(pair, error, errno, sink.bytesSent - whole);
    }
    // Either way a FIN has been sent.
    bytesEqual(await arrived, script.bytes.subarray(0, sink.bytesSent));
    await closePair(pair);
  });
}

sweepSends("send", "send", 500);
sweepSends("vectored send", "sendmsg", 4_000);

// ----------------------------------------------------------------------------------------- cancels

/** A receive into its result that is aborted while it is with the kernel; nothing is lost. */
async function abortReceive(pair: FaultyPair, script: Script, early: boolean): Promise<void> {
  const { client, server, faulty } = pair;
  const controller = new AbortController();
  const aborted = client.stream.recv(20_000, { signal: controller.signal });
  await soon(() => faulty.context.recvRing.inFlight > 0, "the receive is with the kernel");
  if (early) await server.sink.send(script.next(100));
  controller.abort("enough");
  await aborted.then(
    () => assert.unreachable("it was aborted"),
    (reason) => assert.is(reason, "enough"),
  );
  if (!early) await server.sink.send(script.next(100));
  script.check((await client.stream.recv(100)).toUint8Array());
}

/** An accept that its listener's end cancels. */
async function closeAccepting(faulty: FaultyNetwork): Promise<void> {
  const listener = await faulty.bind("127.0.0.1:0");
  const accepting = errorOf(listener.accept(), "accept");
  await soon(() => faulty.context.recvRing.inFlight > 0, "the accept is with the kernel");
  await listener.close();
  expectError(await accepting, { code: "Closed", operation: "accept" });
}

sweep("cancel", "cancel", CANCEL, { readBufferSize: 8_192 }, async (round) => {
  const { faulty, healthy, n, arm } = round;
  const pair = await connectFaulty(faulty, healthy);
  const script = new Script(60_000, n);
  arm();
  for (let i = 0, after = 0; after < 3; i++) {
    if (table.acted() > 0) after++;
    if (i % 3 === 2) await closeAccepting(faulty);
    else await abortReceive(pair, script, i % 3 === 1);
  }
  await closePair(pair);
});

test.run();
