/**
 * The orderly end of all open objects of a network.
 *
 *   servers drain, each within its own budget; other listeners close
 *   -> unfinished work finishes, or the network's budget ends -> the remainder is reset
 *   -> the kernel hands its operations back, or `LIMITS.handBackMs` end -> the rings close
 *
 * Unfinished work is a dial, a queued send, a receive that has part of its message, or an answer. A
 * receive that waits for the first byte of a message could wait for ever. So it gets "Closed" at
 * once, as if its connection had been closed.
 *
 * An accepted connection owes an answer when it has received since it last sent. No peer is shown a
 * clean end in place of an answer:
 *
 * - While no receive of such a connection is pending, the program counts as busy. The connection
 *   has the whole budget, and is reset afterwards. Dialed connections stay open as long, because
 *   the answer may need them.
 * - When such a connection waits for more bytes, it is unknown whether an answer follows, and the
 *   connection is reset at once. So a protocol without answers does not delay the end.
 * - Where the peer is a connection of the same network that does not receive, no answer can be
 *   awaited.
 *
 * The calls of all connections that are not busy end in one step, so that none of them sees the end
 * of another connection first. Callers are told in rounds of the event loop (`EndedCalls`), and the
 * connections themselves end in steps afterwards (`EndingConnections`).
 *
 * @module
 */
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { NetworkError } from "../../base/network_error.ts";
import { formatAddress, isUnix } from "../address/address.ts";
import { SocketConnection } from "../connection/socket_connection.ts";
import { isMidMessage, isReceiving } from "../recv/stream.ts";
import type { Closeable, Dialing, NetworkContext } from "../socket/network_context.ts";
import { EndingConnections } from "./ending_connections.ts";
import { Step } from "./step.ts";

/** The pause between two checks of busy connections. */
const CHECK_PAUSE_MS = 5;

/** Resolves when no object is open any more, except operations that do not land. */
export async function drainNetwork(context: NetworkContext): Promise<void> {
  const { shutdownTimeoutMs } = context.config;
  if (context.servers.size > 0) await drainServers(context);
  context.dialing = false;
  const overdue = Promise.withResolvers<void>();
  const ending = new EndingConnections(context);
  let expired = false;
  let isOver = false;
  let last: HostTimer | null = null;
  const force = () => {
    expired = true;
    for (const dial of context.dials.all()) dial.giveUp(closedError(dial));
    // Lingering sockets have sent FIN. RST would drop bytes that their peers have yet to read.
    context.lingering.end();
    void ending.expire().then(() => context.ends.emptied()).then(() => {
      if (!isOver) last = context.host.setTimer(overdue.resolve, LIMITS.handBackMs);
    });
  };
  context.addReference();
  // Without a budget all calls end in one step: none sees another connection's end first.
  if (shutdownTimeoutMs === 0) force();
  const timer = shutdownTimeoutMs ? context.host.setTimer(force, shutdownTimeoutMs) : null;
  try {
    await Promise.race([finish(context, ending, () => expired), overdue.promise]);
    await handBack(context);
  } finally {
    isOver = true;
    timer?.cancel();
    (last as HostTimer | null)?.cancel();
    context.removeReference();
  }
}

/** Handlers that finish may dial, and use other connections of the network. */
async function drainServers(context: NetworkContext): Promise<void> {
  context.addReference();
  try {
    // Servers first, because a server accepts the peers in the backlog of its listener.
    const servers = context.servers.all().map((server) => server.close());
    const listeners = context.open.all().filter(isListener).map((open) => open.close());
    await Promise.all([...servers, ...listeners]);
  } finally {
    context.removeReference();
  }
}

async function finish(
  context: NetworkContext,
  ending: EndingConnections,
  expired: () => boolean,
): Promise<void> {
  await Promise.all(context.open.all().filter(isListener).map((open) => open.close()));
  while (context.dials.size > 0 && !expired()) await pause(context);
  await endAll(context, isAccepted, expired, ending);
  await endAll(context, () => true, expired, ending);
  await ending.closeAll();
  await ending.closed();
}

function isAccepted(open: Closeable): boolean {
  return open instanceof SocketConnection && open.isAccepted;
}

function isListener(open: Closeable): boolean {
  return !(open instanceof SocketConnection);
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

/** Ends the chosen objects, and each busy connection once it is not busy any more. */
async function endAll(
  context: NetworkContext,
  isChosen: (open: Closeable) => boolean,
  expired: () => boolean,
  ending: EndingConnections,
): Promise<void> {
  const nearby = new NearbyPeers(context);
  let waiting = context.open.all().filter((open) => isChosen(open) && !ending.has(open));
  for (;;) {
    if (!nearby.isKnown && waiting.some(preparesAnswer)) await nearby.learn();
    const busy: Closeable[] = [];
    for (const open of waiting) {
      if (!expired() && isBusy(open, nearby)) busy.push(open);
      else ending.add(open);
    }
    waiting = busy;
    if (waiting.length === 0) return;
    await ending.closeAll();
    await pause(context);
  }
}

/** Whether a message is being received, or an answer is owed and may come. */
function isBusy(open: Closeable, nearby: NearbyPeers): boolean {
  if (!(open instanceof SocketConnection)) return false;
  return isMidMessage(open.stream) || (preparesAnswer(open) && nearby.mayWaitFor(open));
}

/** Whether the program has a request of the peer and may still answer: it does not receive. */
function preparesAnswer(open: Closeable): open is SocketConnection {
  return open instanceof SocketConnection && open.debt === "answer";
}

/** Dialed connections of a network, by their own address: the peers of accepted ones. */
class NearbyPeers {
  readonly #context: NetworkContext;
  #dialed: Map<string, SocketConnection> | null = null;

  constructor(context: NetworkContext) {
    this.#context = context;
  }

  get isKnown(): boolean {
    return this.#dialed !== null;
  }

  /** Reads the addresses once, and only when an accepted connection owes an answer. */
  async learn(): Promise<void> {
    const step = new Step(this.#context);
    const dialed = new Map<string, SocketConnection>();
    for (const open of this.#context.open.all()) {
      if (step.isOver) await step.next();
      if (!(open instanceof SocketConnection) || open.isAccepted) continue;
      if (!isUnix(open.localAddress)) dialed.set(formatAddress(open.localAddress), open);
    }
    this.#dialed = dialed;
  }

  /** False when the peer of `accepted` is known not to receive. A unix peer has no address. */
  mayWaitFor(accepted: SocketConnection): boolean {
    const peer = this.#dialed?.get(formatAddress(accepted.remoteAddress));
    return peer === undefined || isReceiving(peer.stream);
  }
}

function pause(context: NetworkContext): Promise<void> {
  return new Promise((resolve) => context.host.setTimer(resolve, CHECK_PAUSE_MS));
}
