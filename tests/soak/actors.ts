/**
 * The traffic of a soak: actors that send, receive, wait, give up and begin again, each in a way of
 * its own, and compare every byte. Each runs until it is told to stop.
 *
 * The bytes of a message follow from its key and the position (`tests/support/content.ts`), so that
 * both ends know them without telling each other.
 *
 * @module
 */
import { type Connection, type IoBuf, type Network, NetworkError } from "../../mod.ts";
import { expectText, pause } from "../contract/fixture.ts";
import type { Random } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import type { Tally } from "./tally.ts";

/** Where the actors of a soak play. */
export interface Stage {
  /** Listeners are here; connections are dialed from `dialing`. */
  listening: Network;
  dialing: Network;
  tally: Tally;
  /** True until the soak ends. */
  running(): boolean;
  /** Multiplies every pause: the larger, the quieter. */
  slowness: number;
}

type Actor = (stage: Stage, name: string, random: Random) => Promise<void>;

const KEY_MAX = 60_000;
const SUBSCRIBERS = 20;
/** A unique reason. */
const ENOUGH = new Error("enough");

async function rest(stage: Stage, random: Random, delayMsMax: number): Promise<void> {
  await pause(random.float() * delayMsMax * stage.slowness);
}

async function connected({ listening, dialing }: Stage): Promise<[Connection, Connection]> {
  await using listener = await listening.bind("127.0.0.1:0");
  return await Promise.all([dialing.dial(listener.localAddress), listener.accept()]);
}

/** Receives exactly these bytes. */
async function expectContent(
  stage: Stage,
  name: string,
  { stream }: Connection,
  key: number,
  length: number,
  start = 0,
): Promise<void> {
  const got = await stream.recv(length);
  let at = start;
  for (const chunk of got.chunks) {
    stage.tally.compare(name, key, at, chunk);
    at += chunk.length;
  }
  got.release();
}

async function close(...connections: Connection[]): Promise<void> {
  await Promise.all(connections.map((connection) => connection.close()));
}

/** Frames of all sizes, answered one by one; now and then on a new connection. */
async function frames(stage: Stage, name: string, random: Random): Promise<void> {
  while (stage.running()) {
    const [client, server] = await connected(stage);
    for (let i = random.int(20, 400); i > 0 && stage.running(); i--) {
      const key = random.int(0, KEY_MAX);
      const length = random.int(1, random.pick([200, 200, 5_000, 30_000, 200_000]));
      const sent = client.sink.send(contentOf(key, length));
      // The server sends back what it got, without looking at it.
      const echoed = server.stream.recv(length).then((got) => server.sink.send(got));
      await expectContent(stage, name, client, key, length);
      await Promise.all([sent, echoed]);
      stage.tally.verified(name, length);
      if (random.chance(0.3)) await rest(stage, random, 4);
    }
    await close(client, server);
  }
}

/** A long stream in one direction, in pieces that the other end takes as they come. */
async function streaming(stage: Stage, name: string, random: Random): Promise<void> {
  while (stage.running()) {
    const [client, server] = await connected(stage);
    const key = random.int(0, KEY_MAX);
    const total = random.int(1, 4 << 20);
    const writing = (async () => {
      for (let at = 0; at < total;) {
        const length = Math.min(total - at, random.int(1, 150_000));
        await client.sink.send(contentOf(key, length, at));
        at += length;
        if (random.chance(0.5)) await rest(stage, random, 10);
      }
      await client.sink.close();
    })();
    let at = 0;
    for (let some; (some = await server.stream.recvSome(random.int(1, 100_000))) !== null;) {
      stage.tally.compare(name, key, at, some.bytes);
      at += some.length;
      stage.tally.verified(name, some.length);
      some.release();
    }
    await writing;
    if (at !== total) stage.tally.complain(`${name}: ${at} of ${total} bytes arrived`);
    await close(client, server);
    await rest(stage, random, 50);
  }
}

/** Connections that are made, used once, and end in every way; dials that fail. */
async function churn(stage: Stage, name: string, random: Random): Promise<void> {
  await using listener = await stage.listening.bind("127.0.0.1:0");
  while (stage.running()) {
    const [client, server] = await Promise.all([
      stage.dialing.dial(listener.localAddress),
      listener.accept(),
    ]);
    const key = random.int(0, KEY_MAX);
    const length = random.int(1, 3_000);
    await client.sink.send(contentOf(key, length));
    await expectContent(stage, name, server, key, length);
    stage.tally.verified(name, length);
    const how = random.int(0, 4);
    if (how === 0) client.reset();
    if (how === 1) server.reset();
    if (how === 2) await client.sink.close();
    if (how === 3) {
      const left = server.stream.recv(10);
      await Promise.all([expectFailure(stage, name, left), client.close()]);
    }
    await close(client, server);
    if (random.chance(0.1)) await refused(stage, name);
    if (random.chance(0.1)) await abortedDial(stage, random);
    await rest(stage, random, 8);
  }
}

async function expectFailure(stage: Stage, name: string, call: Promise<unknown>): Promise<void> {
  try {
    await call;
    stage.tally.complain(`${name}: a call succeeded that had to fail`);
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    stage.tally.disturbed++;
  }
}

