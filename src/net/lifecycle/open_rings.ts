/**
 * Opens the rings of a network: one for both directions, or one for each.
 *
 *   all rings of `entries` -> ENOMEM -> pause -> half as many ... -> 8 entries, 8 times
 *
 * Rings count against the limit of locked memory, so ENOMEM asks for smaller rings. The kernel
 * frees the memory of a closed ring 20 to 50 ms later. So there are pauses between attempts, and
 * the smallest size is tried several times before the refusal is final.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import type { NativePort, RingPort } from "../../ring/port.ts";
import type { ResolvedConfig } from "../config/config.ts";
import { ringRefusal } from "../config/refusal.ts";

/** The smallest ring that is tried. */
const ENTRIES_MIN = 8;

/** Completion entries for each submission entry, because completions come in bursts. */
const COMPLETIONS_PER_ENTRY = 8;
const COMPLETION_ENTRIES_MAX = 65_536;

export interface OpenRings {
  recvPort: RingPort;
  /** Null when one ring serves both directions. */
  sendPort: RingPort | null;
}

/** One attempt: all rings with this many entries, or no ring and -errno. */
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

/** Rejects with a NetworkError "Unsupported" that has the cause and the remedy. */
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
      throw ringRefusal(native, -opened);
    }
    await host.pause(LIMITS.lockedMemoryPauseMs);
  }
}

/** Like `openRings`, without a pause between attempts. Throws the same errors. */
export function openRingsNow(native: NativePort, config: ResolvedConfig): OpenRings {
  for (let { entries } = config.ring;; entries /= 2) {
    const opened = tryRings(native, config, entries);
    if (typeof opened !== "number") return opened;
    if (-opened !== ERRNO.ENOMEM || entries <= ENTRIES_MIN) throw ringRefusal(native, -opened);
  }
}
