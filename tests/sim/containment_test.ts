/**
 * One operation's failure is its own: errors planted into what is done before an operation goes to
 * the kernel and after it has come back. The half, or the call, ends with a typed error that has
 * the planted one as its cause; another connection does not notice, and nothing is left.
 *
 * @module
 */
import { replaceQueueMicrotask } from "../../src/base/queue_microtask.ts";
import { Roster } from "../../src/base/roster.ts";
import { NetworkError } from "../../src/base/network_error.ts";
import { RecvCall } from "../../src/net/recv/recv_call.ts";
import { IoBuf } from "../../src/buf/io_buf.ts";
import { IoBufs } from "../../src/buf/io_bufs.ts";
import { AcceptOperation } from "../../src/net/accept/accept_operation.ts";
import { ConnectOperation } from "../../src/net/dial/connect_operation.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import { DirectRead } from "../../src/net/recv/direct_read.ts";
import { GatherBuffer } from "../../src/net/send/gather_buffer.ts";
import { packedAddress } from "../../src/net/address/packed_address.ts";
import { ReadBuffer } from "../../src/net/recv/read_buffer.ts";
import { ReadSource } from "../../src/ring/read_source.ts";
import { RecvHalf } from "../../src/net/recv/recv_half.ts";
import { SendBatch } from "../../src/net/send/send_batch.ts";
import { SendCall } from "../../src/net/send/send_call.ts";
import { SendHalf } from "../../src/net/send/send_half.ts";
import { socketOptions } from "../../src/net/socket/socket_options.ts";
import { BlockList } from "../../src/ring/block_list.ts";
import { OpWriter } from "../../src/ring/op_writer.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import type { FakeSocket } from "../support/fake_socket.ts";
import { outcomeOf, type Pair, withPair } from "../support/pair.ts";
import { type PlantedThrow, plantThrow, type ThrowPlace } from "../support/planted_throw.ts";

const test = suite("sim/containment");

const PLACES: readonly ThrowPlace[] = ["before", "after"];
const MUCH = 600_000;
const TOPOLOGIES = ["shared", "split"] as const;

/** Whether an operation is one of this socket. */
const ofSocket = (socket: FakeSocket) => (self: unknown) =>
  (self as { socket?: { fd: number } }).socket?.fd === socket.fd;

/** Two connections: the pair, whose client or server breaks, and one that must not notice. */
async function withBystander(
  body: (pair: Pair, planted: (planted: PlantedThrow) => Promise<void>) => Promise<void>,
  kernel = { sendCapacity: 2 * MUCH, recvCapacity: 2 * MUCH },
): Promise<void> {
  for (const topology of TOPOLOGIES) {
    await withPair({ config: { ring: { topology } }, kernel }, async (pair) => {
      const { network, listener } = pair;
      const [near, far] = await Promise.all([
        network.dial(listener.localAddress),
        listener.accept(),
      ]);
      // A receive that waits through all of it.
      const waiting = far.stream.recv(5);
      await pair.sim.sleep(20);
      await body(pair, async (planted) => {
        assert.ok(planted.struck, "the planted error was thrown");
        planted[Symbol.dispose]();
        await echoes(near, far, waiting);
      });
      near.reset();
      far.reset();
    });
  }
}

async function echoes(
  near: Connection,
  far: Connection,
  waiting: Promise<IoBufs>,
): Promise<void> {
  await near.sink.send("there");
  assert.is((await waiting).text(), "there");
  await far.sink.send(contentOf(7, 100_000));
  const got = await near.stream.recv(100_000);
  assert.bytesEqual(got.toUint8Array(), contentOf(7, 100_000));
}

/** The call failed with a typed error that says what was planted. */
async function expectBroken(
  call: Promise<unknown>,
  code: string,
  planted: PlantedThrow,
): Promise<void> {
  const outcome = await outcomeOf(call);
  const error = "error" in outcome ? outcome.error : null;
  assert.instance(error, NetworkError, `${planted.error.message}: ${JSON.stringify(outcome)}`);
  assert.is((error as NetworkError).code, code, planted.error.message);
  assert.is((error as NetworkError).cause, planted.error);
  assert.match((error as NetworkError).message, planted.error.message);
}

/** Behind these a block, a slot or a range has a new owner that its caller has not heard of. */
function isHandOver(method: string, place: ThrowPlace): boolean {
  return place === "after" && ["take", "commit", "push", "lent"].includes(method);
}

function release(outcome: { value: unknown } | { error: unknown }): void {
  if ("value" in outcome) (outcome.value as IoBuf | IoBufs).release();
}

