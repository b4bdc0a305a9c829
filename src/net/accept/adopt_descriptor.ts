/**
 * Descriptors that somebody else has made, as connections and listeners of a network.
 *
 * A descriptor that is no stream socket stays as it was, and open. One that is, but cannot listen,
 * is closed: it was given away.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { unknownAddress } from "../address/address.ts";
import { SocketConnection } from "../connection/connection.ts";
import { endpoint, LOCAL_END, REMOTE_END } from "../address/endpoint.ts";
import { type Listener, openListener } from "./listener.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { packedAddress } from "../address/packed_address.ts";

/** A connected stream socket, or the positive errno. */
function connection(context: NetworkContext, fd: number): SocketConnection | number {
  const { recvRing } = context;
  const family = recvRing.port.adopt(fd);
  if (family < 0) return -family;
  const peer = endpoint(recvRing, fd, REMOTE_END) ?? unknownAddress(family);
  return SocketConnection.adopt(context, fd, family, peer);
}

/** A bound stream socket, which listens from now on, or the positive errno. */
function listener(context: NetworkContext, fd: number, backlog: number): Listener | number {
  const { recvRing } = context;
  const family = recvRing.port.adopt(fd);
  // Node, and libuv, have one errno for whatever is no socket.
  if (family < 0) return -family === ERRNO.ENOTSOCK ? ERRNO.EINVAL : -family;
  const result = recvRing.port.listen(fd, backlog);
  if (result < 0) {
    recvRing.port.closeDescriptor(fd);
    return -result;
  }
  const local = endpoint(recvRing, fd, LOCAL_END);
  const localAddress = local === null ? unknownAddress(family) : packedAddress.unpack(local);
  // The file of a unix socket, if there is one, belongs to whoever made it.
  return openListener(context, { fd, family, localAddress, file: null });
}

export const adoptDescriptor = { connection, listener };
