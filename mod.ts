/**
 * TCP over io_uring for Deno and Bun.
 *
 * Importing this module does nothing. {@link Network.start} loads the shared library and opens a
 * ring. Only this file knows both the core (`src/`) and the runtimes (`ffi/`).
 *
 * @example
 * ```ts
 * import { type Connection, Network } from "@uringnet/uringnet";
 *
 * async function echo(connection: Connection): Promise<void> {
 *   await using _closed = connection;
 *   for (let data; (data = await connection.stream.recvSome()) !== null;) {
 *     await connection.sink.send(data);
 *   }
 * }
 *
 * await using network = await Network.start();
 * const listener = await network.bind("127.0.0.1:0");
 * for await (const connection of listener) echo(connection).catch(console.error);
 * ```
 *
 * @module
 */
import {
  chooseBackend,
  native,
  plainSource,
  poolSource,
  portableFor,
  prepare,
  probeIoUring,
  visibleSource,
} from "./backends.ts";
import { host } from "./ffi/host.ts";
import { brand } from "./src/base/brand.ts";
import { check } from "./src/base/check.ts";
import { LIMITS } from "./src/base/limits.ts";
import { hasCode, messageOf, NetworkError } from "./src/base/network_error.ts";
import { BufferPool, isVisiblePool } from "./src/buf/buffer_pool.ts";
import { setDefaultSlabSource } from "./src/buf/slab.ts";
import { Publisher } from "./src/metrics/publisher.ts";
import type { Backend } from "./src/net/config/backend.ts";
import type { Capabilities } from "./src/net/config/capabilities.ts";
import { refuseUnsupported } from "./src/net/config/refusal.ts";
import { type NetworkConfig, resolveConfig, type ResolvedConfig } from "./src/net/config/config.ts";
import type { Address } from "./src/net/address/address.ts";
import type { BindOptions } from "./src/net/accept/bind_options.ts";
import type { Listener } from "./src/net/accept/listener.ts";
import type { DialOptions } from "./src/net/dial/dial_options.ts";
import type { Connection } from "./src/net/connection/connection.ts";
import { adoptActivated } from "./src/net/lifecycle/adopt_activated.ts";
import { setNetworkAccess } from "./src/net/lifecycle/network_access.ts";
import type { NetworkContext } from "./src/net/socket/network_context.ts";
import { NetworkCore, type NetworkStats } from "./src/net/lifecycle/network_core.ts";
import { doorbellsOpened, openNetwork } from "./src/net/lifecycle/open_network.ts";
import { type OpenRings, openRings, openRingsNow } from "./src/net/lifecycle/open_rings.ts";
import type { NativePort } from "./src/ring/port.ts";

export {
  NetworkError,
  type NetworkErrorCode,
  type NetworkErrorDetails,
  type OperationName,
} from "./src/base/network_error.ts";
export type { BufferHandle } from "./src/buf/buffer_handle.ts";
export {
  type AllocOptions,
  BufferPool,
  type BufferPoolStats,
  type SizeClassStats,
} from "./src/buf/buffer_pool.ts";
export { BufferPoolConfig, type BufferPoolFields } from "./src/buf/buffer_pool_config.ts";
export { IoBuf } from "./src/buf/io_buf.ts";
export { IoBufMut } from "./src/buf/io_buf_mut.ts";
export { IoBufs, type IoBufsPart } from "./src/buf/io_bufs.ts";
export type { Address, SocketAddress, UnixAddress } from "./src/net/address/address.ts";
export type { CallOptions } from "./src/net/call/call_options.ts";
export type { UntilOptions } from "./src/net/recv/until_options.ts";
export type { Capabilities, Features } from "./src/net/config/capabilities.ts";
export type {
  KeepAlive,
  MetricsRegistry,
  NetworkConfig,
  RingConfig,
} from "./src/net/config/config.ts";
export type { Connection } from "./src/net/connection/connection.ts";
export type { SocketOptions } from "./src/net/config/socket_options.ts";
export type { DialOptions } from "./src/net/dial/dial_options.ts";
export type { BindOptions } from "./src/net/accept/bind_options.ts";
export { Listener } from "./src/net/accept/listener.ts";
export type { NetworkStats } from "./src/net/lifecycle/network_core.ts";
export type { Sendable } from "./src/net/send/load_call.ts";
export { Sink } from "./src/net/send/sink.ts";
export { Stream } from "./src/net/recv/stream.ts";
export type { SpinConfig } from "./src/ring/spinner.ts";
export { copy, copyBidirectional } from "./src/serve/copy.ts";
export { delimited, type DelimitedOptions } from "./src/serve/delimited.ts";
export { type Codec, type Framed, framed } from "./src/serve/framed.ts";
export { lengthPrefixed, type LengthPrefixedOptions } from "./src/serve/length_prefixed.ts";
export { proxyHeader } from "./src/serve/proxy_header.ts";
export type { ProxyHeader, ProxyTlv } from "./src/serve/proxy_protocol.ts";
export { readProxyHeader } from "./src/serve/read_proxy_header.ts";
export { serve } from "./src/serve/serve.ts";
export type { ConnectionHandler, ServeContext, Server } from "./src/serve/server.ts";
export type { ServeOptions } from "./src/serve/serve_options.ts";

