/**
 * The facts that all sockets of one listener share. Each socket refers to them, and keeps no copy.
 *
 * @module
 */
import type { Ring } from "../../ring/ring.ts";
import { isUnix, type SocketAddress, type UnixAddress } from "../address/address.ts";
import type { PackedAddress } from "../address/packed_address.ts";
import { endpoint, LOCAL_END } from "./endpoint.ts";

export interface SocketOrigin {
  readonly family: number;
  /**
   * The local address of each socket, which saves a system call at its end. Null where sockets
   * differ.
   */
  readonly localAddress: SocketAddress | UnixAddress | null;
}

/**
 * An accepted socket has the address of its listener, unless the listener takes all addresses. A
 * copy, because a program may change the address that the listener shows.
 */
function ofListener(family: number, address: SocketAddress | UnixAddress): SocketOrigin {
  const takesAll = !isUnix(address) && /^(?:::|(?:::ffff:)?0\.0\.0\.0)$/i.test(address.hostname);
  return { family, localAddress: takesAll ? null : { ...address } };
}

const others = new Map<number, SocketOrigin>();

/** The origin of a socket whose local address only the kernel knows. */
function ofFamily(family: number): SocketOrigin {
  let origin = others.get(family);
  if (origin === undefined) others.set(family, origin = { family, localAddress: null });
  return origin;
}

/** The local address of an open socket. A copy, because a program may change what it gets. */
function localAddress(origin: SocketOrigin, ring: Ring, fd: number): PackedAddress | null {
  if (origin.localAddress !== null) return { ...origin.localAddress };
  return endpoint(ring, fd, LOCAL_END);
}

/**
 * The functions of this file.
 * @internal
 */
export const socketOrigin = { ofListener, ofFamily, localAddress };
