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
import { Ring, type RingOptions } from "../../ring/ring.ts";
import { TimingWheel } from "../../ring/timing_wheel.ts";
import type { ResolvedConfig } from "../config/config.ts";
import { NetworkContext } from "../socket/network_context.ts";
import type { OpenRings } from "./open_rings.ts";

/** Throws a NetworkError "Unsupported" for what no machine can do. */
export function refuseUnsupported(config: ResolvedConfig): void {
  if (config.ring.ioPoll) {
    throw new NetworkError(
      "Cannot start the network: ring.ioPoll polls block devices, and the kernel answers EINVAL " +
        "to every socket operation on such a ring; leave it out",
      { code: "Unsupported", operation: "start", errno: ERRNO.EINVAL },
    );
  }
}

/** Throws what is told when the runtime cannot adopt a doorbell. */
function bellError(cause: unknown): NetworkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const what = "Cannot start the network: the runtime cannot watch the socket of its doorbell";
  return new NetworkError(`${what}: ${reason}`, { code: "Unsupported", operation: "start", cause });
}

/** Opens a ring on its port, which is closed when that fails. */
function openRing(options: RingOptions): Ring {
  try {
    return new Ring(options);
  } catch (cause) {
    options.port.close();
    throw bellError(cause);
  }
}

/**
 * The rings are the network's from here on; they are closed when it cannot be opened. `makePool`
 * makes what users know as a pool, where none was given. Throws a NetworkError "Unsupported" when
 * the runtime refuses a doorbell; what it finds out later is told by `bellsOpened`.
 */
export function openNetwork(
  native: NativePort,
  host: Host,
  config: ResolvedConfig,
  rings: OpenRings,
  makePool = (fields: BufferPoolConfig) => new BufferPool(fields, native),
): NetworkContext {
  let pool: BufferPool;
  try {
    pool = config.pool instanceof BufferPool ? config.pool : makePool(config.pool);
  } catch (error) {
    rings.recvPort.close();
    rings.sendPort?.close();
    throw error;
  }
  return wire(native, host, config, rings, pool);
}

/** Waits until the doorbells can ring; closes the rings and rejects when one never will. */
export async function bellsOpened({ recvRing, sendRing, split }: NetworkContext): Promise<void> {
  // Both have settled before a ring is closed: a doorbell that fails goes with its ring.
  const bells = await Promise.allSettled([recvRing.pump.opened, sendRing.pump.opened]);
  const failed = bells.find(({ status }) => status === "rejected");
  if (failed === undefined) return;
  if (split) sendRing.close();
  recvRing.close();
  throw bellError((failed as PromiseRejectedResult).reason);
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
  let recvRing: Ring;
  try {
    recvRing = openRing({ ...common, port: recvPort, reads, keeper: null });
  } catch (error) {
    sendPort?.close();
    throw error;
  }
  let sendRing = recvRing;
  try {
    if (sendPort !== null) {
      sendRing = openRing({ ...common, port: sendPort, reads: null, keeper: recvRing });
    }
  } catch (error) {
    recvRing.close();
    throw error;
  }
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
