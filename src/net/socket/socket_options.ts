/**
 * The configured options of a socket, in the order in which they are set.
 *
 * The options are set once, when the socket is made. A failure is reported, because the connection
 * would differ from its configuration. Accepted connections inherit the options of their listener
 * (Linux clones the listening socket), which saves system calls for each connection.
 *
 * @module
 */
import { intrinsics } from "../../base/intrinsics.ts";
import { type RingPort, SOCKET_OPTION } from "../../ring/port.ts";
import { AF_UNIX } from "../address/sockaddr.ts";
import type { KeepAlive, ResolvedConfig } from "../config/config.ts";

export interface SocketOption {
  /** The name in the configuration. */
  readonly name: "tcpNoDelay" | "soLinger" | "keepAlive";
  readonly option: number;
  readonly value: number;
}

function keepAlive(given: KeepAlive | null): SocketOption[] {
  const name = "keepAlive";
  const on = given === null ? 0 : 1;
  const options: SocketOption[] = [{ name, option: SOCKET_OPTION.keepAlive, value: on }];
  const times = [
    [SOCKET_OPTION.keepIdle, "idleSeconds"],
    [SOCKET_OPTION.keepInterval, "intervalSeconds"],
    [SOCKET_OPTION.keepCount, "count"],
  ] as const;
  for (const [option, field] of times) {
    const value = given === null ? undefined : intrinsics.optionOf(given, field);
    if (value !== undefined) options.push({ name, option, value: value as number });
  }
  return options;
}

function configured(config: ResolvedConfig, family: number): SocketOption[] {
  const options: SocketOption[] = [];
  if (config.soLinger !== null) {
    const option = SOCKET_OPTION.lingerSeconds;
    options.push({ name: "soLinger", option, value: config.soLinger });
  }
  if (family === AF_UNIX) return options;
  if (config.tcpNoDelay !== null) {
    const option = SOCKET_OPTION.noDelay;
    options.push({ name: "tcpNoDelay", option, value: config.tcpNoDelay ? 1 : 0 });
  }
  if (config.keepAlive !== null) options.push(...keepAlive(config.keepAlive));
  return options;
}

/** Sets the configured options of a new socket. Returns 0, or the first -errno. */
function apply(port: RingPort, fd: number, family: number, config: ResolvedConfig): number {
  for (const { option, value } of configured(config, family)) {
    const result = port.setOption(fd, option, value);
    if (result < 0) return result;
  }
  return 0;
}

export const socketOptions = { apply, keepAlive };
