/**
 * A network: the rings, the pool and the clock of one thread, and everything that is open on them.
 *
 * @module
 */
import { COUNT } from "../../base/meter.ts";
import { NetworkError } from "../../base/network_error.ts";
import { type BufferPool, leakTrackerOf } from "../../buf/buffer_pool.ts";
import {
  type Address,
  formatAddress,
  isFile,
  parseAddress,
  type SocketAddress,
  type UnixAddress,
} from "../address/address.ts";
import { type BindOptions, checkBindAddress, checkBindOptions } from "../accept/bind_options.ts";
import { adoptDescriptor } from "../accept/adopt_descriptor.ts";
import { bindSocket, bindSocketSoon } from "../accept/bound_socket.ts";
import type { Backend } from "../config/backend.ts";
import type { Connection } from "../connection/connection.ts";
import { Dial } from "../dial/dial.ts";
import { checkDialOptions, type DialOptions } from "../dial/dial_options.ts";
import { drainNetwork } from "./drain_network.ts";
import { fileReleased } from "../accept/file_release.ts";
import { portableRefusals } from "./portable_refusals.ts";
import { type Listener, openListener } from "../accept/listener.ts";
import { lookUpError } from "../address/look_up.ts";
import type { NetworkContext } from "../socket/network_context.ts";

/** Numbers of a network. The totals count from the start of the network. */
export interface NetworkStats {
  /** Connections that are open. */
  connections: number;
  /** Connections that were accepted. */
  inboundConnections: number;
  /** Connections that were dialed. */
  outboundConnections: number;
  /** Bytes that the kernel has delivered. */
  inboundBytes: number;
  /** Bytes that the kernel has taken. */
  outboundBytes: number;
  /** Sends that are in flight, or that wait for a place in the ring. */
  sendsPending: number;
  /** Receives, accepts and connects that are in flight, or that wait for a place in the ring. */
  receivesPending: number;
  /** System calls into the ring. */
  ringEnters: number;
  /** Entries that were submitted. */
  ringSubmissions: number;
  /** Completions that were received. */
  ringCompletions: number;
  /** Wakeups through the event loop. */
  ringWakeups: number;
  /** Turns that found the completion queue overflown. */
  ringOverflows: number;
  /** Send operations of which the kernel took only a part. */
  shortSends: number;
}

/**
 * The inside of a `Network`. The public class is in mod.ts.
 * @internal
 */
export class NetworkCore implements AsyncDisposable {
  readonly pool: BufferPool;
  readonly backend: Backend;
  readonly #context: NetworkContext;
  readonly #afterClose: () => void;
  #closing: Promise<void> | null = null;

  /** `afterClose` runs once, when nothing of the network remains. */
  constructor(
    context: NetworkContext,
    backend: Backend,
    afterClose: () => void,
  ) {
    this.#context = context;
    this.pool = context.pool;
    this.backend = backend;
    this.#afterClose = afterClose;
  }

