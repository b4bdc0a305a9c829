/**
 * Decides about an accepted connection: it becomes a socket, or it is closed and 'drop' is emitted.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import { netChannels } from "./net_channels.ts";
import { Socket } from "./socket.ts";
import type { SocketHandle } from "./socket_handle.ts";
import { type SocketServer, STATE } from "./socket_stream.ts";
import type { Blocker } from "./validate.ts";

/** The members of a server that an accepted connection depends on. */
export interface AcceptingServer extends EventEmitter, SocketServer {
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  noDelay: boolean;
  keepAlive: boolean;
  keepAliveInitialDelay: number;
  highWaterMark: number | undefined;
  blockList: Blocker | undefined;
  maxConnections: number | undefined;
}

/** The argument of 'drop', which describes the refused connection. */
interface Dropped {
  localAddress?: string;
  localPort?: number;
  localFamily?: string;
  remoteAddress?: string;
  remotePort?: number;
  remoteFamily?: string;
}

export function serverAccept(server: AcceptingServer, handle: SocketHandle): void {
  const { maxConnections, blockList } = server;
  const full = maxConnections !== undefined && maxConnections !== null &&
    server._connections >= maxConnections;
  if (full || (blockList !== undefined && isBlocked(blockList, handle))) {
    drop(server, handle);
    return;
  }
  const { highWaterMark } = server;
  const socket = new Socket({
    handle,
    allowHalfOpen: server.allowHalfOpen,
    pauseOnCreate: server.pauseOnConnect,
    ...highWaterMark === undefined ? {} : { highWaterMark },
  });
  const state = socket[STATE];
  if (server.noDelay) {
    state.noDelay = true;
    handle.setNoDelay(true);
  }
  if (server.keepAlive) {
    state.keepAlive = true;
    state.keepAliveSeconds = server.keepAliveInitialDelay;
    handle.setKeepAlive(true, server.keepAliveInitialDelay);
  }
  server._connections++;
  socket.server = socket._server = server;
  server.emit("connection", socket);
  netChannels.tellSocket("accepted", socket);
}

function isBlocked(list: Blocker, handle: SocketHandle): boolean {
  const name = handle.name("remote");
  return name !== null && list.check(name.address, name.family === "IPv6" ? "ipv6" : "ipv4");
}

function drop(server: AcceptingServer, handle: SocketHandle): void {
  const data: Dropped = {};
  const local = handle.name("local");
  const remote = handle.name("remote");
  if (local !== null) {
    data.localAddress = local.address;
    data.localPort = local.port;
    data.localFamily = local.family;
  }
  if (remote !== null) {
    data.remoteAddress = remote.address;
    data.remotePort = remote.port;
    data.remoteFamily = remote.family;
  }
  handle.close();
  server.emit("drop", data);
}
