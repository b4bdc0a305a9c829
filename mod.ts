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
import { NetworkError } from "./src/base/network_error.ts";
import { BufferPool as CorePool } from "./src/buf/buffer_pool.ts";
import { BufferPoolConfig, type BufferPoolFields } from "./src/buf/buffer_pool_config.ts";
import { Publisher } from "./src/metrics/publisher.ts";
import { type Capabilities, explainRefusal, featuresOf } from "./src/net/capabilities.ts";
import { type NetworkConfig, resolveConfig, type ResolvedConfig } from "./src/net/config.ts";
import { NetworkCore } from "./src/net/network_core.ts";
import { openNetwork, refuseUnsupported } from "./src/net/open_network.ts";
import { type OpenRings, openRings, openRingsNow } from "./src/net/open_rings.ts";
import type { NativePort } from "./src/ring/port.ts";

export {
  NetworkError,
  type NetworkErrorCode,
  type OperationName,
} from "./src/base/network_error.ts";
export type { BufferPoolStats, SizeClassStats } from "./src/buf/buffer_pool.ts";
export { BufferPoolConfig, type BufferPoolFields } from "./src/buf/buffer_pool_config.ts";
export { IoBuf } from "./src/buf/io_buf.ts";
export { IoBufMut } from "./src/buf/io_buf_mut.ts";
export { IoBufs, type IoBufsPart } from "./src/buf/io_bufs.ts";
export type { Address, SocketAddress, UnixAddress } from "./src/net/address.ts";
export type { CallOptions } from "./src/net/call_options.ts";
export type { Capabilities } from "./src/net/capabilities.ts";
export type { KeepAlive, MetricsRegistry, NetworkConfig, RingConfig } from "./src/net/config.ts";
export type { Connection } from "./src/net/connection_interface.ts";
export { type BindOptions, Listener } from "./src/net/listener.ts";
export type { NetworkStats } from "./src/net/network_core.ts";
export type { Sendable } from "./src/net/load_call.ts";
export { Sink } from "./src/net/sink.ts";
export { Stream } from "./src/net/stream.ts";
export type { SpinConfig } from "./src/ring/spinner.ts";

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
    return Network.#wire(port, resolved, rings);
  }

  /**
   * @internal As `start`, at once and with the defaults for what is not given: for adapters whose
   * interface is synchronous. Locked memory that a ring just closed gives back late is not waited
   * for: a smaller ring is taken instead.
   */
  static startNow(config: NetworkConfig = {}): Network {
    const resolved = resolveConfig(config);
    const port = nativeOrUnsupported();
    refuseUnsupported(resolved);
    return Network.#wire(port, resolved, openRingsNow(port, resolved));
  }

  static #wire(port: NativePort, resolved: ResolvedConfig, rings: OpenRings): Network {
    const context = openNetwork(port, host, resolved, rings, (fields) => new BufferPool(fields));
    let detach = () => {};
    const network = new Network(context, "io_uring", () => detach());
    if (resolved.registry !== null) {
      const { registry, metricsPrefix } = resolved;
      try {
        detach = Publisher.attach(registry, metricsPrefix, network.metricSource());
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
      supported: result === 0,
      reason: result === 0 ? null : explainRefusal(-result, system),
      kernel: system.kernel,
      features: result === 0 ? featuresOf(system.kernel) : {},
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { supported: false, reason, kernel: null, features: {} };
  }
}