  async bind(address: Address, options?: BindOptions): Promise<Listener> {
    const checked = checkBindOptions(options);
    const parsed = parseAddress(address, 0);
    checkBindAddress(checked, parsed);
    this.#throwClosed("bind", parsed);
    const failed = (cause: unknown): never => {
      throw lookUpError("BindFailed", formatAddress(parsed), cause);
    };
    const [numeric] = await this.#context.lookUp(parsed).catch(failed);
    this.#throwClosed("bind", parsed);
    if (numeric === undefined) return failed(new Error("the name has no address"));
    if (this.backend === "portable") portableRefusals.checkBind(checked, numeric);
    if (checked.unlinkStale && isFile(numeric)) {
      await fileReleased(this.#context, numeric);
      this.#throwClosed("bind", parsed);
    }
    const mayFinish = () => this.#throwClosed("bind", parsed);
    this.#context.addReference();
    try {
      const bound = await bindSocketSoon(this.#context, numeric, checked, mayFinish);
      return openListener(this.#context, bound);
    } finally {
      this.#context.removeReference();
    }
  }

  /** As `bind`, at once, for adapters whose interface is synchronous. The address is numeric. */
  bindNow(address: Address, options?: BindOptions): Listener {
    const checked = checkBindOptions(options);
    const parsed = parseAddress(address, 0);
    checkBindAddress(checked, parsed);
    this.#throwClosed("bind", parsed);
    if (this.#context.recvRing.port.listening !== undefined) {
      throw portableRefusals.ofBindNow(parsed);
    }
    return openListener(this.#context, bindSocket(this.#context, parsed, checked));
  }

  dial(address: Address, options?: DialOptions): Promise<Connection> {
    try {
      const parsed = parseAddress(address, 1);
      const checked = checkDialOptions(options, parsed);
      const dial = new Dial(this.#context, parsed, checked);
      dial.prepare(checked.call, this.#context.config.connectTimeoutMs);
      this.#throwClosed("dial", parsed);
      if (this.backend === "portable") portableRefusals.checkDial(checked, parsed);
      return dial.start();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  adoptListener(fd: number): Promise<Listener> {
    return this.#adopt("listening", fd, adoptDescriptor.adoptListener);
  }

  adoptConnection(fd: number): Promise<Connection> {
    return this.#adopt("connected", fd, adoptDescriptor.adoptConnection);
  }

  stats(): NetworkStats {
    const { sendRing, recvRing } = this.#context;
    this.#publish();
    const { counts } = this.#context.meter;
    return {
      connections: counts[COUNT.connections],
      inboundConnections: counts[COUNT.inboundConnections],
      outboundConnections: counts[COUNT.outboundConnections],
      inboundBytes: counts[COUNT.inboundBytes],
      outboundBytes: counts[COUNT.outboundBytes],
      sendsPending: sendRing.sendLane.pending,
      receivesPending: recvRing.recvLane.pending,
      ringEnters: counts[COUNT.enters],
      ringSubmissions: counts[COUNT.submissions],
      ringCompletions: counts[COUNT.completions],
      ringWakeups: counts[COUNT.wakeups],
      ringOverflows: counts[COUNT.overflows],
      shortSends: counts[COUNT.shortSends],
    };
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#context.accepting = false;
    await drainNetwork(this.#context);
    const { wheel, sendRing, recvRing, split, pool } = this.#context;
    wheel.close();
    if (split) sendRing.close();
    recvRing.close();
    leakTrackerOf(pool).sweep();
    this.#afterClose();
  }

  async #adopt<T>(
    what: string,
    given: number,
    take: (context: NetworkContext, fd: number) => T,
  ): Promise<T> {
    const fd = adoptDescriptor.check(given);
    if (this.#context.accepting) return await take(this.#context, fd);
    throw new NetworkError(`Cannot adopt a ${what} descriptor: the network is closed`, {
      code: "Closed",
      operation: "adopt",
    });
  }

  #throwClosed(operation: "bind" | "dial", address: SocketAddress | UnixAddress): void {
    const { accepting, dialing } = this.#context;
    if (operation === "dial" ? dialing : accepting) return;
    const what = `Cannot ${operation} ${formatAddress(address)}`;
    throw new NetworkError(`${what}: the network is closed`, { code: "Closed", operation });
  }

  /** Brings the counts of the rings up to date. */
  #publish(): void {
    const { sendRing, recvRing, split } = this.#context;
    recvRing.publish();
    if (split) sendRing.publish();
  }

  /** For the adapters, which work with the parts of a network. */
  internals(): NetworkContext {
    return this.#context;
  }

  /** A `MetricSource`: `src/metrics` declares the type. */
  metricSource() {
    const { meter, pool, sendRing, recvRing } = this.#context;
    return {
      meter,
      pool,
      pending: () => ({ sends: sendRing.sendLane.pending, receives: recvRing.recvLane.pending }),
      refresh: () => this.#publish(),
    };
  }
}
