/**
 * `uringnet/net`: the module `node:net`, over io_uring. Default and named exports, signatures,
 * events and errors are Node's; docs/NODE_NET.md lists what differs, member by member.
 *
 * ```ts
 * import net from "uringnet/net";
 *
 * const server = net.createServer((socket) => socket.pipe(socket));
 * server.listen(7000, () => console.log(server.address()));
 * ```
 *
 * Importing this module does nothing. The first `listen` or `connect` opens one network for the
 * thread, which lives as long as the thread does.
 *
 * @module
 */
import { fstatSync } from "node:fs";
import type * as node from "node:net";
import type { Network } from "../../mod.ts";
import { autoSelectFamily } from "./auto_select_family.ts";
import { callable } from "./callable.ts";
import { netChannels } from "./net_channels.ts";
import { nodeError } from "./node_error.ts";
import { runtimeNet } from "./runtime_net.ts";
import { Server as ServerClass, type ServerOptions } from "./server.ts";
import { sharedNetwork } from "./shared_network.ts";
import { type Callback, socketArguments } from "./socket_arguments.ts";
import { Socket as SocketClass } from "./socket.ts";
import type { SocketOptions } from "./socket_options.ts";

export type { Callback };
export type {
  AddressInfo,
  DropArgument,
  IpcNetConnectOpts,
  IpcSocketConnectOpts,
  IPVersion,
  ListenOptions,
  LookupFunction,
  NetConnectOpts,
  OnReadOpts,
  ServerOpts,
  SocketAddressInitOptions,
  SocketConnectOpts,
  SocketConstructorOpts,
  SocketReadyState,
  TcpNetConnectOpts,
  TcpSocketConnectOpts,
} from "node:net";

/** The network that serves this module, opened unless it is open, for its metrics. */
export function netNetwork(): Network {
  return sharedNetwork();
}

/**
 * The runtime's own socket for a descriptor that is not a socket, such as a pipe or a terminal, as
 * this library carries only sockets. Null for everything else.
 */
function runtimeSocket(options: unknown): object | null {
  const fd = typeof options === "number" ? options : (options as SocketOptions | undefined)?.fd;
  if (typeof fd !== "number" || !Number.isInteger(fd) || fd < 0) return null;
  try {
    if (fstatSync(fd).isSocket()) return null;
  } catch {
    // The descriptor is not open. The socket reports this with Node's error.
    return null;
  }
  return new runtimeNet.Socket(options as node.SocketConstructorOpts);
}

/** `net.Socket`, over the ring. May be called without `new`, as in Node. */
export const Socket = callable(
  SocketClass,
  "Socket",
  runtimeSocket,
) as unknown as typeof node.Socket;
/** The type of a socket, as in Node. */
export type Socket = node.Socket;
/** Another name of `Socket`, as in Node. */
export const Stream: typeof node.Socket = Socket;
/** `net.Server`, over the ring. May be called without `new`, as in Node. */
export const Server = callable(ServerClass, "Server") as unknown as typeof node.Server;
/** The type of a server, as in Node. */
export type Server = node.Server;

function makeServer(options?: ServerOptions | Callback, listener?: Callback): node.Server {
  return new (Server as unknown as typeof ServerClass)(options, listener) as unknown as node.Server;
}

function makeConnection(...args: unknown[]): node.Socket {
  const normalized = socketArguments.normalize(args);
  const [options] = normalized;
  const socket = new (Socket as unknown as typeof SocketClass)(options as SocketOptions);
  netChannels.tellSocket("client", socket);
  if (options.timeout) socket.setTimeout(options.timeout as number);
  return socket.connect(normalized) as unknown as node.Socket;
}

/** `net.createServer`, over the ring. */
export const createServer: typeof node.createServer = named(
  makeServer,
  "createServer",
) as typeof node.createServer;
/** `net.connect`, over the ring. */
export const connect: typeof node.connect = named(
  makeConnection,
  "connect",
) as typeof node.connect;
/** Another name of `connect`, as in Node. */
export const createConnection: typeof node.connect = connect;

/** The runtime's own `net.BlockList`. */
export const BlockList: typeof node.BlockList = runtimeNet.BlockList;
/** The type of a block list, as in Node. */
export type BlockList = node.BlockList;
/** The runtime's own `net.SocketAddress`. */
export const SocketAddress: typeof node.SocketAddress = runtimeNet.SocketAddress;
/** The type of a socket address, as in Node. */
export type SocketAddress = node.SocketAddress;
/** The runtime's own `net.isIP`. */
export const isIP: typeof node.isIP = runtimeNet.isIP;
/** The runtime's own `net.isIPv4`. */
export const isIPv4: typeof node.isIPv4 = runtimeNet.isIPv4;
/** The runtime's own `net.isIPv6`. */
export const isIPv6: typeof node.isIPv6 = runtimeNet.isIPv6;

/** Whether sockets choose between IPv4 and IPv6 by default. */
export const getDefaultAutoSelectFamily: () => boolean = named(
  autoSelectFamily.getDefault,
  "getDefaultAutoSelectFamily",
);
/** Sets whether sockets choose between IPv4 and IPv6 by default. */
export const setDefaultAutoSelectFamily: (value: boolean) => void = named(
  autoSelectFamily.setDefault,
  "setDefaultAutoSelectFamily",
);
/** The default time limit of one attempt to connect, in milliseconds. */
export const getDefaultAutoSelectFamilyAttemptTimeout: () => number = named(
  autoSelectFamily.getAttemptTimeout,
  "getDefaultAutoSelectFamilyAttemptTimeout",
);
/** Sets the default time limit of one attempt to connect, in milliseconds. */
export const setDefaultAutoSelectFamilyAttemptTimeout: (value: number) => void = named(
  autoSelectFamily.setAttemptTimeout,
  "setDefaultAutoSelectFamilyAttemptTimeout",
);

/** Normalizes the arguments of `connect`. Called by modules of Node, and not documented by Node. */
export function _normalizeArgs(
  args: readonly unknown[],
): [Record<string, unknown>, Callback | null] {
  return socketArguments.normalize(args);
}

/** Throws: this module has no server handles. */
export function _createServerHandle(): never {
  throw nodeError.unsupported("uringnet/net has no server handles");
}

/** Does nothing, as in Node since version 16. */
export function _setSimultaneousAccepts(): void {}

function named<F extends Callback>(target: F, name: string): F {
  return Object.defineProperty(target, "name", { value: name, configurable: true });
}

/** The exports of this module in one object, as of `node:net`. */
export default {
  _createServerHandle,
  _normalizeArgs,
  _setSimultaneousAccepts,
  BlockList,
  SocketAddress,
  connect,
  createConnection,
  createServer,
  isIP,
  isIPv4,
  isIPv6,
  Server,
  Socket,
  Stream,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
};