/**
 * The largest number of memory ranges in one send operation.
 *
 * @example
 * ```ts
 * import { IOVEC_BATCH_SIZE } from "@uringnet/uringnet";
 *
 * console.log(IOVEC_BATCH_SIZE); // 32
 * ```
 */
export const IOVEC_BATCH_SIZE: 32 = LIMITS.iovecBatchSize;

function unsupported(cause: unknown): NetworkError {
  return new NetworkError(`Cannot start the network: ${messageOf(cause)}`, {
    code: "Unsupported",
    operation: "start",
    cause,
  });
}

let hasWarnedOfRegistry = false;

/** Warns once, because a registry that throws may do so for each metric. */
function warnOfRegistry(port: NativePort, error: unknown): void {
  if (hasWarnedOfRegistry) return;
  hasWarnedOfRegistry = true;
  const reason = messageOf(error);
  port.warn(`uringnet: the registry failed to remove a metric of a closed network: ${reason}`);
}

function nativeOrUnsupported(): NativePort {
  try {
    return native();
  } catch (cause) {
    throw unsupported(cause);
  }
}

function refusePlainPool({ pool }: ResolvedConfig): void {
  if (!(pool instanceof BufferPool) || isVisiblePool(pool)) return;
  throw new NetworkError(
    "Cannot start the network: its pool was made where io_uring could not be used, of memory " +
      'that the kernel cannot see; make the pool anew, or use backend "portable"',
    { code: "Unsupported", operation: "start" },
  );
}

/** Publishes the metrics of a network. A network that cannot be published is closed. */
function wire(
  port: NativePort,
  resolved: ResolvedConfig,
  context: NetworkContext,
  backend: Backend,
): NetworkCore {
  let detach = () => {};
  const core = new NetworkCore(context, backend, () => detach());
  if (resolved.registry !== null) {
    const { registry, metricsPrefix } = resolved;
    try {
      const refused = (error: unknown) => warnOfRegistry(port, error);
      detach = Publisher.attach(registry, metricsPrefix, core.metricSource(), refused);
    } catch (error) {
      // Most likely the name of a metric is taken. The network has no operation in flight, so that
      // closing it ends within this turn of the event loop.
      void core.close();
      throw error;
    }
  }
  return core;
}

async function startCore(config: NetworkConfig): Promise<NetworkCore> {
  const resolved = resolveConfig(config);
  refuseUnsupported(resolved);
  await prepare(resolved.backend);
  const { backend, fallback, mayFallBack } = chooseBackend(resolved.backend);
  if (backend === "portable") return startPortable(resolved, fallback);
  try {
    const port = nativeOrUnsupported();
    refusePlainPool(resolved);
    const rings = await openRings(port, host, resolved);
    const context = openNetwork(port, host, resolved, rings, visibleSource(port));
    await doorbellsOpened(context);
    return wire(port, resolved, context, "io_uring");
  } catch (error) {
    if (!mayFallBack || !hasCode(error, "Unsupported")) throw error;
    return startPortable(resolved, error.message);
  }
}

function startPortable(resolved: ResolvedConfig, fallback: string | null): NetworkCore {
  const port = portableFor(resolved, fallback);
  const rings = { recvPort: port.openRing(), sendPort: null };
  const config = { ...resolved, ring: { ...resolved.ring, spin: null } };
  const context = openNetwork(port, host, config, rings, plainSource());
  return wire(port, resolved, context, "portable");
}

