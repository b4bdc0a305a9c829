/**
 * Wires the parts of a network around its rings. A failure closes the rings that were
 * given; config/refusal.ts has the errors.
 *
 * @module
 */
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { Meter } from "../../base/meter.ts";
import { BufferPool, openPool } from "../../buf/buffer_pool.ts";
import { SizeClass } from "../../buf/size_class.ts";
import type { SlabSource } from "../../buf/slab.ts";
import type { NativePort } from "../../ring/port.ts";
import { Ring, type RingOptions } from "../../ring/ring.ts";
import { TimingWheel } from "../../ring/timing_wheel.ts";
import type { ResolvedConfig } from "../config/config.ts";
import { doorbellRefusal } from "../config/refusal.ts";
import { NetworkContext } from "../socket/network_context.ts";
import type { OpenRings } from "./open_rings.ts";

/** Opens a ring on its port. Closes the port when the ring cannot be opened. */
function openRing(options: RingOptions): Ring {
  try {
    return new Ring(options);
  } catch (cause) {
    options.port.close();
    throw doorbellRefusal(cause);
  }
}

/**
 * Takes the rings over, and closes them when the network cannot be opened. Throws a NetworkError
 * "Unsupported" when the runtime refuses a doorbell at once; `doorbellsOpened` rejects when the
 * runtime refuses a doorbell later. The memory of a new pool comes from `source`, as does that of
 * received buffers, because programs get both.
 */
export function openNetwork(
  native: NativePort,
  host: Host,
  config: ResolvedConfig,
  rings: OpenRings,
  source: SlabSource = native,
): NetworkContext {
  let pool: BufferPool;
  try {
    pool = config.pool instanceof BufferPool ? config.pool : openPool(config.pool, source);
  } catch (error) {
    rings.recvPort.close();
    rings.sendPort?.close();
    throw error;
  }
  return wire(native, host, config, rings, pool, source);
}

/** Waits until the doorbells can ring. Closes the rings and rejects when a doorbell cannot. */
export async function doorbellsOpened(
  { recvRing, sendRing, split }: NetworkContext,
): Promise<void> {
  // Both promises settle before a ring is closed, because closing a ring closes its doorbell.
  const doorbells = await Promise.allSettled([recvRing.pump.opened, sendRing.pump.opened]);
  const failed = doorbells.find(({ status }) => status === "rejected");
  if (failed === undefined) return;
  if (split) sendRing.close();
  recvRing.close();
  throw doorbellRefusal((failed as PromiseRejectedResult).reason);
}

function wire(
  native: NativePort,
  host: Host,
  config: ResolvedConfig,
  rings: OpenRings,
  pool: BufferPool,
  source: SlabSource,
): NetworkContext {
  const meter = new Meter();
  const { maxInFlight: inFlightMax, spin } = config.ring;
  // Without read buffering, these buffers serve receives for which the pool has no memory.
  const sizeBytes = config.readBufferSize || LIMITS.unbufferedReadBytes;
  const reads = { pool, source, sizeBytes };
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
