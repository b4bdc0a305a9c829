/**
 * One random scenario: a plan from a seed, run to its end, and checked.
 *
 *   oracle:  messages of the sender --must be--> bytes on the wire --must be--> bytes received
 *
 * @module
 */
import { NetworkError } from "../../src/base/network_error.ts";
import type { Connection } from "../../src/net/connection/connection.ts";
import type { Listener } from "../../src/net/accept/listener.ts";
import type { SocketConnection } from "../../src/net/connection/socket_connection.ts";
import { Random } from "../harness.ts";
import { contentOf } from "./content.ts";
import type { FakeSocket } from "./fake_socket.ts";
import type { FaultKind } from "./faults.ts";
import { drawPlan, isLossless, mustSend, type Plan } from "./random_plan.ts";
import { throwAtRandom } from "./random_throws.ts";
import { type Message, Side } from "./side.ts";
import { Sim, type SimNetwork } from "./sim.ts";

export interface ScenarioResult {
  seed: number;
  plan: Plan;
  stepCount: number;
  /** The largest number of steps in a row without progress, which a limit has to allow. */
  idleStepCountMax: number;
  turnCount: number;
  connectionCount: number;
  messageCount: number;
  byteCount: number;
  /** Receives that completed many times, and how often they did. */
  multishotCount: number;
  moreCount: number;
  /** Receives that took large buffers. */
  bulkCount: number;
  faults: ReadonlyMap<FaultKind, number>;
}

/** A change of the world before it starts, with which canaries plant their bug. */
export type Prepare = (sim: Sim) => void;

/** Runs a seed. Throws when any check fails. */
export async function runScenario(
  seed: number,
  prepare: Prepare = () => {},
): Promise<ScenarioResult> {
  const random = new Random(seed);
  const plan = drawPlan(random);
  const { faults, kernel, sizes } = plan;
  const sim = new Sim({ seed: random.next(), faults, kernel, sizes });
  // Slow ends take turns with the event loop. Drawn apart: the seeds of the canaries stay theirs.
  const slow = new Random(seed + 1);
  if (slow.chance(0.3)) sim.kernel.options.shutdownMs = () => slow.float() * 3;
  if (plan.late) sim.host.lateness = () => sim.random.float() * 10;
  prepare(sim);
  const scenario = new Scenario(sim, plan);
  const restore = plan.throws ? throwAtRandom(sim.random.fork()) : () => {};
  try {
    await sim.run(() => scenario.play());
    scenario.judge();
  } catch (cause) {
    throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  } finally {
    restore();
  }
  const wires = sim.kernel.all.map((socket) => socket.wire.length);
  return {
    seed,
    plan,
    stepCount: sim.stepCount,
    idleStepCountMax: sim.idleStepCountMax,
    turnCount: sim.native.rings.reduce((sum, ring) => sum + ring.turnCount, 0),
    connectionCount: scenario.sides.length / 2,
    messageCount: scenario.sides.reduce((sum, side) => sum + side.messages.length, 0),
    byteCount: wires.reduce((sum, length) => sum + length, 0),
    multishotCount: sim.native.rings.reduce((sum, ring) => sum + ring.multishotCount, 0),
    moreCount: sim.native.rings.reduce((sum, ring) => sum + ring.moreCount, 0),
    bulkCount: sim.native.rings.reduce((sum, ring) => sum + ring.bulkCount, 0),
    faults: sim.faults.struck,
  };
}

class Scenario {
  readonly sides: Side[] = [];
  readonly #sim: Sim;
  readonly #plan: Plan;
  readonly #random: Random;
  #listener: Listener | null = null;
  #closing: Promise<void>[] = [];

  constructor(sim: Sim, plan: Plan) {
    this.#sim = sim;
    this.#plan = plan;
    this.#random = sim.random.fork();
  }

