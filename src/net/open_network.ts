/**
 * Opens the rings of a network and wires its parts.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import type { Host } from "../base/host.ts";
import { LIMITS } from "../base/limits.ts";
import { Meter } from "../base/meter.ts";
import { NetworkError } from "../base/network_error.ts";
import { BufferPool } from "../buf/buffer_pool.ts";
import { SizeClass } from "../buf/size_class.ts";
import type { NativePort, RingPort } from "../ring/port.ts";
import { Ring } from "../ring/ring.ts";
import { TimingWheel } from "../ring/timing_wheel.ts";
import { explainRefusal } from "./capabilities.ts";
import type { ResolvedConfig } from "./config.ts";
import { NetworkContext } from "./network_context.ts";

/** A ring smaller than this is not worth having: ENOMEM is final then. */
const ENTRIES_MIN = 8;

/**
 * Completion entries for each submission entry: receives wait for long, completions come in bursts.
 */
const COMPLETIONS_PER_ENTRY = 8;
const COMPLETION_ENTRIES_MAX = 65_536;

function openRing(native: NativePort, config: ResolvedConfig, buffers: boolean): RingPort {
  let { entries } = config.ring;
  for (;;) {
    const completionEntries = Math.min(entries * COMPLETIONS_PER_ENTRY, COMPLETION_ENTRIES_MAX);
    const { sqPoll } = config.ring;
    const opened = native.openRing({ entries, completionEntries, sqPoll, buffers });
    if (typeof opened !== "number") return opened;
    // Rings count against the limit of locked memory: a smaller one may fit.
    if (-opened === ERRNO.ENOMEM && entries > ENTRIES_MIN) {
      entries /= 2;
      continue;
    }
    const reason = explainRefusal(-opened, native.system());
    throw new NetworkError(`Cannot start the network: ${reason}`, {
      code: "Unsupported",
      operation: "start",
      errno: -opened,
    });
  }
}

function refuseUnsupported(config: ResolvedConfig): void {
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

/** Throws a NetworkError with code "Unsupported" that says why and what to do. */
export function openNetwork(
  native: NativePort,
  host: Host,
  config: ResolvedConfig,
): NetworkContext {
  refuseUnsupported(config);
  const pool = config.pool instanceof BufferPool
    ? config.pool
    : new BufferPool(config.pool, native);
  const meter = new Meter();
  const split = config.ring.topology === "split";
  const { maxInFlight: inFlightMax, spin } = config.ring;
  // Without read buffering they serve receives for which the pool has no memory.
  const sizeBytes = config.readBufferSize || LIMITS.unbufferedReadBytes;
  const reads = { pool, source: native, sizeBytes };
  const recvPort = openRing(native, config, true);
  let sendPort: RingPort | null = null;
  try {
    if (split) sendPort = openRing(native, config, false);
  } catch (error) {
    recvPort.close();
    throw error;
  }
  const recvRing = new Ring({ port: recvPort, host, meter, inFlightMax, spin, reads });
  const sendRing = sendPort === null
    ? recvRing
    : new Ring({ port: sendPort, host, meter, inFlightMax, spin, reads: null });
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
