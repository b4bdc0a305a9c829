/**
 * The options of `bind`, checked.
 *
 * @module
 */
import { check, shown } from "../../base/check.ts";
import {
  formatAddress,
  isFile,
  isUnix,
  type SocketAddress,
  type UnixAddress,
} from "../address/address.ts";

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
   * Lets several listeners, in any process of this user, share the port. No effect on unix sockets.
   * @default {false}
   */
  reusePort?: boolean;
  /**
   * Keeps IPv4 connections away from an IPv6 listener. No effect on other addresses.
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
   * Refused for an address that is not the path of a file.
   * @default {undefined}
   */
  mode?: number;
  /**
   * TCP_DEFER_ACCEPT, 0 to 32,767 seconds: a connection is accepted once its first bytes have
   * arrived, or when about this time has passed. The kernel rounds up to its own steps (1, 3, 7, 15
   * ...). Refused for unix sockets.
   * @default {undefined}
   */
  deferAcceptSeconds?: number;
  /**
   * SO_BINDTODEVICE: only connections that come through the interface of this name, such as "lo".
   * "BindFailed" with ENODEV when there is no such interface. Refused for unix sockets.
   * @default {undefined}
   */
  interfaceName?: string;
}

/** The options after the checks, without undefined fields. */
export interface CheckedBindOptions {
  readonly backlog: number;
  readonly reusePort: boolean;
  readonly ipv6Only: boolean;
  readonly unlinkStale: boolean;
  /** Null to follow the umask. */
  readonly mode: number | null;
  /** 0 for off. */
  readonly deferAcceptSeconds: number;
  /** Null for any. */
  readonly interfaceName: string | null;
}

const KNOWN = ["backlog", "reusePort", "ipv6Only", "unlinkStale", "mode"]
  .concat("deferAcceptSeconds", "interfaceName");
const DEFER_SECONDS_MAX = 32_767;
const MODE_MAX = 0o777;

/** Checks bind options. Throws TypeError or RangeError. */
export function checkBindOptions(options: unknown): CheckedBindOptions {
  // A default replaces only undefined; null is a wrong value.
  const {
    backlog = 1024,
    reusePort = false,
    ipv6Only = false,
    unlinkStale = false,
    mode,
    deferAcceptSeconds = 0,
    interfaceName,
  } = check.options("options", options, KNOWN);
  return {
    backlog: check.integer("options.backlog", backlog, 0, 0x7fff_ffff),
    reusePort: check.boolean("options.reusePort", reusePort),
    ipv6Only: check.boolean("options.ipv6Only", ipv6Only),
    unlinkStale: check.boolean("options.unlinkStale", unlinkStale),
    mode: mode === undefined ? null : check.integer("options.mode", mode, 0, MODE_MAX),
    deferAcceptSeconds: check.integer(
      "options.deferAcceptSeconds",
      deferAcceptSeconds,
      0,
      DEFER_SECONDS_MAX,
    ),
    interfaceName: interfaceName === undefined ? null : checkInterface(interfaceName),
  };
}

/** IFNAMSIZ of linux/if.h, less the NUL. The kernel's names have no space, "/" or ":". */
function checkInterface(given: unknown): string {
  const name = check.text("options.interfaceName", given);
  if (/^[^/:\0\t-\r ]{1,15}$/.test(name)) return name;
  throw new RangeError(
    'Cannot use "options.interfaceName": wanted the name of an interface, 1 to 15 characters, ' +
      `given ${shown(name)}`,
  );
}

/**
 * Throws TypeError for options that have no effect on this address, because they would protect
 * nothing.
 */
export function checkBindAddress(
  { mode, deferAcceptSeconds, interfaceName }: CheckedBindOptions,
  address: SocketAddress | UnixAddress,
): void {
  const refuse = (name: string, wanted: string): never => {
    const given = formatAddress(address);
    throw new TypeError(`Cannot use "options.${name}": wanted ${wanted}, given ${given}`);
  };
  if (mode !== null && !isFile(address)) {
    refuse("mode", "the path of a file, which has permissions");
  }
  if (!isUnix(address)) return;
  if (deferAcceptSeconds !== 0) refuse("deferAcceptSeconds", "an address of TCP");
  if (interfaceName !== null) refuse("interfaceName", "an address of TCP");
}