function outcomeError(outcome: object): Promise<never> {
  return Promise.reject((outcome as { error: unknown }).error);
}

// ---- sending ---------------------------------------------------------------------------------

/** The sent data, and the place on the way of these bytes at which an error is planted. */
interface SendCase {
  name: string;
  send(pair: Pair): Promise<void>;
  sites: readonly (readonly [object, string])[];
}

const SEND_CASES: readonly SendCase[] = [
  {
    name: "one range",
    send: ({ client }) => client.sink.send("hello"),
    sites: [
      [SendHalf.prototype, "prepare"],
      [SendHalf.prototype, "complete"],
      [OpWriter.prototype, "send"],
      [SendCall.prototype, "consume"],
    ],
  },
  {
    name: "many ranges",
    send: ({ client, network }) => {
      const parts = new IoBufs();
      for (let i = 0; i < 5; i++) {
        const buffer = network.pool.alloc(3_000);
        buffer.bytes.fill(i);
        parts.append(buffer);
      }
      return client.sink.send(parts);
    },
    sites: [
      [SendHalf.prototype, "prepare"],
      [SendHalf.prototype, "complete"],
      [SendBatch.prototype, "prepare"],
      [SendBatch.prototype, "land"],
      [BlockList.prototype, "take"],
      [OpWriter.prototype, "sendmsg"],
      [SendCall.prototype, "consume"],
    ],
  },
  {
    name: "windows",
    send: ({ client }) => client.sink.send(contentOf(1, 300_000)),
    sites: [
      [SendBatch.prototype, "prepare"],
      [SendCall.prototype, "consume"],
      [SendHalf.prototype, "complete"],
    ],
  },
  {
    name: "plain memory",
    send: ({ client }) => client.sink.send(IoBuf.from("hello")),
    sites: [
      [SendBatch.prototype, "prepare"],
      [GatherBuffer.prototype, "room"],
      [GatherBuffer.prototype, "commit"],
    ],
  },
];

for (const { name, send, sites } of SEND_CASES) {
  for (const [target, method] of sites) {
    for (const place of PLACES) {
      if (isHandOver(method, place)) continue;
      const site = `${target.constructor.name}.${method}()`;
      test(`${name}: an error ${place} ${site} ends the sending half alone`, async () => {
        await withBystander(async (pair, bystander) => {
          const { client, server, clientSocket, sim } = pair;
          const { prepare } = SendHalf.prototype;
          const chosen = ofSocket(clientSocket);
          // Helpers do not know their socket, so no other side sends meanwhile.
          const owned = target === SendHalf.prototype ? chosen : () => true;
          const planted = plantThrow(target, method, place, owned);
          const receiving = outcomeOf(server.stream.recv(MUCH));
          const first = outcomeOf(send(pair));
          const small = pair.network.pool.alloc(10);
          const second = outcomeOf(client.sink.send(small));
          await sim.sleep(50);
          // An error after the end of all calls is reported by the next call.
          const outcomes = [await first, await second];
          const broken = outcomes.find((outcome) => "error" in outcome);
          if (broken !== undefined) await expectBroken(outcomeError(broken), "SendFailed", planted);
          assert.ok(client.sink.closed, "the half has ended");
          const late = await assert.rejects(client.sink.send("more"), { code: "Closed" });
          assert.is((late.cause as Error).cause, planted.error);
          // The peer hears of it, and the other direction goes on.
          const end = await receiving;
          assert.ok("error" in end && (end.error as NetworkError).endOfStream, "FIN");
          await server.sink.send("back");
          assert.is((await client.stream.recv(4)).text(), "back");
          await bystander(planted);
          assert.is(SendHalf.prototype.prepare, prepare);
        });
      });
    }
  }
}

// ---- receiving -------------------------------------------------------------------------------

/** One of the four ways to receive: what brings a half into it, and the call that then waits. */
interface RecvCase {
  name: string;
  before(pair: Pair): Promise<void>;
  receive(pair: Pair): Promise<unknown>;
  kind: "recv" | "recvSelect" | "recvMultishot";
  sites: readonly (readonly [object, string])[];
}

const COMMON_SITES = [
  [RecvHalf.prototype, "prepare"],
  [RecvHalf.prototype, "complete"],
] as const;

const SOURCE_SITES = [[ReadSource.prototype, "take"], [ReadSource.prototype, "note"]] as const;

const FILL_SITES = [...COMMON_SITES, ...SOURCE_SITES] as const;

