/**
 * The runtime's own `node:net`, loaded with the first socket, and what its errors mean.
 *
 * @module
 */
import type * as net from "node:net";
import { ERRNO } from "../base/errno.ts";
import { type RuntimeNet, runtimeNet } from "../base/runtime_net.ts";

export type RuntimeSocket = net.Socket;
export type RuntimeServer = net.Server;

export const runtimeSockets: Pick<RuntimeNet, "createServer" | "connect" | "listen"> = {
  get createServer() {
    return runtimeNet().createServer;
  },
  get connect() {
    return runtimeNet().connect;
  },
  get listen() {
    return runtimeNet().listen;
  },
};

/**
 * The options that the runtimes may read, as own fields, because a missing field would be read from
 * `Object.prototype`, which a program may have polluted.
 */
const SHIELD = Object.freeze({
  signal: undefined,
  lookup: undefined,
  hints: undefined,
  onread: undefined,
  localAddress: undefined,
  localPort: undefined,
  noDelay: undefined,
  keepAlive: undefined,
  keepAliveInitialDelay: undefined,
  timeout: undefined,
  autoSelectFamily: false,
  blockList: undefined,
  tls: undefined,
  readableAll: undefined,
  writableAll: undefined,
  reusePort: undefined,
  ipv6Only: undefined,
  backlog: undefined,
});

/**
 * An object with exactly these fields: none from a prototype, and no other that would select what
 * to listen on.
 */
export function shielded<T extends object>(fields: T): T {
  return Object.assign(Object.create(null), SHIELD, fields);
}

/** Codes of the runtimes that are not an errno, and the nearest errno. */
const OTHER_CODES: Readonly<Record<string, string>> = {
  ERR_STREAM_DESTROYED: "EPIPE",
  ERR_STREAM_WRITE_AFTER_END: "EPIPE",
  ERR_SOCKET_CLOSED: "EPIPE",
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: "ECONNRESET",
  ABORT_ERR: "ECANCELED",
};

/** Errors of a permission system: Deno's `NotCapable`, and `PermissionDenied` before. */
const DENIALS = ["NotCapable", "PermissionDenied"];

/**
 * The positive Linux errno of an error of the runtime, by name, because numbers differ between
 * systems.
 */
export function errnoOf(error: unknown): number {
  const { code, name, syscall } = error as { code?: unknown; name?: unknown; syscall?: unknown };
  if (DENIALS.includes(String(name))) return ERRNO.EACCES;
  // Deno's word for a valid address that does not belong to this machine.
  if (syscall === "bind" && code === "EINVAL") return ERRNO.EADDRNOTAVAIL;
  const known = ERRNO[String(code)] ?? ERRNO[OTHER_CODES[String(code)] ?? ""];
  return known ?? ERRNO.EIO;
}
