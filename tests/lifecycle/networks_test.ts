/**
 * Several networks in one thread, all of them busy: they come and go without a trace in the others.
 *
 * @module
 */
import { type Connection, Network, type NetworkConfig, NetworkError } from "../../mod.ts";
import {
  closeChecked,
  connect,
  type ContractContext,
  descriptors,
  expectAlive,
  expectBytes,
  expectNoNewDescriptors,
  type Pair,
  pattern,
  until,
} from "../contract/fixture.ts";
import { assert, Random, suite } from "../harness.ts";

const CONFIGS: readonly NetworkConfig[] = [
  { ring: { topology: "shared" } },
  { ring: { topology: "split" } },
  { ring: { topology: "shared", spin: false }, readBufferSize: 0 },
  { ring: { topology: "split", entries: 8 }, pool: { maxPerClass: 4 } },
];

const test = suite<ContractContext>("networks of one thread");

test.before(async (context) => {
  // Descriptors that the runtime opens with the first ring stay open.
  await (await Network.start()).close();
  context.descriptors = descriptors();
});

test.after(({ descriptors }) => expectNoNewDescriptors(descriptors));

/** Traffic over one network, byte by byte, until it is stopped or the network closes. */
class Load {
  rounds = 0;
  /** The error that ended it; null when it was stopped. */
  error: unknown = null;
  stopped = false;
  readonly ended: Promise<void>;
  readonly #pair: Pair;

  constructor(pair: Pair, size: number) {
    this.#pair = pair;
    this.ended = this.#run(size).catch((error) => this.error = error);
  }

  static async over(network: Network, dialer: Network = network): Promise<Load[]> {
    const loads: Load[] = [];
    for (const size of [100, 5_000, 200_000]) {
      loads.push(new Load(await connect(network, "127.0.0.1:0", dialer), size));
    }
    return loads;
  }

  async #run(size: number): Promise<void> {
    const { client, server } = this.#pair;
    while (!this.stopped) {
      const message = pattern(size, this.rounds);
      await Promise.all([client.sink.send(message), expectBytes(server, message)]);
      await Promise.all([server.sink.send(message), expectBytes(client, message)]);
      this.rounds++;
    }
    await this.#pair[Symbol.asyncDispose]();
  }
}

async function expectProgress(loads: readonly Load[]): Promise<void> {
  const goals = loads.map((load) => load.rounds + 5);
  await until(() => {
    for (const load of loads) if (load.error !== null) throw load.error;
    return loads.every((load, i) => load.rounds >= goals[i]);
  }, "every load goes on");
}

async function stop(loads: readonly Load[]): Promise<void> {
  for (const load of loads) load.stopped = true;
  await Promise.all(loads.map((load) => load.ended));
  for (const load of loads) assert.is(load.error, null);
}

test("closing one under load leaves the others working", async () => {
  const networks = await Promise.all(CONFIGS.map((config) => Network.start(config)));
  const loads = await Promise.all(networks.map((network) => Load.over(network)));
  await expectProgress(loads.flat());
  while (networks.length > 1) {
    const at = networks.length >> 1;
    const [network] = networks.splice(at, 1);
    const [closing] = loads.splice(at, 1);
    await closeChecked(network);
    await Promise.all(closing.map((load) => load.ended));
    for (const { error } of closing) {
      assert.ok(error instanceof NetworkError, `${error}`);
      assert.is((error as NetworkError).code, "Closed");
    }
    await expectProgress(loads.flat());
  }
  await stop(loads[0]);
  await closeChecked(networks[0]);
});

test("a connection between two of them ends for one when the other closes", async () => {
  const [first, second, third] = await Promise.all(
    CONFIGS.slice(0, 3).map((config) => Network.start(config)),
  );
  const outer = await connect(first, "127.0.0.1:0", second);
  const inner = await connect(first, "127.0.0.1:0", third);
  await Promise.all([expectAlive(outer), expectAlive(inner)]);
  await closeChecked(second);
  assert.is(await outer.server.stream.recvSome(), null, "the end of the stream");
  await expectAlive(inner);
  await Promise.all([outer[Symbol.asyncDispose](), inner[Symbol.asyncDispose]()]);
  await Promise.all([closeChecked(first), closeChecked(third)]);
});

test("networks that come and go at random beside a busy one: nothing is left", async () => {
  const random = new Random();
  const steady = await Network.start();
  const loads = await Load.over(steady);
  const before = descriptors();
  for (let round = 0; round < 20; round++) {
    const count = random.int(1, 3);
    const guests = await Promise.all(
      Array.from({ length: count }, () => Network.start(random.pick(CONFIGS))),
    );
    const connections: Connection[] = [];
    for (const guest of guests) {
      const pair = await connect(guest, "127.0.0.1:0", random.pick([guest, ...guests]));
      connections.push(pair.client, pair.server);
      await expectAlive(pair);
      // Left as they are: in the middle of a message, and with more than the sockets take.
      pair.client.stream.recv(10_000).then((got) => got.release(), () => {});
      if (random.chance(0.5)) pair.server.sink.send(pattern(8 << 20)).catch(() => {});
    }
    for (const connection of connections) if (random.chance(0.3)) connection.reset();
    for (const connection of connections) connection.reset();
    await Promise.all(guests.map(closeChecked));
    await expectProgress(loads);
  }
  await expectNoNewDescriptors(before);
  await stop(loads);
  await closeChecked(steady);
});

test.run();
