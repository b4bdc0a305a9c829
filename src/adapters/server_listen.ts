/**
 * How a server begins to listen: on a port, a path, or a descriptor, at once, so that its address
 * is known when `listen` returns. Only a name has to be looked up first.
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
import { Listening, tryListen } from "./listening.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { runtimeNet } from "./runtime_net.ts";
import type { Server } from "./server.ts";
import { serverAccept } from "./server_accept.ts";

type PortPlan = Extract<ListenPlan, { kind: "port" }>;
type DescriptorPlan = Extract<ListenPlan, { kind: "fd" }>;
type PathPlan = Extract<ListenPlan, { kind: "path" }>;

/** Failures are emitted later, as 'error'. */
export function serverListen(server: Server, plan: ListenPlan): void {
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

function failLater(server: Server, error: Error): void {
  nextTick(() => server.emit("error", error));
}

/** A socket of the program, which may be bound or listening already. */
function listenDescriptor(server: Server, { fd, backlog }: DescriptorPlan): void {
  const found = adoptDescriptor.listener(nodeNetwork.get(), fd, backlog);
  if (typeof found !== "number") start(server, found);
  else failLater(server, nodeError.explained(found, "listen", {}));
}

/** Both families where the machine has IPv6, else IPv4. */
function listenAnywhere(server: Server, plan: PortPlan): void {
  const { port } = plan;
  const dual = tryListen({ hostname: "::", port }, plan);
  const found = typeof dual !== "number" ? dual : tryListen({ hostname: "0.0.0.0", port }, plan);
  if (typeof found === "number") {
    failLater(server, nodeError.explained(found, "listen", { address: "::", port }));
    return;
  }
  const everywhere = typeof dual === "number" ? "4:0.0.0.0" : "6:::";
  server._connectionKey = `${everywhere}:${port}`;
  start(server, found);
}

function listenHost(server: Server, plan: PortPlan, host: string): void {
  if (runtimeNet.isIP(host) !== 0) {
    listenAt(server, plan, host);
    return;
  }
  const lookup = server._lookup = {};
  dns.lookup(host, (error, address) => {
    // Closed, and perhaps listening again, meanwhile.
    if (server._lookup !== lookup) return;
    server._lookup = null;
    if (error !== null) server.emit("error", error);
    else listenAt(server, plan, address);
  });
}

function listenAt(server: Server, plan: PortPlan, hostname: string): void {
  const { port } = plan;
  const found = tryListen({ hostname, port }, plan);
  if (typeof found === "number") {
    failLater(server, nodeError.explained(found, "listen", { address: hostname, port }));
    return;
  }
  server._connectionKey = `${runtimeNet.isIP(hostname)}:${hostname}:${port}`;
  start(server, found);
}

/**
 * Permissions that the socket file is made with. Changed afterwards, by its name, they could become
 * those of a file that has come in its place, and Deno would ask for `--allow-write`.
 */
function pathMode({ path, readableAll, writableAll }: PathPlan): number | undefined {
  if (path.startsWith("\0") || !(readableAll || writableAll)) return undefined;
  return 0o700 | (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
}

function listenPath(server: Server, plan: PathPlan): void {
  const { path, backlog } = plan;
  let address: SocketAddress | UnixAddress;
  try {
    address = parseAddress({ path }, 0);
  } catch {
    failLater(server, nodeError.explained(ERRNO.EINVAL, "listen", { address: path }));
    return;
  }
  const mode = pathMode(plan);
  const found = tryListen(address, { backlog, ipv6Only: false, reusePort: false, mode });
  if (typeof found === "number") {
    failLater(server, nodeError.explained(found, "listen", { address: path }));
    return;
  }
  server._pipeName = path;
  server._connectionKey = `-1:${path}:-1`;
  start(server, found);
}

function start(server: Server, listener: Listener): void {
  const listening = new Listening(listener, (handle) => serverAccept(server, handle));
  server._handle = listening;
  if (server._unref) listening.unref();
  nextTick(() => {
    if (server._handle === listening) server.emit("listening");
  });
}
