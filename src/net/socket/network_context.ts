/**
 * The parts that one network shares: rings, clock, pool, configuration, and the objects that are
 * open on the network.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import type { Host } from "../../base/host.ts";
import type { Meter } from "../../base/meter.ts";
import { Roster, type Rostered } from "../../base/roster.ts";
import type { BufferPool } from "../../buf/buffer_pool.ts";
import type { SizeClass } from "../../buf/size_class.ts";
import type { ReadGroups } from "../../ring/read_groups.ts";
import { ReadSource } from "../../ring/read_source.ts";
import type { Ring } from "../../ring/ring.ts";
import type { TimingWheel } from "../../ring/timing_wheel.ts";
import type { SocketAddress, UnixAddress } from "../address/address.ts";
import { interfaceIndex, lookUp } from "../address/look_up.ts";
import type { Call } from "../call/call.ts";
import { EndedCalls } from "../call/ended_calls.ts";
import type { CallContext } from "../call/loop_reference.ts";
import { SpareCalls } from "../call/spare_calls.ts";
import type { ResolvedConfig } from "../config/config.ts";
import { DeliveryQueue } from "./delivery_queue.ts";
import { EndPace } from "./end_pace.ts";
import { Lingering } from "./lingering.ts";

/** An object that the network closes when the network itself closes. */
export interface Closeable extends Rostered {
  close(): Promise<void>;
  /**
   * Ends calls at once and the object soon; `close` then resolves. Callers of receives are told
   * soon.
   */
  resetSoon(): void;
}

/** A server of one listener. Drained before any other object of the network is closed. */
export interface Server extends Rostered {
  /** Stops accepting, lets its handlers finish within its own budget, resets the rest. */
  close(): Promise<void>;
}

/** A dial that is not connected yet. */
export interface Dialing extends Rostered {
  /** The address that the user asked for. */
  readonly name: string;
  giveUp(reason: unknown): void;
}

export interface NetworkContextParts {
  config: ResolvedConfig;
  host: Host;
  meter: Meter;
  pool: BufferPool;
  /** Kernel-visible buffers for sends when the pool has none: one for each operation in flight. */
  reserve: SizeClass;
  wheel: TimingWheel;
  sendRing: Ring;
  recvRing: Ring;
}

export class NetworkContext implements NetworkContextParts, CallContext {
  readonly config: ResolvedConfig;
  readonly host: Host;
  readonly meter: Meter;
  readonly pool: BufferPool;
  readonly reserve: SizeClass;
  readonly wheel: TimingWheel;
  readonly sendRing: Ring;
  readonly recvRing: Ring;
  /** Chooses the buffers of all receives. */
  readonly readSource: ReadSource;
  /** Connections and listeners that are not closed yet. */
  readonly open: Roster<Closeable> = new Roster<Closeable>();
  /** Servers that have not ended. */
  readonly servers: Roster<Server> = new Roster<Server>();
  readonly dials: Roster<Dialing> = new Roster<Dialing>();
  /** Sockets that close once their peers have acknowledged all bytes. */
  readonly lingering: Lingering;
  /** Shares the rounds of the event loop out to sockets that end. */
  readonly ends: EndPace;
  /** Settled sends. Only send queues put and take them, and know them as `SendCall`. */
  readonly spareSends: SpareCalls<Call> = new SpareCalls<Call>();
  readonly deliveries: DeliveryQueue = new DeliveryQueue();
  /** Shares the rounds of the event loop out to the callers of calls that ended all at once. */
  readonly endedCalls: EndedCalls;
  /** False from the beginning of `Network.close`. */
  accepting = true;
  /** False once the network's servers have drained, because their handlers may dial until then. */
  dialing = true;

  constructor(parts: NetworkContextParts) {
    this.config = parts.config;
    this.host = parts.host;
    this.meter = parts.meter;
    this.pool = parts.pool;
    this.reserve = parts.reserve;
    this.wheel = parts.wheel;
    this.sendRing = parts.sendRing;
    this.recvRing = parts.recvRing;
    this.readSource = new ReadSource(parts.recvRing.reads as ReadGroups);
    this.lingering = new Lingering(parts.host);
    this.ends = new EndPace(parts.host);
    this.endedCalls = new EndedCalls(parts.host);
  }

  get now(): number {
    const { recvRing } = this;
    return recvRing.pump.asleep ? this.host.now() : recvRing.now;
  }

  /** Numeric addresses in the order in which a dial tries them. */
  lookUp(
    address: SocketAddress | UnixAddress,
    family: 4 | 6 | null = null,
  ): Promise<(SocketAddress | UnixAddress)[]> {
    return lookUp(this.host, address, (name) => interfaceIndex(this.recvRing, name), family);
  }

  /** Makes a socket. Returns its descriptor, or -errno. */
  openSocket(family: number): number {
    const { port } = this.recvRing;
    const fd = port.socket(family);
    const isFull = fd === -ERRNO.EMFILE || fd === -ERRNO.ENFILE;
    return isFull && this.ends.endSome() ? port.socket(family) : fd;
  }

  get split(): boolean {
    return this.sendRing !== this.recvRing;
  }

  addReference(): void {
    this.recvRing.pump.addReference();
  }

  removeReference(): void {
    this.recvRing.pump.removeReference();
  }
}