/**
 * Like `startCore`, but synchronous, for adapters with a synchronous interface. The kernel frees
 * the locked memory of a closed ring late. This function does not wait for that, and takes a
 * smaller ring instead. When the runtime refuses a doorbell later, the network is closed with a
 * warning.
 */
function startCoreNow(config: NetworkConfig): NetworkCore {
  const resolved = resolveConfig(config);
  refuseUnsupported(resolved);
  const { backend, fallback, mayFallBack } = chooseBackend(resolved.backend);
  if (backend === "portable") return startPortable(resolved, fallback);
  let rings: OpenRings;
  let port: NativePort;
  try {
    port = nativeOrUnsupported();
    refusePlainPool(resolved);
    rings = openRingsNow(port, resolved);
  } catch (error) {
    if (!mayFallBack || !hasCode(error, "Unsupported")) throw error;
    return startPortable(resolved, error.message);
  }
  const context = openNetwork(port, host, resolved, rings, visibleSource(port));
  const core = wire(port, resolved, context, "io_uring");
  const { recvRing, sendRing } = context;
  Promise.all([recvRing.pump.opened, sendRing.pump.opened]).catch((cause) => {
    port.warn(`uringnet: the network is closed: ${messageOf(cause)}`);
    void core.close();
  });
  return core;
}

setDefaultSlabSource(() => {
  try {
    return poolSource();
  } catch (cause) {
    if (cause instanceof RangeError) throw cause;
    throw unsupported(cause);
  }
});

/** The inside of a network. Throws TypeError for any other value. */
let coreOf: (network: unknown) => NetworkCore;

/**
 * TCP over io_uring, for the thread that started it. A network has its rings, its pool and its
 * clock. Several networks may live in one thread, and each worker starts its own.
 *
 * @example
 * ```ts
 * import { Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start({ readTimeoutMs: 30_000 });
 * await using listener = await network.bind("127.0.0.1:0");
 * const accepting = listener.accept();
 * const client = await network.dial(listener.localAddress, { timeoutMs: 1_000 });
 * const server = await accepting;
 * await client.sink.send("hello");
 * console.log((await server.stream.recv(5)).text()); // hello
 * console.log(network.stats().connections); // 2
 * ```
 */
export class Network implements AsyncDisposable {
  /** The pool from which the network's buffers come. */
  readonly pool: BufferPool;
  /** The carrier of the traffic. */
  readonly backend: "io_uring" | "portable";
  readonly #core: NetworkCore;

  static {
    brand(this, "Network");
    coreOf = (network) =>
      typeof network === "object" && network !== null && #core in network
        ? network.#core
        : check.fail("network", "a Network", network);
    setNetworkAccess({
      startNow: (config) => new Network(startCoreNow(config)),
      coreOf,
    });
  }

  private constructor(core: NetworkCore) {
    this.#core = core;
    this.pool = core.pool;
    this.backend = core.backend;
  }

  /**
   * Loads the shared library, if that has not happened in this thread, and opens the rings. Where
   * io_uring cannot be used, the network runs over `node:net`, unless `backend` names io_uring.
   *
   * @param config See {@link NetworkConfig}.
   * @returns A network.
   * @throws {NetworkError} `"Unsupported"`: the backend that was named cannot be used here, or the
   * backend that was chosen lacks an option of the configuration. The message says why, and what to
   * do.
   * @throws {TypeError} A field of the configuration is unknown or has a wrong type.
   * @throws {RangeError} A value of the configuration is out of range.
   */
  static async start(config: NetworkConfig = {}): Promise<Network> {
    return new Network(await startCore(config));
  }

  /**
   * Binds a socket and listens. Port 0 takes a free port, which the listener's `localAddress`
   * shows. A name is looked up, and its first address is taken.
   *
   * @param address Where to listen: see {@link Address}.
   * @param options See {@link BindOptions}.
   * @returns A listener.
   * @throws {NetworkError} `"BindFailed"`: the kernel reports an errno, or the name has no address.
   * `"Closed"`: the network is closed.
   * @throws {TypeError} The address or an option has a wrong type or form.
   * @throws {RangeError} A port or an option is out of range.
   */
  bind(address: Address, options?: BindOptions): Promise<Listener> {
    return this.#core.bind(address, options);
  }

