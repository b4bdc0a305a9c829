/**
 * One end of a connection as `node:net` names it. `node:net` has no name for a path.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";

export interface SocketName {
  address: string;
  family: "IPv4" | "IPv6";
  port: number;
}

export function socketName(end: SocketAddress | UnixAddress | null): SocketName | null {
  if (end === null || "path" in end) return null;
  const { hostname, port } = end;
  return { address: hostname, family: hostname.includes(":") ? "IPv6" : "IPv4", port };
}
