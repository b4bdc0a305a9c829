/**
 * Random traffic over real sockets: messages of all sizes in both directions at once, received in
 * every way there is, with budgets that run out and signals that are aborted. Each byte depends on
 * its connection and its position, so that a lost, doubled or moved one is noticed.
 *
 * @module
 */
import { type Connection, Network, NetworkError, type Sink, type Stream } from "../../mod.ts";
import { assert, Random, randomSeed, suite } from "../harness.ts";

const CONNECTION_COUNT = 20;
const MESSAGE_COUNT = 1_000;

const test = suite("random traffic");

function byteAt(lane: number, position: number): number {
  return (position * 31 + (position >>> 8) * 7 + lane * 13) & 255;
}

function fill(lane: number, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(lane, position + i);
  return bytes;
}

/** Mostly small messages, awaited or not; returns how many bytes there were. */
async function write(sink: Sink, lane: number, random: Random): Promise<number> {
  let position = 0;
  const pending: Promise<void>[] = [];
  for (let i = 0; i < MESSAGE_COUNT; i++) {
    const limit = random.pick([200, 200, 200, 200, 12_000, 100_000]);
    const length = random.int(1, limit);
    const sent = sink.send(fill(lane, position, length));
    position += length;
    if (random.int(0, 3) > 0) await sent;
    else pending.push(sent);
  }
  await Promise.all(pending);
  await sink.close();
  return position;
}

class Reader {
  position = 0;

  constructor(readonly stream: Stream, readonly lane: number, readonly random: Random) {}

  /** Reads to the end of the stream. */
  async run(): Promise<number> {
    for (;;) {
      try {
        if (!await this.step()) return this.position;
      } catch (error) {
        if (error === this) continue; // Our own abort.
        if (!(error instanceof NetworkError)) throw error;
        if (error.code === "Timeout") continue;
        if (!error.endOfStream) throw error;
        // The message was cut short by the end: what there is stays readable.
        const rest = this.stream.buffered;
        if (rest > 0) this.check((await this.stream.recv(rest)).toUint8Array());
      }
    }
  }

  /** One receive of some kind; false at the end. */
  async step(): Promise<boolean> {
    const { stream, random } = this;
    switch (random.int(0, 5)) {
      case 0: {
        const some = await stream.recvSome(random.int(1, 5_000));
        if (some === null) return false;
        this.check(some.toUint8Array());
        return true;
      }
      case 1:
        this.check((await stream.recv(random.int(1, 300), this.budget())).toUint8Array());
        return true;
      case 2:
        this.check((await stream.recv(random.int(1, 150_000), this.budget())).toUint8Array());
        return true;
      case 3: {
        const controller = new AbortController();
        const received = stream.recv(random.int(1, 1_000), { signal: controller.signal });
        setTimeout(() => controller.abort(this), random.int(0, 2));
        this.check((await received).toUint8Array());
        return true;
      }
      case 4: {
        const peeked = stream.peek(50);
        assert.equal(peeked.slice(), fill(this.lane, this.position, peeked.length).slice());
        const there = stream.tryRecv(random.int(1, 100));
        if (there !== null) this.check(there.toUint8Array());
        return true;
      }
      default: {
        const some = await stream.recvSome();
        if (some === null) return false;
        this.check(some.bytes);
        some.release();
        return true;
      }
    }
  }

  budget(): { timeoutMs?: number } {
    return this.random.int(0, 1) === 0 ? {} : { timeoutMs: this.random.int(1, 8) };
  }

  check(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] === byteAt(this.lane, this.position + i)) continue;
      throw new Error(`Wrong byte in lane ${this.lane} at ${this.position + i}`);
    }
    this.position += bytes.length;
  }
}

async function talk(client: Connection, server: Connection, lane: number): Promise<void> {
  const [there, back] = [2 * lane, 2 * lane + 1];
  const random = (part: number) => new Random(randomSeed() + 4 * lane + part);
  const counts = await Promise.all([
    write(client.sink, there, random(0)),
    write(server.sink, back, random(1)),
    new Reader(server.stream, there, random(2)).run(),
    new Reader(client.stream, back, random(3)).run(),
  ]);
  assert.is(counts[2], counts[0], "bytes that arrived at the server");
  assert.is(counts[3], counts[1], "bytes that arrived at the client");
  await Promise.all([client.close(), server.close()]);
}

for (const topology of ["shared", "split"] as const) {
  test(`every byte arrives in order, whatever happens meanwhile (${topology})`, async () => {
    const network = await Network.start({ ring: { topology }, pool: { debug: true } });
    const listener = await network.bind("127.0.0.1:0");
    const talks: Promise<void>[] = [];
    for (let lane = 0; lane < CONNECTION_COUNT; lane++) {
      const [client, server] = await Promise.all([
        network.dial(listener.localAddress),
        listener.accept(),
      ]);
      talks.push(talk(client, server, lane));
    }
    await Promise.all(talks);
    await network.close();
    const held = network.pool.stats().classes.reduce((sum, { allocated }) => sum + allocated, 0);
    assert.is(held, 0, "buffers that nobody gave back");
  }, { timeoutMs: 60_000 });
}

test.run();
