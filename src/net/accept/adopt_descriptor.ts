/**
 * Makes connections and listeners of descriptors that a parent process or other code has opened.
 *
 *   adoptListener, adoptConnection    for users: a refused descriptor stays open and unchanged
 *   listener, connection              for adapters, which listen themselves: a stream socket
 *                                     belongs to the network from the call on
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { ERRNO, errnoText } from "../../base/errno.ts";
import { NetworkError } from "../../base/network_error.ts";
import { SOCKET_STATE } from "../../ring/port.ts";
import { refusalCode } from "../config/backend.ts";
import { unknownAddress } from "../address/sockaddr.ts";
import { SocketConnection } from "../connection/socket_connection.ts";
import { endpoint, LOCAL_END, REMOTE_END } from "../socket/endpoint.ts";
import { type Listener, openListener } from "./listener.ts";
import { socketOrigin } from "../socket/socket_origin.ts";
import { ANSWER_GIVEN } from "../socket/answer_state.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { packedAddress } from "../address/packed_address.ts";
import { socketOptions } from "../socket/socket_options.ts";

/** Descriptors are an `int`. */
const DESCRIPTOR_MAX = 0x7fff_ffff;

/** The connection of a descriptor that belongs to the network. */
function connectionOf(context: NetworkContext, fd: number, family: number): SocketConnection {
  const peer = endpoint(context.recvRing, fd, REMOTE_END) ?? unknownAddress(family);
  return SocketConnection.adopt(context, fd, socketOrigin.ofFamily(family), peer, ANSWER_GIVEN);
}

/**
 * The listener of a descriptor that belongs to the network. The file of a unix socket belongs to
 * the creator of the socket, so closing does not remove it.
 */
function listenerOf(context: NetworkContext, fd: number, family: number): Listener {
  const local = endpoint(context.recvRing, fd, LOCAL_END);
  const localAddress = local === null ? unknownAddress(family) : packedAddress.unpack(local);
  return openListener(context, { fd, family, localAddress, file: null, isShared: true });
}

/** The connection of a connected stream socket, or the positive errno. */
function connection(context: NetworkContext, fd: number): SocketConnection | number {
  const family = context.recvRing.port.adopt(fd);
  return family < 0 ? -family : connectionOf(context, fd, family);
}

/** The listener of a bound stream socket, which listens from now on, or the positive errno. */
function listener(context: NetworkContext, fd: number, backlog: number): Listener | number {
  const { port } = context.recvRing;
  if (!Number.isInteger(fd) || fd > DESCRIPTOR_MAX) return ERRNO.EINVAL;
  const family = port.adopt(fd);
  // Node and libuv report one errno for every descriptor that is not a socket, or not open.
  if (family === -ERRNO.ENOTSOCK || family === -ERRNO.EBADF) return ERRNO.EINVAL;
  if (family < 0) return -family;
  const result = port.listen(fd, backlog);
  if (result >= 0) return listenerOf(context, fd, family);
  port.closeDescriptor(fd);
  return -result;
}

/** The required states of a descriptor, and the errors of one in another state. */
const WANTED = {
  listening: {
    state: SOCKET_STATE.listening,
    code: "BindFailed",
    errno: ERRNO.EINVAL,
    refusal: "it does not listen",
  },
  connected: {
    state: SOCKET_STATE.connected,
    code: "ConnectionFailed",
    errno: ERRNO.ENOTCONN,
    refusal: "it is not connected",
  },
} as const;

/** Throws the error of a descriptor that is refused with this errno. */
function refuse(
  fd: number,
  wanted: keyof typeof WANTED,
  errno: number,
  reason = errnoText(errno),
): never {
  throw new NetworkError(`Cannot adopt descriptor ${fd}: ${reason}`, {
    code: refusalCode(errno, WANTED[wanted].code),
    operation: "adopt",
    errno,
  });
}

/**
 * Checks that a descriptor is in the state `wanted`, and changes nothing. Throws a NetworkError.
 */
function checkState(context: NetworkContext, fd: number, wanted: keyof typeof WANTED): void {
  const { state, errno, refusal } = WANTED[wanted];
  const found = context.recvRing.port.stateOf(fd);
  if (found < 0) refuse(fd, wanted, -found);
  if (found !== state) refuse(fd, wanted, errno, refusal);
}

/**
 * Takes over a descriptor, which is in the state `wanted`, with the options of the network. Returns
 * its family. Throws a NetworkError.
 */
function take(context: NetworkContext, fd: number, wanted: keyof typeof WANTED): number {
  const { port } = context.recvRing;
  const family = port.adopt(fd);
  if (family === -ERRNO.EBUSY) {
    refuse(fd, wanted, ERRNO.EBUSY, "a network of this process has it");
  }
  if (family < 0) refuse(fd, wanted, -family);
  const result = socketOptions.apply(port, fd, family, context.config);
  if (result < 0) {
    port.disown(fd);
    refuse(fd, wanted, -result);
  }
  return family;
}

/** A descriptor of the caller. Throws TypeError or RangeError for any other value. */
function checkDescriptor(given: unknown): number {
  return check.integer("fd", given, 0, DESCRIPTOR_MAX);
}

function adoptListener(context: NetworkContext, fd: number): Listener {
  checkState(context, fd, "listening");
  return listenerOf(context, fd, take(context, fd, "listening"));
}

/** All of these descriptors, or none. */
function adoptListeners(context: NetworkContext, fds: readonly number[]): Listener[] {
  // All of them first: what is taken over is changed, and giving it back does not undo that.
  for (const fd of fds) checkState(context, fd, "listening");
  const families: number[] = [];
  try {
    for (const fd of fds) families.push(take(context, fd, "listening"));
  } catch (error) {
    for (let i = 0; i < families.length; i++) context.recvRing.port.disown(fds[i]);
    throw error;
  }
  return fds.map((fd, i) => listenerOf(context, fd, families[i]));
}

function adoptConnection(context: NetworkContext, fd: number): SocketConnection {
  checkState(context, fd, "connected");
  return connectionOf(context, fd, take(context, fd, "connected"));
}

export const adoptDescriptor = {
  check: checkDescriptor,
  connection,
  listener,
  adoptListener,
  adoptListeners,
  adoptConnection,
};
