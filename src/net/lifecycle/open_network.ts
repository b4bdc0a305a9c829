/**
 * Wires the parts of a network around its rings.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { Meter } from "../../base/meter.ts";
import { NetworkError } from "../../base/network_error.ts";
import { BufferPool } from "../../buf/buffer_pool.ts";
import type { BufferPoolConfig } from "../../buf/buffer_pool_config.ts";
import { SizeClass } from "../../buf/size_class.ts";
import type { NativePort } from "../../ring/port.ts";
import { Ring } from "../../ring/ring.ts";
import { TimingWheel } from "../../ring/timing_wheel.ts";
import type { ResolvedConfig } from "../config/config.ts";
import { NetworkContext } from "../socket/network_context.ts";
import type { OpenRings } from "./open_rings.ts";

/** Throws a NetworkError "Unsupported" for what no machine can do. */
export function refuseUnsupported(config: ResolvedConfig): void {
  if (config.backend === "portable") {
    throw new NetworkError(
      'Cannot start the network: backend "portable" is not part of this version; use "io_uring"',
      { code: "Unsupported", operation: "start" },
    );
  }
  if (config.ring.ioPoll) {
    throw new NetworkError(
      "Cannot start the network: ring.ioPoll polls block devices, and the kernel answers EINVAL " +
        "to every socket operation on such a ring; leave it out",
      { code: "Unsupported", operation: "start", errno: ERRNO.EINVAL },
    );
  }
}

/**
 * The rings are the network's from here on; they are closed when it cannot be opened. `makePool`
 * makes what users know as a pool, where none was given.
 */
export function openNetwork(
  native: NativePort,
  host: Host,
  config: ResolvedConfig,
  rings: OpenRings,
  makePool = (fields: BufferPoolConfig) => new BufferPool(fields, native),
): NetworkContext {
  try {
    const pool = config.pool instanceof BufferPool ? config.pool : makePool(config.pool);
    return wire(native, host, config, rings, pool);
  } catch (error) {
    rings.recvPort.close();
    rings.sendPort?.close();
    throw error;
  }
}

function wire(
  native: NativePort,
  host: Host,
  config: ResolvedConfig,
  rings: OpenRings,
  pool: BufferPool,
): NetworkContext {
  const meter = new Meter();
  const { maxInFlight: inFlightMax, spin } = config.ring;
  // Without read buffering they serve receives for which the pool has no memory.
  const sizeBytes = config.readBufferSize || LIMITS.unbufferedReadBytes;
  const reads = { pool, source: native, sizeBytes };
  const { recvPort, sendPort } = rings;
  const common = { host, meter, inFlightMax, spin };
  const recvRing = new Ring({ ...common, port: recvPort, reads, keeper: null });
  const sendRing = sendPort === null
    ? recvRing
    : new Ring({ ...common, port: sendPort, reads: null, keeper: recvRing });
  return new NetworkContext({
    config,
    host,
    meter,
    pool,
    reserve: new SizeClass(LIMITS.sendReserveBytes, LIMITS.sendReserveCount, false, native, null),
    wheel: new TimingWheel(host),
    sendRing,
    recvRing,
  });
}