const RECV_CASES: readonly RecvCase[] = [
  {
    name: "fill",
    kind: "recvSelect",
    before: () => Promise.resolve(),
    receive: ({ server }) => server.stream.recv(1_000),
    sites: [
      ...FILL_SITES,
      [OpWriter.prototype, "recvSelect"],
      [ReadBuffer.prototype, "push"],
      [ReadBuffer.prototype, "take"],
    ],
  },
  {
    name: "multishot",
    kind: "recvMultishot",
    before: async ({ client, server }) => {
      for (let i = 0; i < 20; i++) {
        const receiving = server.stream.recv(100);
        await client.sink.send(contentOf(i, 100));
        (await receiving).release();
      }
    },
    receive: ({ server }) => server.stream.recv(1_000),
    // It is with the kernel already: nothing is prepared.
    sites: [[RecvHalf.prototype, "complete"], ...SOURCE_SITES, [ReadBuffer.prototype, "push"]],
  },
  {
    name: "bulk",
    kind: "recvSelect",
    before: async ({ client, server, sim }) => {
      await client.sink.send(contentOf(1, 70_000));
      await sim.sleep(50);
      // A buffer that was full while more was waiting; then one that takes the rest.
      for (let at = 0; at < 70_000;) {
        const some = await server.stream.recvSome() as IoBuf;
        at += some.length;
        some.release();
      }
    },
    receive: ({ server }) => server.stream.recvSome(),
    sites: [...FILL_SITES, [OpWriter.prototype, "recvSelect"], [RecvCall.prototype, "lent"]],
  },
  {
    name: "direct",
    kind: "recv",
    before: () => Promise.resolve(),
    receive: ({ server }) => server.stream.recv(200_000),
    sites: [
      ...COMMON_SITES,
      [DirectRead.prototype, "prepare"],
      [DirectRead.prototype, "toResult"],
      [OpWriter.prototype, "recv"],
    ],
  },
];

for (const { name, kind, before, receive, sites } of RECV_CASES) {
  for (const [target, method] of sites) {
    for (const place of PLACES) {
      if (isHandOver(method, place) && target !== ReadSource.prototype) continue;
      const site = `${target.constructor.name}.${method}()`;
      test(`${name}: an error ${place} ${site} ends the receiving half alone`, async () => {
        await withBystander(async (pair, bystander) => {
          const { client, server, serverSocket, sim } = pair;
          await before(pair);
          const inPrepare = method === "prepare" || target === OpWriter.prototype;
          const owned = target === RecvHalf.prototype ? ofSocket(serverSocket) : () => true;
          let planted = inPrepare ? plantThrow(target, method, place, owned) : null;
          const receiving = outcomeOf(receive(pair));
          const behind = outcomeOf(server.stream.recv(10));
          await sim.sleep(20);
          if (planted === null) {
            assert.is(serverSocket.recv?.kind, kind);
            planted = plantThrow(target, method, place, owned);
          }
          // Fewer bytes than a call wants are buffered, so that the buffer holds some of them.
          await outcomeOf(client.sink.send(contentOf(3, 500)));
          await sim.sleep(20);
          await outcomeOf(client.sink.send(contentOf(4, 300)));
          await sim.sleep(20);
          await outcomeOf(client.sink.send(contentOf(5, 200)));
          const [one, two] = await Promise.all([receiving, behind]);
          await expectBroken(outcomeError("error" in one ? one : two), "RecvFailed", planted);
          release(one);
          release(two);
          assert.ok(server.stream.closed, "the half has ended");
          assert.is(server.stream.buffered, 0, "what cannot be trusted is not given out");
          await assert.rejects(server.stream.recv(1), { code: "Closed" });
          // The other direction goes on.
          await server.sink.send("back");
          assert.is((await client.stream.recv(4)).text(), "back");
          await bystander(planted);
        });
      });
    }
  }
}

// ---- accepting and connecting ----------------------------------------------------------------

const ACCEPT_SITES = [
  [AcceptOperation.prototype, "prepare"],
  [AcceptOperation.prototype, "complete"],
  [packedAddress, "read"],
  [OpWriter.prototype, "accept"],
] as const;

