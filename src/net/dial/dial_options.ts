/**
 * The options of `dial`, checked.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { LIMITS } from "../../base/limits.ts";
import {
  type Address,
  formatAddress,
  isFile,
  isUnix,
  parseAddressField,
  type SocketAddress,
  type UnixAddress,
} from "../address/address.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { SocketOptions } from "../config/socket_options.ts";
import { type SocketOption, socketOptions } from "../socket/socket_options.ts";

/** The options of {@link Network.dial}. Options of the socket are set before it connects. */
export interface DialOptions extends CallOptions, SocketOptions {
  /**
   * The local address of the connection. Port 0 takes a free port. Remote addresses of another
   * family are not tried. For unix sockets, an abstract name.
   * @default {undefined}
   */
  localAddress?: Address;
  /**
   * Tries only IPv4 or only IPv6 addresses.
   * @default {undefined}
   */
  family?: 4 | 6;
  /**
   * The pause in milliseconds before the next address of a name is tried while earlier attempts are
   * pending (RFC 8305). 0 tries all at once.
   * @default {250}
   */
  attemptDelayMs?: number;
}

/**
 * The options after the checks.
 *
 * @internal
 */
export interface CheckedDialOptions {
  /** The options of the call itself. */
  readonly call: CallOptions | undefined;
  readonly socket: readonly SocketOption[];
  readonly local: SocketAddress | UnixAddress | null;
  readonly family: 4 | 6 | null;
  readonly attemptDelayMs: number;
}

const NONE: CheckedDialOptions = Object.freeze({
  call: undefined,
  socket: Object.freeze([]),
  local: null,
  family: null,
  attemptDelayMs: LIMITS.attemptDelayMs,
});

const CALL_NAMES = ["signal", "timeoutMs"] as const;
const KNOWN = [...CALL_NAMES, ...socketOptions.names, "localAddress", "family", "attemptDelayMs"];

/**
 * Checks the options of a dial to `remote`. Throws TypeError or RangeError.
 *
 * @internal
 */
export function checkDialOptions(
  options: unknown,
  remote: SocketAddress | UnixAddress,
): CheckedDialOptions {
  if (options === undefined) return NONE;
  // A signal has no own fields, and would pass as empty options.
  if (options instanceof AbortSignal) check.fail("options", "an object with a signal", options);
  const given = check.options("options", options, KNOWN);
  const { localAddress, family, attemptDelayMs = LIMITS.attemptDelayMs } = given;
  const call: Record<string, unknown> = {};
  for (const name of CALL_NAMES) if (given[name] !== undefined) call[name] = given[name];
  return {
    call: call as CallOptions,
    socket: socketOptions.read(given),
    local: localAddress === undefined ? null : checkLocal(localAddress, remote),
    family: family === undefined ? null : checkFamily(family, remote),
    attemptDelayMs: check.integer(
      "options.attemptDelayMs",
      attemptDelayMs,
      0,
      LIMITS.timeoutMsMax,
    ),
  };
}

function checkLocal(
  given: unknown,
  remote: SocketAddress | UnixAddress,
): SocketAddress | UnixAddress {
  const local = parseAddressField("options.localAddress", given);
  const wanted = isUnix(remote)
    ? 'an abstract name such as "unix:@name" for a unix socket'
    : "an address of TCP for a TCP address";
  // A bound path would leave its file behind.
  if (isUnix(local) !== isUnix(remote) || isFile(local)) {
    check.fail("options.localAddress", wanted, formatAddress(local));
  }
  return local;
}

function checkFamily(family: unknown, remote: SocketAddress | UnixAddress): 4 | 6 {
  if (isUnix(remote)) check.fail("options.family", "none for a unix socket", family);
  if (family === 4 || family === 6) return family;
  if (typeof family !== "number") check.fail("options.family", "4 or 6", family);
  throw new RangeError(`Cannot use "options.family": wanted 4 or 6, given ${family}`);
}
