/**
 * Addresses as Deno shows them.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../../net/address/address.ts";

/** One end of a TCP connection, as `Deno.NetAddr`. */
export interface NetAddr {
  /** Always "tcp". */
  transport: "tcp";
  /** The numeric IP address. */
  hostname: string;
  /** 0 to 65,535. */
  port: number;
}

/** One end of a unix connection, as `Deno.UnixAddr`. */
export interface UnixAddr {
  /** Always "unix". */
  transport: "unix";
  /** The path of the socket file. */
  path: string;
}

/** One end of a connection of either kind. */
export type Addr = NetAddr | UnixAddr;

/** The path of a client that bound none. Deno shows null, although its own type says `string`. */
const UNNAMED = null as unknown as string;

/** An address of the library in Deno's form. */
export function denoAddr(address: SocketAddress | UnixAddress): Addr {
  if ("path" in address) {
    return { transport: "unix", path: address.path === "" ? UNNAMED : address.path };
  }
  return { transport: "tcp", hostname: address.hostname, port: address.port };
}
