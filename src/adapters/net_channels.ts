/**
 * The channels of `node:diagnostics_channel` on which Node reports its sockets and servers to
 * tools.
 *
 *   net.client.socket                   a socket that `connect` has made, before it connects
 *   net.server.socket                   a socket that a server has accepted, after 'connection'
 *   tracing:net.server.listen:...       asyncStart, then asyncEnd or error
 *
 * @module
 */
import { channel } from "node:diagnostics_channel";

const LISTEN = "tracing:net.server.listen";

const channels = {
  client: channel("net.client.socket"),
  accepted: channel("net.server.socket"),
  listens: channel(`${LISTEN}:asyncStart`),
  listening: channel(`${LISTEN}:asyncEnd`),
  failed: channel(`${LISTEN}:error`),
};

/** Servers that another server listens for, by the latter. */
const outerServers = new WeakMap<object, object>();

/** From now on, reports about `inner` name `outer`, the server of the program. */
function standFor(inner: object, outer: object): void {
  outerServers.set(inner, outer);
}

function tellSocket(kind: "client" | "accepted", socket: object): void {
  if (channels[kind].hasSubscribers) channels[kind].publish({ socket });
}

function tellListen(kind: "listens" | "failed", server: object, more: object): void {
  if (!channels[kind].hasSubscribers) return;
  channels[kind].publish({ server: outerServers.get(server) ?? server, ...more });
}

/** Not for a server that listens for another one, which is reported once it has its handle. */
function tellListening(server: object): void {
  if (!channels.listening.hasSubscribers || outerServers.has(server)) return;
  channels.listening.publish({ server });
}

export const netChannels = { standFor, tellSocket, tellListen, tellListening };
