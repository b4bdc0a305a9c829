/**
 * Descriptors that somebody else has made, as connections and listeners of a network.
 *
 * A descriptor that is no stream socket stays as it was, and open. One that is, but cannot listen,
 * is closed: it was given away.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { Connection } from "./connection.ts";
import { endpoint, LOCAL_END } from "./endpoint.ts";
import { Listener } from "./listener.ts";
import type { NetworkContext } from "./network_context.ts";
import { packedAddress } from "./packed_address.ts";

/** A connected stream socket, or the positive errno. */
function connection(context: NetworkContext, fd: number): Connection | number {
  const family = context.recvRing.port.adopt(fd);
  return family < 0 ? -family : Connection.adopt(context, fd, family, null);
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
  const address = local === null ? { path: "" } : packedAddress.unpack(local);
  return new Listener(context, fd, family, address);
}

export const adoptDescriptor = { connection, listener };
