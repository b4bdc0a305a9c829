/**
 * Starts to listen on a port, a path or a descriptor. The server listens at once, so that its
 * address is known when `listen` returns. Only a name has to be looked up first.
 *
 * @module
 */
import * as dns from "node:dns";
import { nextTick } from "node:process";
import { ERRNO } from "../base/errno.ts";
import { parseAddress, type SocketAddress, type UnixAddress } from "../net/address/address.ts";
import { adoptDescriptor } from "../net/accept/adopt_descriptor.ts";
import type { Listener } from "../net/accept/listener.ts";
import type { ListenPlan } from "./listen_arguments.ts";
import { Listening, type ListenOptions, tryListen } from "./listening.ts";
import { netChannels } from "./net_channels.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { runtimeNet } from "./runtime_net.ts";
import { type AcceptingServer, serverAccept } from "./server_accept.ts";

type PortPlan = Extract<ListenPlan, { kind: "port" }>;
type DescriptorPlan = Extract<ListenPlan, { kind: "fd" }>;
type PathPlan = Extract<ListenPlan, { kind: "path" }>;

/** The members of a server that listening reads and sets. */
export interface ListeningServer extends AcceptingServer {
  _handle: Listening | null;
  _pipeName: string | undefined;
  _connectionKey: string | undefined;
  _unref: boolean;
  /** One object for each lookup or listen that is under way; null when there is none. */
  _lookup: object | null;
}

/** Failures are emitted later, as 'error'. */
export function serverListen(server: ListeningServer, plan: ListenPlan): void {
  netChannels.tellListen("listens", server, { options: plan.options });
  switch (plan.kind) {
    case "fd":
      return listenDescriptor(server, plan);
    case "path":
      return listenPath(server, plan);
    case "port":
      if (plan.host === null) listenAnywhere(server, plan);
      else listenHost(server, plan, plan.host);
  }
}

function failLater(server: ListeningServer, error: Error): void {
  netChannels.tellListen("failed", server, { error });
  nextTick(() => server.emit("error", error));
}

/** Listens on a socket of the program, which may be bound or listening already. */
function listenDescriptor(server: ListeningServer, { fd, backlog }: DescriptorPlan): void {
  const found = adoptDescriptor.listener(nodeNetwork.get(), fd, backlog);
  if (typeof found !== "number") start(server, found);
  else failLater(server, nodeError.explained(found, "listen", {}));
}

type Found = Listener | number;

/**
 * Calls `done` at once. Where the backend listens later, `done` is called then, unless the server
 * was closed meanwhile.
 */
function listen(
  server: ListeningServer,
  address: SocketAddress | UnixAddress,
  options: ListenOptions,
  done: (found: Found) => void,
): void {
  const found = tryListen(address, options);
  if (!(found instanceof Promise)) return done(found);
  const pending = server._lookup = {};
  found.then((found) => {
    // Closed, and perhaps listening again, meanwhile.
    if (server._lookup !== pending) {
      if (typeof found !== "number") void found.close();
      return;
    }
    server._lookup = null;
    done(found);
  });
}

/** Listens on both families where the machine has IPv6, else on IPv4. */
function listenAnywhere(server: ListeningServer, plan: PortPlan): void {
  const { port } = plan;
  listen(server, { hostname: "::", port }, plan, (dual) => {
    // A port that is in use on IPv6 alone is in use: on IPv4, the server would miss connections.
    const isOver = typeof dual !== "number" || dual === ERRNO.EADDRINUSE;
    if (isOver) finishPort(server, dual, "::", port);
    else listenAt(server, plan, "0.0.0.0");
  });
}

function listenHost(server: ListeningServer, plan: PortPlan, host: string): void {
  if (runtimeNet.isIP(host) !== 0) {
    listenAt(server, plan, host);
    return;
  }
  const lookup = server._lookup = {};
  dns.lookup(host, (error, address) => {
    // Closed, and perhaps listening again, meanwhile.
    if (server._lookup !== lookup) return;
    server._lookup = null;
    if (error !== null) server.emit("error", nodeError.lookup(error));
    else listenAt(server, plan, address);
  });
}

function listenAt(server: ListeningServer, plan: PortPlan, hostname: string): void {
  const { port } = plan;
  listen(server, { hostname, port }, plan, (found) => finishPort(server, found, hostname, port));
}

function finishPort(server: ListeningServer, found: Found, hostname: string, port: number): void {
  if (typeof found === "number") {
    failLater(server, nodeError.explained(found, "listen", { address: hostname, port }));
    return;
  }
  server._connectionKey = `${runtimeNet.isIP(hostname)}:${hostname}:${port}`;
  start(server, found);
}

/**
 * The permissions with which the socket file is made. A later chmod by name could change another
 * file that has replaced the socket's, and Deno would ask for `--allow-write`.
 */
function pathMode({ path, readableAll, writableAll }: PathPlan): number | undefined {
  if (path.startsWith("\0") || !(readableAll || writableAll)) return undefined;
  return 0o700 | (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
}

function listenPath(server: ListeningServer, plan: PathPlan): void {
  const { path, backlog } = plan;
  let address: SocketAddress | UnixAddress;
  try {
    address = parseAddress({ path }, 0);
  } catch {
    failLater(server, nodeError.explained(ERRNO.EINVAL, "listen", { address: path, port: -1 }));
    return;
  }
  const mode = pathMode(plan);
  listen(server, address, { backlog, ipv6Only: false, reusePort: false, mode }, (found) => {
    if (typeof found === "number") {
      // Like libuv, which reports a missing folder as Windows does.
      const errno = found === ERRNO.ENOENT ? ERRNO.EACCES : found;
      failLater(server, nodeError.explained(errno, "listen", { address: path, port: -1 }));
      return;
    }
    server._pipeName = path;
    server._connectionKey = `-1:${path}:-1`;
    start(server, found);
  });
}

function start(server: ListeningServer, listener: Listener): void {
  const listening = new Listening(listener, (handle) => serverAccept(server, handle));
  server._handle = listening;
  if (server._unref) listening.unref();
  netChannels.tellListening(server);
  nextTick(() => {
    if (server._handle === listening) server.emit("listening");
  });
}
