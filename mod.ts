/**
 * TCP over io_uring for Deno and Bun.
 *
 * ```ts
 * import { type Connection, Network } from "./mod.ts";
 *
 * async function echo(connection: Connection): Promise<void> {
 *   await using _closed = connection;
 *   for (let data; (data = await connection.stream.recvSome()) !== null;) {
 *     await connection.sink.send(data);
 *   }
 * }
 *
 * await using network = await Network.start();
 * const listener = await network.bind("127.0.0.1:7000");
 * for await (const connection of listener) echo(connection).catch(console.error);
 * ```
 *
 * Importing this module does nothing; `Network.start()` loads the shared library and opens a ring.
 * This is the only file that knows both the core (`src/`) and the runtimes (`ffi/`).
 *
 * @module
 */
import { bunRuntime } from "./ffi/bun.ts";
import { denoRuntime } from "./ffi/deno.ts";
import { host } from "./ffi/host.ts";
import { openNative } from "./ffi/native.ts";
import { LIMITS } from "./src/base/limits.ts";
import { messageOf, NetworkError } from "./src/base/network_error.ts";
import { BufferPool as CorePool } from "./src/buf/buffer_pool.ts";
import { BufferPoolConfig, type BufferPoolFields } from "./src/buf/buffer_pool_config.ts";
import { Publisher } from "./src/metrics/publisher.ts";
import { type Capabilities, featuresOf } from "./src/net/config/capabilities.ts";
import { explainRefusal, refuseUnsupported } from "./src/net/config/refusal.ts";
import { type NetworkConfig, resolveConfig, type ResolvedConfig } from "./src/net/config/config.ts";
import type { NetworkContext } from "./src/net/socket/network_context.ts";
import { NetworkCore } from "./src/net/lifecycle/network_core.ts";
import { doorbellsOpened, openNetwork } from "./src/net/lifecycle/open_network.ts";
import { openRings, openRingsNow } from "./src/net/lifecycle/open_rings.ts";
import type { NativePort } from "./src/ring/port.ts";

export {
  NetworkError,
  type NetworkErrorCode,
  type OperationName,
} from "./src/base/network_error.ts";
export type { AllocOptions, BufferPoolStats, SizeClassStats } from "./src/buf/buffer_pool.ts";
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
export type { Connection } from "./src/net/connection/connection_interface.ts";
export type { SocketOptions } from "./src/net/socket/socket_options.ts";
export type { DialOptions } from "./src/net/dial/dial_options.ts";
export type { BindOptions } from "./src/net/accept/bind_options.ts";
export { Listener } from "./src/net/accept/listener.ts";
export { activatedListeners } from "./src/net/lifecycle/activated_listeners.ts";
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

/** Chunks in one vectored send. */
export const IOVEC_BATCH_SIZE = LIMITS.iovecBatchSize;

function native(): NativePort {
  if ("Bun" in globalThis) return openNative(bunRuntime);
  if ("Deno" in globalThis) return openNative(denoRuntime);
  throw new Error("uringnet runs in Deno and in Bun; this is neither");
}

function unsupported(cause: unknown): NetworkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NetworkError(`Cannot start the network: ${reason}`, {
    code: "Unsupported",
    operation: "start",
    cause,
  });
}

let warnedOfRegistry = false;

/** Said once: a registry that throws does so for each of 30 metrics. */
function warnOfRegistry(port: NativePort, error: unknown): void {
  if (warnedOfRegistry) return;
  warnedOfRegistry = true;
  const reason = messageOf(error);
  port.warn(`uringnet: the registry did not let go of a metric of a closed network: ${reason}`);
}

function nativeOrUnsupported(): NativePort {
  try {
    return native();
  } catch (cause) {
    throw unsupported(cause);
  }
}

/** TCP over io_uring, for the thread that started it. */
export class Network extends NetworkCore {
  /**
   * Loads the library and opens the ring. Rejects with TypeError or RangeError for a wrong
   * configuration, with a NetworkError "Unsupported" that says why io_uring cannot be used here.
   */
  static async start(config: NetworkConfig = {}): Promise<Network> {
    const resolved = resolveConfig(config);
    const port = nativeOrUnsupported();
    refuseUnsupported(resolved);
    const rings = await openRings(port, host, resolved);
    const context = openNetwork(port, host, resolved, rings, (fields) => new BufferPool(fields));
    await doorbellsOpened(context);
    return Network.#wire(port, resolved, context);
  }

  /**
   * @internal As `start`, at once and with the defaults for what is not given: for adapters whose
   * interface is synchronous. Locked memory that a ring just closed gives back late is not waited
   * for: a smaller ring is taken instead. Where the runtime refuses a doorbell later, the network
   * is closed with a warning.
   */
  static startNow(config: NetworkConfig = {}): Network {
    const resolved = resolveConfig(config);
    const port = nativeOrUnsupported();
    refuseUnsupported(resolved);
    const rings = openRingsNow(port, resolved);
    const context = openNetwork(port, host, resolved, rings, (fields) => new BufferPool(fields));
    const network = Network.#wire(port, resolved, context);
    const { recvRing, sendRing } = context;
    Promise.all([recvRing.pump.opened, sendRing.pump.opened]).catch((cause) => {
      port.warn(`uringnet: the network is closed: ${messageOf(cause)}`);
      void network.close();
    });
    return network;
  }

  static #wire(port: NativePort, resolved: ResolvedConfig, context: NetworkContext): Network {
    let detach = () => {};
    const network = new Network(context, "io_uring", () => detach());
    if (resolved.registry !== null) {
      const { registry, metricsPrefix } = resolved;
      try {
        const refused = (error: unknown) => warnOfRegistry(port, error);
        detach = Publisher.attach(registry, metricsPrefix, network.metricSource(), refused);
      } catch (error) {
        // A metric's name is taken, most likely. Nothing of the network was used, so closing it
        // ends within this turn of the event loop.
        void network.close();
        throw error;
      }
    }
    return network;
  }
}

/** A pool of its own: for buffers before a network is there, or shared by several networks. */
export class BufferPool extends CorePool {
  /** Loads the library. Throws a NetworkError "Unsupported" when that fails. */
  constructor(config: BufferPoolConfig | BufferPoolFields = BufferPoolConfig.forNetwork()) {
    super(config, nativeOrUnsupported());
  }
}

/** Whether and how io_uring can be used here. Never throws, opens nothing that stays open. */
export function probe(): Capabilities {
  try {
    const port = native();
    const system = port.system();
    const result = port.probe();
    return {
      supported: result >= 0,
      reason: result >= 0 ? null : explainRefusal(-result, system),
      kernel: system.kernel,
      features: featuresOf(Math.max(result, 0)),
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { supported: false, reason, kernel: null, features: featuresOf(0) };
  }
}
