/**
 * The orderly end of everything that is open on a network.
 *
 *   listeners close -> work in flight finishes, or the time runs out -> the rest is reset
 *   -> the kernel hands back what it has, or `LIMITS.handBackMs` run out -> the ring takes it back
 *
 * Work in flight is what has an end in sight: a dial, a queued send, a receive that has part of its
 * message. A receive that waits for a message to begin could wait for ever; it gets "Closed" at
 * once, as if its connection had been closed.
 *
 * @module
 */
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { NetworkError } from "../../base/network_error.ts";
import { SocketConnection } from "../connection/connection.ts";
import { isMidMessage } from "../recv/stream.ts";
import type { Closeable, Dialing, NetworkContext } from "../socket/network_context.ts";

/** How often a connection in the middle of a message is looked at again. */
const LOOK_AGAIN_MS = 5;

/** Resolves when nothing is open any more but what the kernel does not hand back. */
export async function drainNetwork(context: NetworkContext): Promise<void> {
  const { shutdownTimeoutMs } = context.config;
  const overdue = Promise.withResolvers<void>();
  let expired = false;
  let last: HostTimer | null = null;
  const force = () => {
    expired = true;
    for (const dial of context.dials.all()) dial.giveUp(closedError(dial));
    // They have sent FIN and wait for their peers: RST would take away what those have yet to read.
    context.lingering.end();
    for (const open of context.open.all()) open.reset();
    last = context.host.setTimer(overdue.resolve, LIMITS.handBackMs);
  };
  context.hold();
  // Without a budget everything ends in one go: no connection sees the end of another one first.
  if (shutdownTimeoutMs === 0) force();
  const timer = shutdownTimeoutMs ? context.host.setTimer(force, shutdownTimeoutMs) : null;
  try {
    await Promise.race([finish(context, () => expired), overdue.promise]);
    await handBack(context);
  } finally {
    timer?.cancel();
    (last as HostTimer | null)?.cancel();
    context.unhold();
  }
}

async function finish(context: NetworkContext, expired: () => boolean): Promise<void> {
  await closeAll(context, (open) => !(open instanceof SocketConnection), expired);
  while (context.dials.size > 0 && !expired()) await pause(context);
  await closeAll(context, () => true, expired);
}

/** Waits for what is still with the kernel, such as the connects of dials that were given up. */
async function handBack(context: NetworkContext): Promise<void> {
  const end = context.host.now() + LIMITS.handBackMs;
  const { recvRing, sendRing } = context;
  while (recvRing.flying + sendRing.flying > 0 && context.host.now() < end) {
    recvRing.cancelAll();
    if (context.split) sendRing.cancelAll();
    await pause(context);
  }
}

function closedError({ name }: Dialing): NetworkError {
  return new NetworkError(`Cannot connect to ${name}: the network was closed`, {
    code: "Closed",
    operation: "dial",
  });
}

/** Closes the chosen ones; connections in the middle of a message when that has ended. */
async function closeAll(
  context: NetworkContext,
  chosen: (open: Closeable) => boolean,
  expired: () => boolean,
): Promise<void> {
  const closing: Promise<void>[] = [];
  let waiting = context.open.all().filter(chosen);
  for (;;) {
    const busy: Closeable[] = [];
    for (const open of waiting) {
      if (midMessage(open) && !expired()) busy.push(open);
      else closing.push(open.close());
    }
    waiting = busy;
    if (waiting.length === 0) break;
    await pause(context);
  }
  await Promise.all(closing);
}

function midMessage(open: Closeable): boolean {
  return open instanceof SocketConnection && isMidMessage(open.stream);
}

function pause(context: NetworkContext): Promise<void> {
  return new Promise((resolve) => context.host.setTimer(resolve, LOOK_AGAIN_MS));
}
