/**
 * Opens a descriptor that listens on an address. A failure leaves neither a descriptor nor a file
 * behind.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { NetworkError } from "../../base/network_error.ts";
import { refusalCode } from "../config/backend.ts";
import { SOCKET_OPTION } from "../../ring/port.ts";
import { formatAddress, isFile, type SocketAddress, type UnixAddress } from "../address/address.ts";
import { AF_INET6, AF_UNIX, readSockaddr, writeSockaddr } from "../address/sockaddr.ts";
import type { CheckedBindOptions } from "./bind_options.ts";
import { endpoint, LOCAL_END } from "../socket/endpoint.ts";
import { packedAddress } from "../address/packed_address.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { SocketFile } from "./socket_file.ts";
import { socketOptions } from "../socket/socket_options.ts";

export interface BoundSocket {
  readonly fd: number;
  readonly family: number;
  /** The address that the kernel reports, with the actual port. */
  readonly localAddress: SocketAddress | UnixAddress;
  /** The file that closing removes; null for a socket without a file. */
  readonly file: SocketFile | null;
  /**
   * Other processes may accept on the same socket: the descriptor came from outside. Such a socket
   * is never shut down, as that would end the listening of all of them.
   */
  readonly isShared: boolean;
}

/**
 * Like `bindSocket`, also for a port whose `listen` completes later: the result is a promise then.
 * The network may close meanwhile, so `mayFinish` is called, and may throw.
 */
export function bindSocketSoon(
  context: NetworkContext,
  address: SocketAddress | UnixAddress,
  options: CheckedBindOptions,
  mayFinish: () => void,
): BoundSocket | Promise<BoundSocket> {
  const { port } = context.recvRing;
  const bound = bindSocket(context, address, options);
  if (port.listening === undefined) return bound;
  const finish = (result: number): BoundSocket => {
    try {
      if (result < 0) throw bindError(address, -result, adviceOn(result, options));
      mayFinish();
      const local = endpoint(context.recvRing, bound.fd, LOCAL_END);
      return local === null ? bound : { ...bound, localAddress: packedAddress.unpack(local) };
    } catch (error) {
      bound.file?.remove();
      port.closeDescriptor(bound.fd);
      throw error;
    }
  };
  const result = port.listening(bound.fd);
  return typeof result === "number" ? finish(result) : result.then(finish);
}

/** Binds and listens. The address is numeric or a path. Throws NetworkError "BindFailed". */
export function bindSocket(
  context: NetworkContext,
  address: SocketAddress | UnixAddress,
  options: CheckedBindOptions,
): BoundSocket {
  const { port, blocks } = context.recvRing;
  const block = blocks.take();
  let fd = -1;
  let file: SocketFile | null = null;
  const fail = (errno: number, advice = ""): never => {
    file?.remove();
    if (fd >= 0) port.closeDescriptor(fd);
    throw bindError(address, errno, advice);
  };
  const must = (result: number): number => result < 0 ? fail(-result) : result;
  must(block < 0 ? -ERRNO.ENOBUFS : 0);
  try {
    const { family, length } = writeSockaddr(blocks.bytes(block), address);
    fd = must(context.openSocket(family));
    if (family !== AF_UNIX) {
      must(port.setOption(fd, SOCKET_OPTION.reuseAddress, 1));
      if (options.reusePort) must(port.setOption(fd, SOCKET_OPTION.reusePort, 1));
    }
    must(socketOptions.apply(port, fd, family, context.config));
    if (options.ipv6Only && family === AF_INET6) {
      must(port.setOption(fd, SOCKET_OPTION.ipv6Only, 1));
    }
    const { deferAcceptSeconds, interfaceName } = options;
    if (deferAcceptSeconds > 0) {
      must(port.setOption(fd, SOCKET_OPTION.deferAcceptSeconds, deferAcceptSeconds));
    }
    if (interfaceName !== null) {
      const index = must(
        blocks.withText(interfaceName, (at, size) => port.interfaceIndex(at, size)),
      );
      must(port.setOption(fd, SOCKET_OPTION.interfaceIndex, index));
    }
    if (isFile(address)) {
      const made = new SocketFile(port, address);
      const refusal = made.bind(fd, options);
      if (refusal !== null) fail(refusal.errno, refusal.advice);
      file = made;
    } else {
      must(port.bind(fd, block, length));
    }
    must(port.listen(fd, options.backlog));
    const localLength = must(port.address(fd, LOCAL_END, block));
    const localAddress = readSockaddr(blocks.bytes(block), localLength);
    return { fd, family, localAddress, file, isShared: false };
  } finally {
    blocks.put(block);
  }
}

/** The option behind a refusal of the portable backend that only its `listen` can notice. */
function adviceOn(result: number, { ipv6Only }: CheckedBindOptions): string {
  return result === -ERRNO.EOPNOTSUPP && ipv6Only ? "the runtime ignores ipv6Only" : "";
}

function bindError(
  address: SocketAddress | UnixAddress,
  errno: number,
  advice: string,
): NetworkError {
  const reason = advice === "" ? errnoText(errno) : `${errnoText(errno)}: ${advice}`;
  return new NetworkError(`Cannot bind ${formatAddress(address)}: ${reason}`, {
    code: refusalCode(errno, "BindFailed"),
    operation: "bind",
    errno,
  });
}