  /**
   * Connects. A name is looked up, and its addresses race each other (RFC 8305). One budget covers
   * all of this.
   *
   * @param address Where to connect: see {@link Address}.
   * @param options A signal, a budget, and options of the socket: see {@link DialOptions}. The
   * budget defaults to `connectTimeoutMs`.
   * @returns A connection.
   * @throws {NetworkError} `"ConnectionFailed"`: no address could be reached, or the name has none.
   * `"Timeout"`: the budget ran out. Both have `errors`, one for each address. `"Closed"`: the
   * network is closed.
   * @throws {TypeError} The address or an option has a wrong type or form.
   * @throws {RangeError} A port or `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  dial(address: Address, options?: DialOptions): Promise<Connection> {
    return this.#core.dial(address, options);
  }

  /**
   * Takes over a descriptor that listens, for example one from a parent process: a stream socket of
   * any family. The descriptor belongs to the listener from then on, and closes with it. Child
   * processes do not inherit it. The file of a unix socket belongs to its creator, and is not
   * removed. A refused descriptor stays open and unchanged.
   *
   * @param fd The number of the descriptor.
   * @returns A listener.
   * @throws {NetworkError} `"BindFailed"`: the descriptor does not listen, or a network has it.
   * `"Closed"`: the network is closed.
   * @throws {TypeError} `fd` is not a number.
   * @throws {RangeError} `fd` is not an integer in range.
   */
  adoptListener(fd: number): Promise<Listener> {
    return this.#core.adoptListener(fd);
  }

  /**
   * Takes over a descriptor of a connected stream socket, in the same way as `adoptListener`.
   *
   * @param fd The number of the descriptor.
   * @returns A connection.
   * @throws {NetworkError} `"ConnectionFailed"`: the descriptor is not connected, or a network has
   * it. `"Closed"`: the network is closed.
   * @throws {TypeError} `fd` is not a number.
   * @throws {RangeError} `fd` is not an integer in range.
   */
  adoptConnection(fd: number): Promise<Connection> {
    return this.#core.adoptConnection(fd);
  }

  /**
   * Reads the current numbers.
   *
   * @returns A new object with plain numbers.
   */
  stats(): NetworkStats {
    return this.#core.stats();
  }

  /**
   * Ends the network. Listeners stop, and servers drain. Work in flight (sends, dials, receives in
   * the middle of a message, answers) finishes within `shutdownTimeoutMs`. The rest is cancelled
   * with `"Closed"`. Idempotent. Resolves when no descriptor, timer or operation remains, and never
   * rejects.
   *
   * An accepted connection that has received since it last sent owes an answer. While it does not
   * receive, it has the budget to send the answer, and is reset after that. A connection that waits
   * for more bytes is reset at once. So no peer sees a clean end in place of an answer.
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  /** Closes the network, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#core.close();
  }
}

/**
 * Takes over the listeners that a service manager has passed to this process (socket activation of
 * systemd). Their names are those of `FileDescriptorName=`, or of the socket unit. Further
 * listeners of the same name get a colon and a number: "web", "web:2".
 *
 * In Deno the environment must be readable: `--allow-env=LISTEN_FDS,LISTEN_PID,LISTEN_FDNAMES`.
 * Without that permission the map is empty.
 *
 * @param network The network that the listeners belong to from then on.
 * @returns Listeners by name. Empty when there are none, or when they are for another process.
 * @throws {NetworkError} `"BindFailed"`: the environment is malformed, or a descriptor is not a
 *   listening stream socket. All descriptors then stay open and unchanged. `"Closed"`: the network
 * is closed.
 * @throws {TypeError} `network` is not a network.
 *
 * @example
 * ```ts
 * import { activatedListeners, Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * const activated = await activatedListeners(network);
 * const listener = activated.get("web.socket") ?? await network.bind("127.0.0.1:0");
 * console.log(listener.closed); // false
 * ```
 */
export async function activatedListeners(network: Network): Promise<Map<string, Listener>> {
  return await adoptActivated(coreOf(network).internals());
}

/**
 * Says whether io_uring can be used here. Never throws, and closes all that it opens.
 *
 * @returns The features of the kernel, or the reason why io_uring cannot be used.
 *
 * @example
 * ```ts
 * import { probe } from "@uringnet/uringnet";
 *
 * const { supported, reason } = probe();
 * if (!supported) console.error(reason);
 * ```
 */
export function probe(): Capabilities {
  return probeIoUring();
}
