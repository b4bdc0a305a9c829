/**
 * Opens the rings of a network: one for both directions, or one for each.
 *
 * Rings count against the limit of locked memory, so ENOMEM means: smaller. The kernel gives back
 * what a closed ring held some 20 to 50 ms later, which is why there is a pause between attempts,
 * and why the smallest size is tried several times before it is said that nothing fits.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { NetworkError } from "../../base/network_error.ts";
import type { NativePort, RingPort } from "../../ring/port.ts";
import { explainRefusal } from "../config/capabilities.ts";
import type { ResolvedConfig } from "../config/config.ts";

/** A ring smaller than this is not worth having: ENOMEM is final then. */
const ENTRIES_MIN = 8;

/**
 * Completion entries for each submission entry: receives wait for long, completions come in bursts.
 */
const COMPLETIONS_PER_ENTRY = 8;
const COMPLETION_ENTRIES_MAX = 65_536;

export interface OpenRings {
  recvPort: RingPort;
  /** Null when one ring serves both directions. */
  sendPort: RingPort | null;
}

/** One attempt: all rings with this many entries, or none and -errno. */
export function tryRings(
  native: NativePort,
  config: ResolvedConfig,
  entries: number,
): OpenRings | number {
  const { sqPoll, topology } = config.ring;
  const completionEntries = Math.min(entries * COMPLETIONS_PER_ENTRY, COMPLETION_ENTRIES_MAX);
  const recvPort = native.openRing({ entries, completionEntries, sqPoll, buffers: true });
  if (typeof recvPort === "number") return recvPort;
  if (topology !== "split") return { recvPort, sendPort: null };
  const sendPort = native.openRing({ entries, completionEntries, sqPoll, buffers: false });
  if (typeof sendPort !== "number") return { recvPort, sendPort };
  recvPort.close();
  return sendPort;
}

function refused(native: NativePort, result: number): NetworkError {
  const reason = explainRefusal(-result, native.system());
  return new NetworkError(`Cannot start the network: ${reason}`, {
    code: "Unsupported",
    operation: "start",
    errno: -result,
  });
}

/** Rejects with a NetworkError "Unsupported" that says why and what to do. */
export async function openRings(
  native: NativePort,
  host: Host,
  config: ResolvedConfig,
): Promise<OpenRings> {
  let { entries } = config.ring;
  let smallestTries = 0;
  for (;;) {
    const opened = tryRings(native, config, entries);
    if (typeof opened !== "number") return opened;
    if (entries <= ENTRIES_MIN) smallestTries++;
    else entries /= 2;
    if (-opened !== ERRNO.ENOMEM || smallestTries === LIMITS.smallestRingTryCountMax) {
      throw refused(native, opened);
    }
    await host.pause(LIMITS.lockedMemoryPauseMs);
  }
}

/** As `openRings`, without a pause between attempts. Throws what that rejects with. */
export function openRingsNow(native: NativePort, config: ResolvedConfig): OpenRings {
  for (let { entries } = config.ring;; entries /= 2) {
    const opened = tryRings(native, config, entries);
    if (typeof opened !== "number") return opened;
    if (-opened !== ERRNO.ENOMEM || entries <= ENTRIES_MIN) throw refused(native, opened);
  }
}