  async play(): Promise<void> {
    const { config, networkCount, connectionCount } = this.#plan;
    const server = this.#sim.open(config);
    const client = networkCount === 1 ? server : this.#sim.open(config);
    this.#listener = await server.bind("127.0.0.1:0");
    const accepting = this.#accept(this.#listener, server);
    this.#disrupt(server, client);
    const dials: Promise<void>[] = [];
    for (let i = 0; i < connectionCount; i++) dials.push(this.#dial(client));
    await Promise.all(dials);
    await this.#listener.close();
    await accepting;
    await Promise.all(this.sides.map((side) => side.end));
    await Promise.all([server.close(), client.close(), ...this.#closing]);
    this.#sim.checkNoTimers();
  }

  /** The wires against what the senders know, the readers against the wires. */
  judge(): void {
    this.#sim.checkNothingLeft();
    for (const side of this.sides) {
      this.#judgeWire(side);
      this.#judgeReader(side);
    }
  }

  #judgeWire({ messages, socket, flushError }: Side): void {
    const { wire } = socket;
    let at = 0;
    const counts: number[] = [];
    const lastSure = messages.findLastIndex(({ fate }) =>
      fate.kind === "sent" || (fate.kind === "exact" && fate.bytes > 0)
    );
    messages.forEach((message, index) => {
      let count = this.#bytesOf(message, wire.length - at, index < lastSure);
      // Of several that failed, the bytes at the end belong to the one whose bytes they are.
      const unsure = message.fate.kind === "unknown" && message.fate.bytes === 0;
      if (unsure && !wire.holds(contentOf(message.key, count), at)) count = 0;
      if (!wire.holds(contentOf(message.key, count), at)) {
        throw new Error(
          `fd of socket ${socket.id}: message ${index} of ${message.length} bytes ` +
            `(${JSON.stringify(message.fate)}) is not on the wire at ${at} of ${wire.length}: ` +
            JSON.stringify(messages.map(({ length, fate }) => [length, fate])),
        );
      }
      at += count;
      counts.push(count);
    });
    const partial = messages.findIndex(({ length }, at) => counts[at] > 0 && counts[at] < length);
    if (partial >= 0 && counts.slice(partial + 1).some((count) => count > 0)) {
      throw new Error(`bytes follow message ${partial}, of which ${counts[partial]} went out`);
    }
    if (at !== wire.length) {
      throw new Error(`socket ${socket.id}: ${wire.length - at} bytes were sent by nobody`);
    }
    if (!this.#hasPeer(socket)) return;
    const failed = messages.find(({ fate }) => "code" in fate && fate.code === "SendFailed");
    if (isLossless(this.#plan) && failed) {
      throw new Error(`a soft fault ended a send: ${JSON.stringify(messages)}`);
    }
    if (mustSend(this.#plan) && messages.some(({ fate, lost }) => !lost && fate.kind !== "sent")) {
      throw new Error(`a send failed without a reason: ${JSON.stringify(messages)}`);
    }
    if (mustSend(this.#plan) && flushError !== null) {
      throw new Error(`a flush failed without a reason: ${flushError}`, { cause: flushError });
    }
    const refused = messages.some(({ fate }) => "code" in fate && fate.code === "Closed");
    if (isLossless(this.#plan) && refused && partial < 0) {
      throw new Error("the sink is closed, although no message went out in part");
    }
  }

  /** How many bytes of a message must be on the wire, of which `left` are not explained yet. */
  #bytesOf({ fate, length }: Message, left: number, moreFollow: boolean): number {
    switch (fate.kind) {
      case "pending":
        throw new Error("a send did not settle");
      case "sent":
        return length;
      case "exact":
        return fate.bytes;
      case "unknown":
        // Of a failed message nothing went out, or nothing else followed.
        return moreFollow ? 0 : Math.min(left, length);
    }
  }

  /** A dial that timed out may have been accepted: its descriptor was closed all the same. */
  #hasPeer(socket: FakeSocket): boolean {
    return this.sides.some((other) => other.socket === socket.peer);
  }

  #judgeReader({ readEnd, received, socket }: Side): void {
    const { wire } = socket.peer as FakeSocket;
    if (readEnd === "eof" && received !== wire.length) {
      throw new Error(`a clean end after ${received} of ${wire.length} bytes`);
    }
    if (isLossless(this.#plan) && this.#hasPeer(socket) && readEnd !== "eof") {
      throw new Error(`the stream ended with "${readEnd}" after ${received} bytes, for no reason`);
    }
  }

  async #dial(network: SimNetwork): Promise<void> {
    const random = this.#random;
    if (random.chance(0.5)) await this.#sim.sleep(random.float() * 5);
    // A dial that gave up may have been accepted: what is sent there, and buffered, is lost.
    const impatient = random.chance(0.1) && !this.#plan.config.writeBufferSize;
    const options = impatient ? { timeoutMs: random.int(0, 3) } : undefined;
    let connection: Connection;
    try {
      connection = await network.dial(this.#listener!.localAddress, options);
    } catch (error) {
      if (error instanceof NetworkError) return;
      throw error;
    }
    await this.#begin(network, connection).end;
  }

  async #accept(listener: Listener, network: SimNetwork): Promise<void> {
    const random = this.#random.fork();
    for (;;) {
      try {
        const options = random.chance(0.3) ? { timeoutMs: random.int(1, 10) } : {};
        this.#begin(network, await listener.accept(options));
      } catch (error) {
        if (!(error instanceof NetworkError)) throw error;
        if (error.code === "Closed") return;
      }
    }
  }

  #begin(network: SimNetwork, connection: Connection): Side {
    const socket = this.#socketOf(connection as SocketConnection) as FakeSocket;
    const side = new Side(this.#sim, this.#plan, network, connection, socket);
    // Awaited at the end; until then a failure is not an unhandled rejection.
    side.end.catch(() => {});
    this.sides.push(side);
    return side;
  }

  /** By its descriptor, as a peer may have no address; by its ports when it is closed. */
  #socketOf({ socket, localAddress, remoteAddress }: SocketConnection): FakeSocket | undefined {
    const { kernel } = this.#sim;
    const open = kernel.at(socket.fd);
    if (open !== null) return open;
    const portOf = (address: unknown) => (address as { port: number } | null)?.port;
    return kernel.all.find(({ local, remote }) =>
      portOf(local) === portOf(localAddress) && portOf(remote) === portOf(remoteAddress)
    );
  }

  #disrupt(server: SimNetwork, client: SimNetwork): void {
    const { disruptions, faults } = this.#plan;
    const random = this.#random.fork();
    const withinMs = this.#plan.chatty ? 120 : 40;
    const soon = (action: () => void) => void this.#sim.host.at(random.float() * withinMs, action);
    if (disruptions.closes) {
      const ends: ((side: Side) => unknown)[] = [
        ({ connection }) => connection.close(),
        ({ connection }) => connection.sink.close(),
        ({ connection }) => Promise.all([connection.close(), connection.reset()]),
      ];
      for (let i = random.int(1, 3); i > 0; i--) {
        soon(() => this.sides.length > 0 && random.pick(ends)(random.pick(this.sides)));
      }
      if (random.chance(0.2)) soon(() => this.#listener?.close());
    }
    if (disruptions.resets) {
      soon(() => this.sides.length > 0 && random.pick(this.sides).connection.reset());
    }
    if (disruptions.networkClose) {
      soon(() => this.#closing.push(random.pick([server, client]).close()));
    }
    if (!faults.reset) return;
    this.#sim.onStep = () => {
      if (!this.#sim.faults.strikes("reset")) return;
      const connected = [...this.#sim.kernel.sockets.values()].filter((socket) => socket.peer);
      if (connected.length > 0) this.#sim.kernel.breakConnection(random.pick(connected));
    };
  }
}
