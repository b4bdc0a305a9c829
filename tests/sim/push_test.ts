/**
 * The push seam: consumers and producers on a fake kernel.
 *
 * @module
 */
import { takeSlot } from "../../src/buf/buffer_pool.ts";
import type { Consumer } from "../../src/net/recv/push_receive.ts";
import { pushReceive } from "../../src/net/recv/stream.ts";
import type { Producer } from "../../src/net/send/push_send.ts";
import { pushSend } from "../../src/net/send/sink.ts";
import { assert, bytesEqual, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { type Pair, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/push");

const LIMIT_BYTES = 65_536;

/** Collects what arrives, and says whether more may come. */
class Collector implements Consumer {
  readonly chunks: Uint8Array[] = [];
  length = 0;
  ends: unknown[] = [];
  more = true;
  onData: () => void = () => {};
  readonly done = Promise.withResolvers<void>();

  data(bytes: Uint8Array, start: number, end: number): boolean {
    this.chunks.push(bytes.slice(start, end));
    this.length += end - start;
    this.onData();
    return this.more;
  }

  end(): void {
    this.ends.push("end");
    this.done.resolve();
  }

  error(reason: unknown): void {
    this.ends.push(reason);
    this.done.resolve();
  }

  get bytes(): Uint8Array {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}

class Teller implements Producer {
  events: string[] = [];
  waiting = Promise.withResolvers<void>();
  failure: unknown = null;

  drained(): void {
    this.#tell("drained");
  }

  finished(): void {
    this.#tell("finished");
  }

  failed(reason: unknown): void {
    this.failure = reason;
    this.#tell("failed");
  }

  async next(): Promise<void> {
    await this.waiting.promise;
  }

  #tell(event: string): void {
    this.events.push(event);
    this.waiting.resolve();
    this.waiting = Promise.withResolvers();
  }
}

async function until(pair: Pair, done: () => boolean): Promise<void> {
  while (!done()) await pair.sim.sleep(1);
}

test("a consumer gets every byte in order, then the end", async () => {
  await withSeeds(20, { kernel: { recvCapacity: 20_000 } }, async ({ client, server }, seed) => {
    const collector = new Collector();
    pushReceive(server.stream, collector).resume();
    const sent = contentOf(seed, 150_000);
    for (let at = 0; at < sent.length;) {
      const count = 1 + (seed * 7_919 + at) % 9_000;
      await client.sink.send(sent.slice(at, at + count));
      at += count;
    }
    await client.sink.close();
    await collector.done.promise;
    bytesEqual(collector.bytes, sent);
    assert.equal(collector.ends, ["end"]);
  });
});

test("short pieces have their true lengths when Function.prototype.call was replaced", async () => {
  await withPair({}, async ({ client, server }) => {
    const sender = pushSend(client.sink, new Teller(), LIMIT_BYTES);
    const { call } = Function.prototype;
    Function.prototype.call = function (target, ...rest) {
      return this.name.endsWith("length") ? 1_000 : Reflect.apply(this, target, rest);
    };
    try {
      assert.ok(sender.postShort([{ chunk: contentOf(1, 8), encoding: "" }]));
    } finally {
      Function.prototype.call = call;
    }
    await client.sink.close();
    bytesEqual((await server.stream.recv(8)).toUint8Array(), contentOf(1, 8));
    assert.is(await server.stream.recvSome(), null);
  });
});

test("a consumer is never called inside a turn", async () => {
  await withPair({}, async ({ client, server, network }) => {
    const { recvRing } = network.context;
    const { turn } = recvRing;
    let inside = false;
    let calledInside = 0;
    recvRing.turn = (flags) => {
      inside = true;
      try {
        return turn.call(recvRing, flags);
      } finally {
        inside = false;
      }
    };
    const collector = new Collector();
    collector.onData = () => calledInside += inside ? 1 : 0;
    pushReceive(server.stream, collector).resume();
    for (let i = 0; i < 40; i++) await client.sink.send(contentOf(i, 100));
    await client.sink.close();
    await collector.done.promise;
    assert.is(collector.length, 4_000);
    assert.is(calledInside, 0);
  });
});

test("a consumer that returns false is left alone until resume()", async () => {
  await withPair({ kernel: { recvCapacity: 4_096 } }, async (pair) => {
    const { client, server } = pair;
    const collector = new Collector();
    collector.more = false;
    const receive = pushReceive(server.stream, collector);
    receive.resume();
    const sent = contentOf(3, 30_000);
    const sending = client.sink.send(sent).then(() => client.sink.close());
    await until(pair, () => collector.chunks.length === 1);
    await pair.sim.sleep(200);
    assert.is(collector.chunks.length, 1, "no chunk without resume()");
    while (collector.length < sent.length) {
      const { length } = collector.chunks;
      receive.resume();
      await until(pair, () => collector.chunks.length > length);
    }
    receive.resume();
    await collector.done.promise;
    await sending;
    bytesEqual(collector.bytes, sent);
  });
});

test("resume() inside data() counts, whatever data() returns", async () => {
  await withPair({}, async ({ client, server }) => {
    const collector = new Collector();
    collector.more = false;
    const receive = pushReceive(server.stream, collector);
    collector.onData = () => receive.resume();
    receive.resume();
    for (let i = 0; i < 5; i++) await client.sink.send(contentOf(i, 10));
    await client.sink.close();
    await collector.done.promise;
    assert.is(collector.length, 50);
  });
});

test("nothing is delivered after stop(), and no buffer is left over", async () => {
  await withSeeds(30, {}, async (pair, seed) => {
    const { client, server, sim } = pair;
    const collector = new Collector();
    const receive = pushReceive(server.stream, collector);
    receive.resume();
    for (let i = 0; i < seed % 4; i++) void client.sink.send(contentOf(i, 500)).catch(() => {});
    if (seed % 3 === 0) await sim.sleep(seed / 10);
    receive.stop();
    const { length } = collector;
    await server.close();
    await sim.sleep(50);
    assert.is(collector.length, length);
    assert.equal(collector.ends, []);
  });
});

test("a reset reaches the consumer as RecvFailed with its errno", async () => {
  await withPair({}, async ({ client, server }) => {
    const collector = new Collector();
    pushReceive(server.stream, collector).resume();
    client.reset();
    await collector.done.promise;
    const [error] = collector.ends as { code: string; errno: string }[];
    assert.equal([error.code, error.errno], ["RecvFailed", "ECONNRESET"]);
  });
});

test("a consumer that throws does not keep the others from theirs", async () => {
  const failure = new Error("of the test");
  let collected = 0;
  await assert.rejects(
    withPair({}, async (pair) => {
      const { network, listener } = pair;
      const others = await Promise.all(
        [1, 2, 3].map(() => Promise.all([network.dial(listener.localAddress), listener.accept()])),
      );
      others.forEach(([dialed, accepted], at) => {
        const collector = new Collector();
        collector.onData = () => {
          collected++;
          if (at === 0) throw failure;
        };
        pushReceive(accepted.stream, collector).resume();
        void dialed.sink.send("x");
      });
      await until(pair, () => collected === 3);
    }),
    { message: failure.message },
  );
  assert.is(collected, 3);
});

test("post() copies: what the caller writes afterwards is not sent", async () => {
  await withPair({}, async ({ client, server }) => {
    const teller = new Teller();
    const send = pushSend(client.sink, teller, LIMIT_BYTES);
    const bytes = contentOf(9, 5_000);
    assert.is(send.post(bytes), true);
    bytes.fill(0);
    const received = await server.stream.recv(5_000);
    bytesEqual(received.toUint8Array(), contentOf(9, 5_000));
    assert.equal(teller.events, []);
  });
});

test("post() is false above the limit, and drained() comes once", async () => {
  const kernel = { sendCapacity: 4_096, recvCapacity: 4_096 };
  await withPair({ kernel }, async (pair) => {
    const { client, server } = pair;
    const teller = new Teller();
    const send = pushSend(client.sink, teller, LIMIT_BYTES);
    let posted = 0;
    let more = true;
    while (more) {
      more = send.post(contentOf(posted, 10_000));
      posted += 10_000;
    }
    assert.ok(posted > LIMIT_BYTES && posted <= LIMIT_BYTES + 20_000, `${posted} were posted`);
    await pair.sim.sleep(100);
    assert.equal(teller.events, [], "nobody reads");
    const waiting = teller.next();
    const reading = server.stream.recv(posted);
    await waiting;
    assert.ok(send.queuedBytes <= LIMIT_BYTES / 2);
    assert.equal(teller.events, ["drained"]);
    (await reading).release();
    assert.equal(teller.events, ["drained"]);
  });
});

test("a large array is borrowed until drained()", async () => {
  await withPair({ kernel: { recvCapacity: 50_000 } }, async ({ client, server }) => {
    const teller = new Teller();
    const send = pushSend(client.sink, teller, 1 << 20);
    const sent = contentOf(2, 300_000);
    assert.is(send.post(sent), false);
    const drained = teller.next();
    const received = await server.stream.recv(sent.length);
    bytesEqual(received.toUint8Array(), sent);
    await drained;
    assert.equal(teller.events, ["drained"]);
  });
});

test("postShort() takes short arrays and ASCII texts, and leaves all else to post()", async () => {
  await withPair({}, async ({ client, server }) => {
    const send = pushSend(client.sink, new Teller(), LIMIT_BYTES);
    const text = (chunk: string, encoding = "utf8") => ({ chunk, encoding });
    const bytes = (length: number) => ({ chunk: contentOf(1, length), encoding: "buffer" });
    assert.is(send.postShort([text("head "), bytes(0), text("", "latin1"), bytes(10)]), true);
    assert.is(send.postedBytes, 15);
    const refused = [
      [text("é a")],
      [text("aé")],
      [text("é", "latin1")],
      [text("ab"), text("日本")],
      [text("6162", "hex")],
      [text("x".repeat(65_537))],
      [text("x".repeat(65_535) + "é")],
      [text("x".repeat(2_000)), text("x".repeat(48))],
      [bytes(2_048)],
      [text("")],
    ];
    for (const parts of refused) assert.is(send.postShort(parts), false);
    const lying = contentOf(2, 100);
    Object.defineProperty(lying, "length", { value: 1_000_000 });
    assert.is(send.postShort([{ chunk: lying, encoding: "buffer" }]), true);
    assert.is(send.postShort([text("tail", "latin1")]), true);
    const long = "0123456789abcdef".repeat(4_096);
    assert.is(send.postShort([text(long)]), true, "one text of a copy window");
    assert.is(send.postedBytes, 119 + long.length);
    const received = (await server.stream.recv(119 + long.length)).toUint8Array();
    const wanted = [...new TextEncoder().encode("head "), ...contentOf(1, 10)];
    wanted.push(...contentOf(2, 100), ...new TextEncoder().encode(`tail${long}`));
    bytesEqual(received, Uint8Array.from(wanted));
  });
});

test("a post has no budget, although its call has served a send with one", async () => {
  const kernel = { sendCapacity: 4_096, recvCapacity: 4_096 };
  await withPair({ kernel }, async ({ client, server, sim }) => {
    await client.sink.send("x", { timeoutMs: 20 });
    const teller = new Teller();
    pushSend(client.sink, teller, LIMIT_BYTES).post(contentOf(1, 30_000));
    await sim.sleep(200);
    assert.equal(teller.events, []);
    const received = (await server.stream.recv(30_001)).toUint8Array();
    bytesEqual(received.subarray(1), contentOf(1, 30_000));
  });
});

test("short pieces that lie behind each other are one call until the kernel has it", async () => {
  await withPair({}, async ({ client, server, network }) => {
    const send = pushSend(client.sink, new Teller(), LIMIT_BYTES);
    const { buckets } = network.context.meter.sendSeconds;
    const callCount = () => buckets.reduce((total, count) => total + count, 0);
    const post = (seed: number) =>
      assert.ok(send.postShort([{ chunk: contentOf(seed, 100), encoding: "buffer" }]));
    for (let i = 0; i < 10; i++) post(i);
    (await server.stream.recv(1_000)).release();
    assert.is(callCount(), 1);
    post(10);
    (await server.stream.recv(100)).release();
    assert.is(callCount(), 2, "a settled call takes no more bytes");
    send.post(contentOf(11, 100));
    post(12);
    const received = (await server.stream.recv(200)).toUint8Array();
    bytesEqual(received.subarray(100), contentOf(12, 100));
    assert.is(callCount(), 4, "calls of post() are left alone");
  });
});

test("short pieces keep their order and their bytes, however little the kernel takes", async () => {
  const options = { kernel: { sendCapacity: 700, recvCapacity: 700 }, faults: { shortSend: 0.5 } };
  await withSeeds(40, options, async (pair, seed) => {
    const { client, server, sim } = pair;
    const send = pushSend(client.sink, new Teller(), LIMIT_BYTES);
    const sent = contentOf(seed, 12_000);
    const receiving = server.stream.recv(sent.length);
    for (let at = 0; at < sent.length;) {
      const chunk = sent.subarray(at, at + 1 + (seed * 7_919 + at * 31) % 400);
      if (at % 3 === 0) send.post(chunk);
      else assert.ok(send.postShort([{ chunk, encoding: "buffer" }]));
      at += chunk.length;
      if (at % 5 === 0) await sim.sleep(at % 7);
    }
    assert.is(send.postedBytes, sent.length);
    bytesEqual((await receiving).toUint8Array(), sent);
    assert.is(send.queuedBytes, 0);
  });
});

test("forwarded bytes keep their order, whatever their size, and no slot is kept", async () => {
  const options = { kernel: { sendCapacity: 9_000, recvCapacity: 30_000 } };
  await withSeeds(30, options, async (pair, seed) => {
    const { client, server, network, listener, sim } = pair;
    const dialing = network.dial(listener.localAddress);
    const [target, behind] = await Promise.all([dialing, listener.accept()]);
    const teller = new Teller();
    const send = pushSend(target.sink, teller, LIMIT_BYTES);
    let forwarded = 0;
    const receive = pushReceive(server.stream, {
      data(bytes, start, end, slot) {
        if (send.postSlot(slot, start, end)) forwarded += end - start;
        else send.post(bytes.slice(start, end));
        return !send.full;
      },
      end: () => send.finish(),
      error: () => {},
    });
    teller.drained = () => receive.resume();
    receive.resume();
    const sent = contentOf(seed, 200_000);
    // A target that is reset gives the slots back as well; its source then ends with the pair.
    const breaks = seed % 5 === 0;
    const reading = behind.stream.recv(breaks ? 20_000 : sent.length);
    const sending = client.sink.send(sent).then(() => client.sink.close()).catch(() => {});
    const received = (await reading).toUint8Array();
    bytesEqual(received, sent.subarray(0, received.length));
    if (breaks) behind.reset();
    else {
      await sending;
      assert.is(await behind.stream.recvSome(), null);
      assert.ok(forwarded > 100_000, `${forwarded} bytes were forwarded`);
    }
    await sim.sleep(50);
    target.reset();
  });
});

test("postSlot() refuses while the producer waits, and behind the end", async () => {
  await withPair({ kernel: { sendCapacity: 100, recvCapacity: 100 } }, async (pair) => {
    const { client, network } = pair;
    const send = pushSend(client.sink, new Teller(), 1_000);
    const slot = takeSlot(network.context.pool, 8_192);
    assert.is(send.postSlot(slot, 0, 8_000), true);
    assert.is(slot.references, 2, "the slot is retained");
    assert.is(send.postSlot(slot, 0, 8_000), false, "the producer has to wait");
    send.finish();
    assert.is(send.postSlot(slot, 0, 10), false);
    assert.is(slot.references, 2);
    client.reset();
    await until(pair, () => slot.references === 1);
    slot.release();
  });
});

test("postSlot() takes bytes that the slot no longer has when they are sent", async () => {
  for (const length of [2_047, 65_536, 65_537, 131_071, 131_072]) {
    await withPair({}, async ({ client, server, network }) => {
      const send = pushSend(client.sink, new Teller(), 1 << 20);
      const slot = takeSlot(network.context.pool, 1 << 18);
      slot.bytes.set(contentOf(6, length));
      assert.is(send.postSlot(slot, 0, length), true);
      // A slot that is not retained goes to the pool, whose next user writes into it.
      if (slot.references === 1) slot.bytes.fill(0);
      slot.release();
      bytesEqual((await server.stream.recv(length)).toUint8Array(), contentOf(6, length));
    });
  }
});

test("finish() sends FIN after the posted bytes, then calls finished()", async () => {
  await withPair({}, async ({ client, server }) => {
    const teller = new Teller();
    const send = pushSend(client.sink, teller, LIMIT_BYTES);
    send.post(contentOf(1, 3_000));
    const told = teller.next();
    send.finish();
    const received = await server.stream.recv(3_000);
    bytesEqual(received.toUint8Array(), contentOf(1, 3_000));
    assert.is(await server.stream.recvSome(), null);
    await told;
    assert.equal(teller.events, ["finished"]);
  });
});

test("a failure is reported once, also to a post() after it", async () => {
  await withPair({}, async (pair) => {
    const { client, server, sim } = pair;
    const teller = new Teller();
    const send = pushSend(client.sink, teller, LIMIT_BYTES);
    server.reset();
    await sim.sleep(50);
    const told = teller.next();
    for (let i = 0; i < 5; i++) send.post(contentOf(i, 100));
    await told;
    await sim.sleep(50);
    assert.is(send.post(contentOf(9, 100)), false);
    await sim.sleep(50);
    assert.equal(teller.events, ["failed"]);
    assert.is((teller.failure as { code: string }).code, "SendFailed");
  });
});

test("stop() gives up borrowed memory, even while the kernel has it", async () => {
  const kernel = { sendCapacity: 20_000, recvCapacity: 20_000 };
  await withSeeds(30, { kernel }, async ({ client, server, sim }, seed) => {
    const teller = new Teller();
    const send = pushSend(client.sink, teller, LIMIT_BYTES);
    send.post(contentOf(4, 1_000));
    const lent = contentOf(5, 200_000);
    send.post(lent);
    await sim.sleep(seed / 20);
    send.stop();
    lent.fill(0xff);
    const closing = client.close();
    const received: number[] = [];
    for (let more = true; more;) {
      const chunk = await server.stream.recvSome().catch(() => null);
      more = chunk !== null;
      if (chunk !== null) received.push(...chunk.toUint8Array());
    }
    await closing;
    const wanted = [...contentOf(4, 1_000), ...contentOf(5, 200_000)].slice(0, received.length);
    bytesEqual(Uint8Array.from(received), Uint8Array.from(wanted));
    assert.ok(received.length >= 1_000, "what was copied is sent");
    assert.equal(teller.events, []);
  });
});

test.run();
