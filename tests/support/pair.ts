/**
 * Two connected ends on a fake kernel, for tests that inject one fault.
 *
 * @module
 */
import type { NetworkConfig } from "../../src/net/config/config.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import type { Listener } from "../../src/net/accept/listener.ts";
import type { FakeSocket } from "./fake_socket.ts";
import { seedCount } from "./seed_count.ts";
import { Sim, type SimNetwork, type SimOptions } from "./sim.ts";

export interface Pair {
  sim: Sim;
  network: SimNetwork;
  listener: Listener;
  client: Connection;
  server: Connection;
  clientSocket: FakeSocket;
  serverSocket: FakeSocket;
}

export interface PairOptions extends SimOptions {
  config?: NetworkConfig;
}

/** Connects, plays `body`, closes everything, and checks that nothing is left. */
export async function withPair(
  options: PairOptions,
  body: (pair: Pair) => Promise<void>,
): Promise<Sim> {
  const { faults, ...calm } = options;
  const sim = new Sim(calm);
  await sim.run(async () => {
    const network = sim.open(options.config);
    const listener = await network.bind("127.0.0.1:0");
    const address = listener.localAddress;
    const [client, server] = await Promise.all([network.dial(address), listener.accept()]);
    const clientSocket = sim.kernel.all.find(({ backlog, peer }) => peer && backlog.length === 0)!;
    const serverSocket = clientSocket.peer!;
    // The faults begin here.
    Object.assign(sim.faults.rates, faults);
    await body({ sim, network, listener, client, server, clientSocket, serverSocket });
    client.reset();
    server.reset();
    await network.close();
  });
  sim.checkNothingLeft();
  return sim;
}

/** Runs a test with many seeds, which vary the order of events. */
export async function withSeeds(
  count: number,
  options: PairOptions,
  body: (pair: Pair, seed: number) => Promise<void>,
): Promise<void> {
  for (let seed = 1; seed <= seedCount(count); seed++) {
    try {
      await withPair({ ...options, seed }, (pair) => body(pair, seed));
    } catch (error) {
      if (error instanceof Error) error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
}

/** How a call ended: its value, or its error. */
export async function outcomeOf<T>(call: Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await call };
  } catch (error) {
    return { error };
  }
}
