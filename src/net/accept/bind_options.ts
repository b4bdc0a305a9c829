/**
 * The options of `bind`, checked.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { formatAddress, isFile, type SocketAddress, type UnixAddress } from "../address/address.ts";

export interface BindOptions {
  /** Connections that may wait to be accepted. @default {1024} */
  backlog?: number;
  /** Several listeners, in any process of this user, share the port. @default {false} */
  reusePort?: boolean;
  /** An IPv6 listener takes no IPv4 connections. @default {false} */
  ipv6Only?: boolean;
  /**
   * Replace a socket file that was left behind, by a killed process for example. A file to which
   * any socket is bound stays, and so does a file of another kind: "BindFailed" with EADDRINUSE,
   * half a second later where a socket is bound, which may be that of a process that ends just now.
   * No effect on TCP addresses and abstract names. @default {false}
   */
  unlinkStale?: boolean;
  /**
   * Permissions of the socket file, 0 to 0o777, exactly and before any peer can connect, whatever
   * the umask is. A dial needs write permission. Unless given, 0o777 less the umask. Refused for
   * addresses that are no path.
   */
  mode?: number;
}

/** The options after the checks, without undefined fields. */
export interface CheckedBindOptions {
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
  readonly unlinkStale: boolean;
  /** Null to follow the umask. */
  readonly mode: number | null;
}

const KNOWN = ["backlog", "reusePort", "ipv6Only", "unlinkStale", "mode"];
const MODE_MAX = 0o777;

/** Checks bind options. Throws TypeError or RangeError. */
export function checkBindOptions(options: unknown): CheckedBindOptions {
  // Only undefined gets the default: null is a wrong value.
  const {
    backlog = 1024,
    reusePort = false,
    ipv6Only = false,
    unlinkStale = false,
    mode,
  } = check.options("options", options, KNOWN);
  return {
    backlog: check.integer("options.backlog", backlog, 0, 0x7fff_ffff),
    reusePort: check.boolean("options.reusePort", reusePort),
    ipv6Only: check.boolean("options.ipv6Only", ipv6Only),
    unlinkStale: check.boolean("options.unlinkStale", unlinkStale),
    mode: mode === undefined ? null : check.integer("options.mode", mode, 0, MODE_MAX),
  };
}

/** Refuses permissions for an address without a file: ignored permissions would protect nothing. */
export function checkMode(
  { mode }: CheckedBindOptions,
  address: SocketAddress | UnixAddress,
): void {
  if (mode === null || isFile(address)) return;
  throw new TypeError(
    `Cannot use "options.mode": wanted the path of a file, given ${formatAddress(address)}, ` +
      "which has no permissions",
  );
}