for (const [target, method] of ACCEPT_SITES) {
  for (const place of PLACES) {
    const name = target === packedAddress ? "packedAddress" : target.constructor.name;
    test(`accept: an error ${place} ${name}.${method}() ends one call`, async () => {
      await withBystander(async ({ network }, bystander) => {
        const listener = await network.bind("127.0.0.1:0");
        const planted = plantThrow(target, method, place);
        const accepts = [listener.accept(), listener.accept(), listener.accept()];
        const outcomes = accepts.map(outcomeOf);
        const clients = await Promise.all([1, 2, 3].map(async () => {
          const dialing = await outcomeOf(network.dial(listener.localAddress));
          return "value" in dialing ? dialing.value : null;
        }));
        const extra = await network.dial(listener.localAddress);
        const ended = await Promise.all(outcomes);
        // Where all calls were served before the error, the next one is told.
        if (!ended.some((outcome) => "error" in outcome)) {
          ended.push(await outcomeOf(listener.accept()));
        }
        const failed = ended.filter((outcome) => "error" in outcome);
        assert.is(failed.length, 1, "exactly one call fails");
        await expectBroken(outcomeError(failed[0]), "AcceptFailed", planted);
        await bystander(planted);
        const later = listener.accept();
        const last = await network.dial(listener.localAddress);
        const connections = [...clients, extra, last, await later];
        for (const outcome of ended) if ("value" in outcome) connections.push(outcome.value);
        for (const connection of connections) connection?.reset();
        await listener.close();
      });
    });
  }
}

const CONNECT_SITES = [
  [ConnectOperation.prototype, "prepare"],
  [ConnectOperation.prototype, "complete"],
  [Roster.prototype, "add"],
  [OpWriter.prototype, "connect"],
  [socketOptions, "apply"],
] as const;

for (const [target, method] of CONNECT_SITES) {
  for (const place of PLACES) {
    if (target === Roster.prototype && place === "after") continue;
    const name = target === socketOptions ? "socketOptions" : target.constructor.name;
    const site = `${name}.${method}()`;
    test(`dial: an error ${place} ${site} ends that dial alone`, async () => {
      await withBystander(async ({ network, listener, sim }, bystander) => {
        const { open } = network.context;
        const chosen = (self: unknown) => target !== Roster.prototype || self === open;
        const planted = plantThrow(target, method, place, chosen);
        const dialing = outcomeOf(network.dial(listener.localAddress));
        const outcome = await dialing;
        if ("value" in outcome) {
          // Thrown after the end of the call, so no call can report it.
          assert.is(place, "after");
          outcome.value.reset();
        } else {
          await expectBroken(Promise.reject(outcome.error), "ConnectionFailed", planted);
        }
        await sim.sleep(20);
        await bystander(planted);
        const accepting = listener.accept();
        const other = await network.dial(listener.localAddress);
        (await accepting).reset();
        other.reset();
        // The kernel may have accepted a failed dial.
        for (let i = 0; i < 2; i++) {
          const rest = await outcomeOf(listener.accept({ timeoutMs: 20 }));
          if ("value" in rest) rest.value.reset();
        }
      });
    });
  }
}

test("the completions of a turn behind one that breaks are delivered", async () => {
  await withPair({}, async ({ network, listener, sim }) => {
    const pairs = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const [near, far] = await Promise.all([
          network.dial(listener.localAddress),
          listener.accept(),
        ]);
        return { near, far };
      }),
    );
    const receives = pairs.map(({ far }) => outcomeOf(far.stream.recv(4)));
    await sim.sleep(20);
    const { pending } = network.context.recvRing.recvLane;
    // The first completion of the turn that brings all of them.
    using planted = plantThrow(RecvHalf.prototype, "complete", "before");
    await Promise.all(pairs.map(({ near }) => near.sink.send("ping")));
    const outcomes = await Promise.all(receives);
    assert.ok(planted.struck);
    assert.is(outcomes.filter((outcome) => "error" in outcome).length, 1);
    assert.is(network.context.recvRing.recvLane.pending, pending - pairs.length);
    for (const outcome of outcomes) if ("value" in outcome) assert.is(outcome.value.text(), "ping");
    for (const { near, far } of pairs) {
      near.reset();
      far.reset();
    }
  });
});

test("an error in the end of a half is uncaught, and ends no other", async () => {
  await withBystander(async ({ client, server, serverSocket, sim }, bystander) => {
    const told: unknown[] = [];
    const receiving = outcomeOf(server.stream.recv(4));
    await sim.sleep(20);
    const first = plantThrow(RecvHalf.prototype, "complete", "before", ofSocket(serverSocket));
    using second = plantThrow(RecvHalf.prototype, "fail", "after");
    const guarded = replaceQueueMicrotask((task) =>
      guarded(() => {
        try {
          task();
        } catch (error) {
          told.push(error);
        }
      })
    );
    try {
      await client.sink.send("ping");
      await expectBroken(outcomeError(await receiving), "RecvFailed", first);
    } finally {
      replaceQueueMicrotask(guarded);
    }
    assert.equal(told, [second.error]);
    await bystander(first);
  });
});

test.run();
