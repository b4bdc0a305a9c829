/**
 * The channels of `node:diagnostics_channel` on which Node tells tools of its sockets and servers.
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

/** Reports name `outer`, the server of the program, in the place of `inner`. */
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

/** Nothing for a server that listens for another, which is told of when it has its handle. */
function tellListening(server: object): void {
  if (!channels.listening.hasSubscribers || outerServers.has(server)) return;
  channels.listening.publish({ server });
}

export const netChannels = { standFor, tellSocket, tellListen, tellListening };
