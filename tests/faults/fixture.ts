/**
 * The common parts of the fault tests: a network with faults that talks to a healthy one, calls
 * whose end is looked at, and the check that nothing is left.
 *
 * @module
 */
import { type Connection, type Listener, Network, type NetworkConfig } from "../../mod.ts";
import { NetworkError } from "../../src/base/network_error.ts";
import {
  allocated,
  descriptors,
  expectNoNewDescriptors,
  pattern,
  SOON_MS,
} from "../contract/fixture.ts";
import { assert, bytesEqual, Random, type Suite, suite } from "../harness.ts";
import { FaultyNetwork } from "./library.ts";
import { table } from "./table.ts";

export interface FaultContext extends Record<string, unknown> {
  /** A network without faults: the other side. */
  healthy: Network;
  descriptors: Map<string, string>;
}

/** A suite with a healthy network. Tests begin with an empty table, the last leaves nothing. */
export function faultSuite(name: string): Suite<FaultContext> {
  const test = suite<FaultContext>(name, {} as FaultContext, { timeoutMs: 60_000 });
  test.before(async (context) => {
    // Both runtimes keep some descriptors of their own from the first use of what they need.
    await (await Network.start()).close();
    await new FaultyNetwork().close();
    context.descriptors = descriptors();
    context.healthy = await Network.start();
  });
  test.after.each(() => table.reset());
  test.after(async ({ healthy, descriptors }) => {
    assert.is(healthy.stats().connections, 0, "connections of the healthy side");
    await healthy.close();
    assert.is(allocated(healthy), 0, "buffers of the healthy side");
    await expectNoNewDescriptors(descriptors);
  });
  return test;
}

/** Lets timers, I/O and turns of both networks go on. */
export function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits for something that happens within a few rounds of the event loop. */
export async function soon(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + SOON_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Never true: ${what}`);
    await macrotask();
  }
}

/** Closes a network and checks that it got everything back. */
export async function closeEmpty(network: FaultyNetwork): Promise<void> {
  const { recvRing, sendRing } = network.context;
  await network.close();
  const { connections, sendsPending, receivesPending } = network.stats();
  const left = {
    connections,
    sendsPending,
    receivesPending,
    flying: recvRing.inFlight + sendRing.inFlight,
    blocks: recvRing.blocks.used + sendRing.blocks.used,
    buffers: allocated(network as unknown as Network),
    reserve: network.context.reserve.allocated,
    open: network.context.open.size + network.context.dials.size,
  };
  for (const [what, count] of Object.entries(left)) assert.is(count, 0, `left behind: ${what}`);
}

/** Runs `body` with a network that has faults, then closes that and checks that nothing is left. */
export async function withFaulty(
  config: NetworkConfig,
  body: (faulty: FaultyNetwork) => Promise<void>,
): Promise<void> {
  const faulty = new FaultyNetwork({ pool: { debug: true }, ...config });
  try {
    await body(faulty);
  } catch (error) {
    table.reset();
    void faulty.close();
    throw error;
  }
  await closeEmpty(faulty);
}

/** A connection between a side with faults and a healthy one. */
export interface FaultyPair {
  faulty: FaultyNetwork;
  /** The end that has faults. */
  client: Connection;
  /** The healthy end. */
  server: Connection;
  listener: Listener;
}

/** Connects with an empty table: what a test sets counts from here. */
export async function connectFaulty(
  faulty: FaultyNetwork,
  healthy: Network,
  address = "127.0.0.1:0",
): Promise<FaultyPair> {
  table.reset();
  const listener = await healthy.bind(address);
  const [client, server] = await Promise.all([
    faulty.dial(listener.localAddress),
    listener.accept(),
  ]);
  return { faulty, client, server, listener };
}

export async function closePair({ client, server, listener }: FaultyPair): Promise<void> {
  await Promise.all([client.close(), server.close(), listener.close()]);
}

/** Plays `body` on a pair; then everything is closed and nothing may be left. */
export function withPair(
  healthy: Network,
  config: NetworkConfig,
  body: (pair: FaultyPair) => Promise<void>,
): Promise<void> {
  return withFaulty(config, async (faulty) => {
    const pair = await connectFaulty(faulty, healthy);
    try {
      await body(pair);
    } catch (error) {
      table.reset(); // Held completions would keep the pair from closing.
      throw error;
    } finally {
      pair.server.reset();
      await closePair(pair);
    }
  });
}

/** Waits for the error of a call. A result that it returned instead is released. */
export async function errorOf(call: Promise<unknown>, what = "a call"): Promise<NetworkError> {
  let value: unknown;
  try {
    value = await call;
  } catch (error) {
    assert.instance(error, NetworkError, `${what}: ${error}`);
    return error as NetworkError;
  }
  (value as Partial<Disposable> | null | undefined)?.[Symbol.dispose]?.();
  throw new Error(`${what} succeeded, an error was expected`);
}

/** The expected fields of an error. Only the given fields are compared. */
export function expectError(
  error: NetworkError,
  fields: Partial<Pick<NetworkError, "code" | "errno" | "operation" | "bytesDone" | "endOfStream">>,
): void {
  for (const [name, value] of Object.entries(fields)) {
    assert.is(error[name as keyof NetworkError], value, `${name} of "${error.message}"`);
  }
}

/** A byte string that both ends know: what is sent next, and what must arrive next. */
export class Script {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #sent = 0;
  received = 0;

  constructor(length: number, seed = 1) {
    this.bytes = pattern(length, seed);
  }

  get sent(): number {
    return this.#sent;
  }

  next(length: number): Uint8Array<ArrayBuffer> {
    assert.ok(this.#sent + length <= this.bytes.length, "the script is long enough");
    this.#sent += length;
    return this.bytes.subarray(this.#sent - length, this.#sent);
  }

  check(bytes: Uint8Array, message?: string): void {
    const end = this.received + bytes.length;
    bytesEqual(bytes, this.bytes.subarray(this.received, end), message);
    this.received = end;
  }
}

/** Sizes from one byte to a few KiB, repeatable. */
export function sizes(random: Random, max: number): () => number {
  return () => random.int(1, random.pick([8, 100, max]));
}
