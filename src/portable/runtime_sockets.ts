/**
 * The runtime's own `node:net`, and what its errors mean.
 *
 * The module is asked for by a call, not by an import, for the reasons of
 * `src/adapters/runtime_net.ts`: `uringnet/register` may have put `uringnet/net` in its place, and
 * the portable backend would then stand on itself.
 *
 * @module
 */
import type * as net from "node:net";
import process from "node:process";
import { ERRNO } from "../base/errno.ts";

type Net = typeof net;
export type RuntimeSocket = net.Socket;
export type RuntimeServer = net.Server;

const found = (process as unknown as { getBuiltinModule(name: string): Net })
  .getBuiltinModule("node:net");

export const runtimeSockets: Pick<Net, "createServer" | "connect"> = {
  createServer: found.createServer,
  connect: found.connect,
};

/**
 * Options that the runtimes may look for, as fields of their own: one that is missing would be read
 * from `Object.prototype`, which a program may have polluted.
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

/** These fields and no others: neither a prototype's, nor those that decide what is listened on. */
export function shielded<T extends object>(fields: T): T {
  return Object.assign(Object.create(null), SHIELD, fields);
}

/** Codes of the runtimes that are no errno, and the errno that comes nearest. */
const OTHER_CODES: Readonly<Record<string, string>> = {
  ERR_STREAM_DESTROYED: "EPIPE",
  ERR_STREAM_WRITE_AFTER_END: "EPIPE",
  ERR_SOCKET_CLOSED: "EPIPE",
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: "ECONNRESET",
  ABORT_ERR: "ECANCELED",
};

/** What a permission system throws: Deno's `NotCapable`, and `PermissionDenied` before. */
const DENIALS = ["NotCapable", "PermissionDenied"];

/** The positive errno of an error of the runtime; its number differs between systems. */
export function errnoOf(error: unknown): number {
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (DENIALS.includes(String(name))) return ERRNO.EACCES;
  const known = ERRNO[String(code)] ?? ERRNO[OTHER_CODES[String(code)] ?? ""];
  return known ?? ERRNO.EIO;
}