async function refused(stage: Stage, name: string): Promise<void> {
  const listener = await stage.listening.bind("127.0.0.1:0");
  await listener.close();
  await expectFailure(stage, name, stage.dialing.dial(listener.localAddress));
}

async function abortedDial(stage: Stage, random: Random): Promise<void> {
  await using listener = await stage.listening.bind("127.0.0.1:0");
  const controller = new AbortController();
  const dial = stage.dialing.dial(listener.localAddress, { signal: controller.signal });
  const ended = dial.then((connection) => connection.close(), (error) => {
    if (error !== ENOUGH) throw error;
    stage.tally.disturbed++;
  });
  if (random.chance(0.5)) await pause(0);
  controller.abort(ENOUGH);
  await ended;
}

/** Receives that give up again and again: no byte may get lost by that. */
function impatient(aborts: boolean): Actor {
  return async (stage, name, random) => {
    const [client, server] = await connected(stage);
    const key = random.int(0, KEY_MAX);
    let [sent, got] = [0, 0];
    while (stage.running()) {
      const length = random.int(1, random.pick([100, 3_000, 120_000]));
      const sending = (async () => {
        const first = random.int(0, length);
        await client.sink.send(contentOf(key, first, sent));
        await rest(stage, random, 15);
        await client.sink.send(contentOf(key, length - first, sent + first));
      })();
      while (got < sent + length) {
        const left = sent + length - got;
        const options = aborts
          ? { signal: abortAfter(random.float() * 10) }
          : { timeoutMs: random.int(0, 10) };
        try {
          const received = await server.stream.recv(left, options);
          for (const chunk of received.chunks) {
            stage.tally.compare(name, key, got, chunk);
            got += chunk.length;
          }
          received.release();
        } catch (error) {
          const expected = aborts ? error === ENOUGH : (error as NetworkError).code === "Timeout";
          if (!expected) throw error;
          stage.tally.disturbed++;
        }
      }
      await sending;
      sent += length;
      stage.tally.verified(name, length);
      await rest(stage, random, 20);
    }
    await close(client, server);
  };
}

function abortAfter(delayMs: number): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(ENOUGH), delayMs);
  return controller.signal;
}

/** One buffer to many, who all get the same bytes. */
async function broadcast(stage: Stage, name: string, random: Random): Promise<void> {
  const pairs = await Promise.all(Array.from({ length: SUBSCRIBERS }, () => connected(stage)));
  while (stage.running()) {
    const key = random.int(0, KEY_MAX);
    const length = random.int(1, random.pick([300, 20_000]));
    const buffer = stage.dialing.pool.alloc(length);
    buffer.bytes.set(contentOf(key, length));
    const shared: IoBuf = buffer.freeze();
    const sent = pairs.map(([client]) => client.sink.send(shared.clone()));
    shared.release();
    await Promise.all(pairs.map(async ([, server]) => {
      await expectContent(stage, name, server, key, length);
      stage.tally.verified(name, length);
    }));
    await Promise.all(sent);
    await rest(stage, random, 60);
  }
  await close(...pairs.flat());
}

/** A reader that takes its time, and a sender that waits, or loses patience. */
async function slowReader(stage: Stage, name: string, random: Random): Promise<void> {
  while (stage.running()) {
    const [client, server] = await connected(stage);
    const key = random.int(0, KEY_MAX);
    const total = random.int(4 << 20, 12 << 20);
    const patient = random.chance(0.5);
    const timeoutMs = patient ? null : random.int(20, 400);
    let taken = total;
    const sending = client.sink.send(contentOf(key, total), { timeoutMs }).catch((error) => {
      if (patient || error.code !== "Timeout") throw error;
      stage.tally.disturbed++;
      taken = error.bytesDone;
    }).then(() => client.sink.close());
    let at = 0;
    for (let some; (some = await server.stream.recvSome(65_536)) !== null;) {
      stage.tally.compare(name, key, at, some.bytes);
      at += some.length;
      stage.tally.verified(name, some.length);
      some.release();
      await rest(stage, random, patient ? 3 : 25);
    }
    await sending;
    if (at !== taken) stage.tally.complain(`${name}: ${at} bytes arrived, ${taken} were taken`);
    await close(client, server);
  }
}

/** A connection that is there and says nothing for long. */
async function idle(stage: Stage, name: string, random: Random): Promise<void> {
  const pairs = await Promise.all(Array.from({ length: 50 }, () => connected(stage)));
  for (const [client] of pairs) {
    client.stream.recv(1).then((got) => got.release(), () => stage.tally.disturbed++);
  }
  while (stage.running()) {
    const [client, server] = random.pick(pairs);
    await client.sink.send("still here");
    await expectText(server, "still here");
    stage.tally.verified(name, 10);
    await rest(stage, random, 100);
  }
  await close(...pairs.flat());
}

/** Each kind and how many of it there are on each stage. */
export const ACTORS: readonly [kind: string, count: number, actor: Actor][] = [
  ["frames", 4, frames],
  ["streaming", 2, streaming],
  ["churn", 2, churn],
  ["timeouts", 2, impatient(false)],
  ["aborts", 2, impatient(true)],
  ["broadcast", 1, broadcast],
  ["slow reader", 1, slowReader],
  ["idle", 1, idle],
];
