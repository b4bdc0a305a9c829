/**
 * The options of `bind`, checked.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { formatAddress, isFile, type SocketAddress, type UnixAddress } from "../address/address.ts";

/**
 * The options of {@link Network.bind}. Every field is optional.
 *
 * @example
 * ```ts
 * import { type BindOptions, Network } from "@uringnet/uringnet";
 *
 * const options: BindOptions = { backlog: 16, reusePort: true };
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0", options);
 * console.log(listener.closed); // false
 * ```
 */
export interface BindOptions {
  /**
   * Connections that may wait to be accepted, 0 to 2,147,483,647. The `somaxconn` of the kernel is
   * the ceiling.
   * @default {1024}
   */
  backlog?: number;
  /**
   * Lets several listeners, in any process of this user, share the port.
   * @default {false}
   */
  reusePort?: boolean;
  /**
   * Keeps IPv4 connections away from an IPv6 listener.
   * @default {false}
   */
  ipv6Only?: boolean;
  /**
   * Replaces a stale socket file: one that a killed process left behind, for example. A file of
   * another kind stays, and so does a file to which a socket is bound: `bind` then rejects with
   * `"BindFailed"` and EADDRINUSE. Where a socket is bound, `bind` first waits up to half a second,
   * because the process of that socket may be about to end. No effect on TCP addresses and abstract
   * names.
   * @default {false}
   */
  unlinkStale?: boolean;
  /**
   * The permissions of the socket file, 0 to 0o777. They hold exactly, whatever the umask is, and
   * before any peer can connect. A dial needs write permission. Defaults to 0o777 less the umask.
   * Refused for an address that is no path.
   * @default {undefined}
   */
  mode?: number;
}

/** The checked form. */
export interface CheckedBindOptions {
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
  readonly unlinkStale: boolean;
  /** Null for what the umask says. */
  readonly mode: number | null;
}

const KNOWN = ["backlog", "reusePort", "ipv6Only", "unlinkStale", "mode"];
const MODE_MAX = 0o777;

/** Checks bind options. Throws TypeError or RangeError. */
export function checkBindOptions(options: unknown): CheckedBindOptions {
  // The defaults stand for undefined only: null is a wrong value.
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

/** Refuses permissions for an address without a file: ignored ones would protect nothing. */
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
