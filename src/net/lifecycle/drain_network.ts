/**
 * The orderly end of everything that is open on a network.
 *
 *   listeners close -> unfinished work finishes, or the budget ends -> the remainder is reset
 *   -> the kernel hands its operations back, or `LIMITS.handBackMs` end -> the rings close
 *
 * Unfinished work is work with an end in sight: a dial, a queued send, a receive that has part of
 * its message. A receive that waits for a message to begin could wait for ever. Such a receive gets
 * "Closed" at once, as if its connection had been closed.
 *
 * @module
 */
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { NetworkError } from "../../base/network_error.ts";
import { Connection } from "../connection/connection.ts";
import type { Closeable, Dialing, NetworkContext } from "../socket/network_context.ts";

/** The pause between two checks of the connections that are in the middle of a message. */
const CHECK_PAUSE_MS = 5;

/** Resolves when nothing is open any more, except operations that the kernel does not hand back. */
export async function drainNetwork(context: NetworkContext): Promise<void> {
  const { shutdownTimeoutMs } = context.config;
  const overdue = Promise.withResolvers<void>();
  let expired = false;
  let last: HostTimer | null = null;
  const force = () => {
    expired = true;
    for (const dial of context.dials.all()) dial.giveUp(closedError(dial));
    // Lingering sockets have sent FIN. RST would drop bytes that their peers have yet to read.
    context.lingering.end();
    for (const open of context.open.all()) open.reset();
    last = context.host.setTimer(overdue.resolve, LIMITS.handBackMs);
  };
  context.addReference();
  // Without a budget everything ends in one step: no connection sees another connection's end
  // first.
  if (shutdownTimeoutMs === 0) force();
  const timer = shutdownTimeoutMs ? context.host.setTimer(force, shutdownTimeoutMs) : null;
  try {
    await Promise.race([finish(context, () => expired), overdue.promise]);
    await handBack(context);
  } finally {
    timer?.cancel();
    (last as HostTimer | null)?.cancel();
    context.removeReference();
  }
}

async function finish(context: NetworkContext, expired: () => boolean): Promise<void> {
  await closeAll(context, (open) => !(open instanceof Connection), expired);
  while (context.dials.size > 0 && !expired()) await pause(context);
  await closeAll(context, () => true, expired);
}

/** Waits for operations that are still in flight, such as the connects of dials that gave up. */
async function handBack(context: NetworkContext): Promise<void> {
  const end = context.host.now() + LIMITS.handBackMs;
  const { recvRing, sendRing } = context;
  while (recvRing.inFlight + sendRing.inFlight > 0 && context.host.now() < end) {
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

/** Closes the chosen objects; a connection in the middle of a message once the message is whole. */
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
  return open instanceof Connection && open.stream.midMessage;
}

function pause(context: NetworkContext): Promise<void> {
  return new Promise((resolve) => context.host.setTimer(resolve, CHECK_PAUSE_MS));
}
