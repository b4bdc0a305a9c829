/**
 * Addresses as Deno shows them.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../../net/address/address.ts";

/** One end of a TCP connection, as `Deno.NetAddr`. */
export interface NetAddr {
  transport: "tcp";
  hostname: string;
  port: number;
}

/** One end of a unix connection, as `Deno.UnixAddr`. */
export interface UnixAddr {
  transport: "unix";
  path: string;
}

export type Addr = NetAddr | UnixAddr;

/** A client that bound no path has none: Deno shows null, which its own type does not have. */
const UNNAMED = null as unknown as string;

/** An address of the library in Deno's form. */
export function denoAddr(address: SocketAddress | UnixAddress): Addr {
  if ("path" in address) {
    return { transport: "unix", path: address.path === "" ? UNNAMED : address.path };
  }
  return { transport: "tcp", hostname: address.hostname, port: address.port };
}
