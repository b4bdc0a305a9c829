/**
 * Translates between the addresses of `node:net` and those that the core reads from blocks.
 *
 * A socket of IPv6 that talks IPv4 has mapped addresses (`::ffff:127.0.0.1`) in the kernel. The
 * runtimes report only the IPv4 address, so the family of the socket decides the written form.
 *
 * @module
 */
import type * as fs from "node:fs";
import type * as os from "node:os";
import { builtinModule } from "../base/builtin_module.ts";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import { AF_INET6, AF_UNIX, writeSockaddr } from "../net/address/sockaddr.ts";

/** A block without an address: a unix socket that is not bound. */
const UNNAMED_BYTES = 2;

/** Writes an address as the kernel does; returns its length. */
function write(block: Uint8Array, address: SocketAddress | UnixAddress): number {
  if ("path" in address && address.path === "") {
    block[0] = AF_UNIX;
    block[1] = 0;
    return UNNAMED_BYTES;
  }
  return writeSockaddr(block, address).length;
}

/**
 * The number of an interface, from an IPv6 address with that scope, or from the interface's file in
 * Linux; -1 when unknown.
 */
function interfaceNumber(name: string): number {
  try {
    const { networkInterfaces } = builtinModule<typeof os>("node:os");
    for (const entry of networkInterfaces()[name] ?? []) {
      if (entry.family === "IPv6" && entry.scopeid !== undefined && entry.scopeid > 0) {
        return entry.scopeid;
      }
    }
    // The loopback interface has no address with a scope.
    if (!/^[\w.-]+$/.test(name)) return -1;
    const { readFileSync } = builtinModule<typeof fs>("node:fs");
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, "utf8"));
  } catch {
    // Another system, no such interface, or Deno without --allow-sys or --allow-read.
    return -1;
  }
}

/** The address in the core's form: mapped for an IPv6 socket, with the scope as a number. */
function numeric(
  hostname: string,
  port: number,
  socketFamily: number,
): SocketAddress {
  if (socketFamily === AF_INET6 && !hostname.includes(":")) {
    return { hostname: `::ffff:${hostname}`, port };
  }
  const at = hostname.indexOf("%");
  if (at < 0) return { hostname, port };
  const scope = hostname.slice(at + 1);
  const number = /^\d+$/.test(scope) ? Number(scope) : interfaceNumber(scope);
  return { hostname: hostname.slice(0, at) + (number > 0 ? `%${number}` : ""), port };
}

export const socketAddresses = { write, interfaceNumber, numeric };
