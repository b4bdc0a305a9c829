/**
 * The connection of an attempt that has connected.
 *
 * @module
 */
import { COUNT } from "../../base/meter.ts";
import type { SocketAddress, UnixAddress } from "../address/address.ts";
import { connectedAddress } from "../address/sockaddr.ts";
import { SocketConnection } from "../connection/socket_connection.ts";
import { ANSWER_NEVER } from "../socket/answer_state.ts";
import { endpoint, REMOTE_END } from "../socket/endpoint.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { socketOrigin } from "../socket/socket_origin.ts";

/** Takes over the descriptor, and counts the connection. `address` is that of the attempt. */
export function dialedConnection(
  context: NetworkContext,
  fd: number,
  family: number,
  address: SocketAddress | UnixAddress,
): SocketConnection {
  // The kernel cannot name the peer of a connection that was reset meanwhile.
  const peer = endpoint(context.recvRing, fd, REMOTE_END) ?? connectedAddress(address);
  const origin = socketOrigin.ofFamily(family);
  const connection = SocketConnection.adopt(context, fd, origin, peer, ANSWER_NEVER);
  context.meter.counts[COUNT.outboundConnections]++;
  return connection;
}
