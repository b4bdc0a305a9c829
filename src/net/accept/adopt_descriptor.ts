/**
 * Descriptors from outside, which a parent process or other code has made, as connections and
 * listeners of a network.
 *
 * A descriptor that is no stream socket is left as it was, and open. A stream socket belongs to the
 * network from the call on, and is closed when it cannot listen.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { unknownAddress } from "../address/sockaddr.ts";
import { Connection } from "../connection/connection.ts";
import { endpoint, LOCAL_END, REMOTE_END } from "../socket/endpoint.ts";
import { Listener } from "./listener.ts";
import { ANSWER_GIVEN } from "../socket/socket.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { packedAddress } from "../address/packed_address.ts";

/** The connection of a connected stream socket, or the positive errno. */
function connection(context: NetworkContext, fd: number): Connection | number {
  const { recvRing } = context;
  const family = recvRing.port.adopt(fd);
  if (family < 0) return -family;
  const peer = endpoint(recvRing, fd, REMOTE_END) ?? unknownAddress(family);
  return Connection.adopt(context, fd, family, peer, ANSWER_GIVEN);
}

/** The listener of a bound stream socket, which listens from now on, or the positive errno. */
function listener(context: NetworkContext, fd: number, backlog: number): Listener | number {
  const { recvRing } = context;
  const family = recvRing.port.adopt(fd);
  // Node and libuv report one errno for every descriptor that is no socket.
  if (family < 0) return -family === ERRNO.ENOTSOCK ? ERRNO.EINVAL : -family;
  const result = recvRing.port.listen(fd, backlog);
  if (result < 0) {
    recvRing.port.closeDescriptor(fd);
    return -result;
  }
  const local = endpoint(recvRing, fd, LOCAL_END);
  const localAddress = local === null ? unknownAddress(family) : packedAddress.unpack(local);
  // The file of a unix socket belongs to the maker of the socket: closing does not remove it.
  return new Listener(context, { fd, family, localAddress, file: null });
}

export const adoptDescriptor = { connection, listener };
