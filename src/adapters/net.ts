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
import { nodeError } from "./node_error.ts";
import { runtimeNet } from "./runtime_net.ts";
import { Server as ServerClass, type ServerOptions } from "./server.ts";
import { sharedNetwork } from "./shared_network.ts";
import { type Callback, socketArguments } from "./socket_arguments.ts";
import { Socket as SocketClass } from "./socket.ts";
import type { SocketOptions } from "./socket_stream.ts";

/** The network behind this module, opened if need be: for its numbers. */
export function netNetwork(): Network {
  return sharedNetwork();
}

/**
 * A descriptor that is no socket, such as a pipe or a terminal, is the runtime's business: the ring
 * of this library carries sockets. Null for everything else.
 */
function runtimeSocket(options: unknown): object | null {
  const fd = typeof options === "number" ? options : (options as SocketOptions | undefined)?.fd;
  if (typeof fd !== "number" || !Number.isInteger(fd) || fd < 0) return null;
  try {
    if (fstatSync(fd).isSocket()) return null;
  } catch {
    // Not open: the socket says so in Node's words.
    return null;
  }
  return new runtimeNet.Socket(options as node.SocketConstructorOpts);
}

export const Socket = callable(
  SocketClass,
  "Socket",
  runtimeSocket,
) as unknown as typeof node.Socket;
export const Stream = Socket;
export const Server = callable(ServerClass, "Server") as unknown as typeof node.Server;

type CreateServer = typeof node.createServer;
type Connect = typeof node.connect;

function makeServer(options?: ServerOptions | Callback, listener?: Callback): node.Server {
  return new (Server as unknown as typeof ServerClass)(options, listener) as unknown as node.Server;
}

function makeConnection(...args: unknown[]): node.Socket {
  const normalized = socketArguments.normalize(args);
  const [options] = normalized;
  const socket = new (Socket as unknown as typeof SocketClass)(options as SocketOptions);
  if (options.timeout) socket.setTimeout(options.timeout as number);
  return socket.connect(normalized) as unknown as node.Socket;
}

export const createServer: CreateServer = named(makeServer, "createServer") as CreateServer;
export const connect: Connect = named(makeConnection, "connect") as Connect;
export const createConnection: Connect = connect;

export const BlockList: typeof node.BlockList = runtimeNet.BlockList;
export const SocketAddress: typeof node.SocketAddress = runtimeNet.SocketAddress;
export const isIP: typeof node.isIP = runtimeNet.isIP;
export const isIPv4: typeof node.isIPv4 = runtimeNet.isIPv4;
export const isIPv6: typeof node.isIPv6 = runtimeNet.isIPv6;

export const getDefaultAutoSelectFamily: () => boolean = autoSelectFamily.getDefault;
export const setDefaultAutoSelectFamily: (value: boolean) => void = autoSelectFamily.setDefault;
export const getDefaultAutoSelectFamilyAttemptTimeout: () => number =
  autoSelectFamily.getAttemptTimeout;
export const setDefaultAutoSelectFamilyAttemptTimeout: (value: number) => void =
  autoSelectFamily.setAttemptTimeout;

/** Node's own parts call it; it is no part of what Node documents. */
export function _normalizeArgs(
  args: readonly unknown[],
): [Record<string, unknown>, Callback | null] {
  return socketArguments.normalize(args);
}

/** There are no handles here to be made. */
export function _createServerHandle(): never {
  throw nodeError.unsupported("uringnet/net has no server handles");
}

/** Did something on Windows only, and does nothing since Node 16. */
export function _setSimultaneousAccepts(): void {}

function named<F extends Callback>(target: F, name: string): F {
  return Object.defineProperty(target, "name", { value: name, configurable: true });
}

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
