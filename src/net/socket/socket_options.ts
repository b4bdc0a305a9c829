/**
 * The configured options of a socket, in the order in which they are set.
 *
 * The options are set once, when the socket is made. A failure is reported, because the connection
 * would differ from its configuration. Accepted connections inherit the options of their listener
 * (Linux clones the listening socket), which saves system calls for each connection.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { intrinsics } from "../../base/intrinsics.ts";
import { type RingPort, SOCKET_OPTION } from "../../ring/port.ts";
import { AF_INET, AF_INET6 } from "../address/sockaddr.ts";
import { checkKeepAlive, type KeepAlive, type ResolvedConfig } from "../config/config.ts";
import type { SocketOptions } from "../config/socket_options.ts";

/**
 * One option in the kernel's form.
 * @internal
 */
export interface SocketOption {
  /** The name in the configuration or in the options. */
  readonly name: "tcpNoDelay" | "soLinger" | keyof SocketOptions;
  readonly option: number;
  readonly value: number;
}

/** Whether TCP options apply. Adopted descriptors may have other families. */
function isTcp(family: number): boolean {
  return family === AF_INET || family === AF_INET6;
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
  if (!isTcp(family)) return options;
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

/** The options that unix sockets have as well. */
const OF_ALL_FAMILIES: readonly number[] = [
  SOCKET_OPTION.lingerSeconds,
  SOCKET_OPTION.sendBuffer,
  SOCKET_OPTION.receiveBuffer,
];

function suits(option: number, family: number): boolean {
  return isTcp(family) || OF_ALL_FAMILIES.includes(option);
}

/** The names of {@link SocketOptions}. */
const NAMES: readonly string[] = [
  "noDelay",
  "keepAlive",
  "sendBufferBytes",
  "recvBufferBytes",
  "userTimeoutMs",
  "trafficClass",
];

const BUFFER_BYTES_MAX = 0x3fff_ffff;
const USER_TIMEOUT_MS_MAX = 0x7fff_ffff;
const TRAFFIC_CLASS_MAX = 255;

/**
 * Checks the fields of socket options that were read by `check.options`, all before one is set.
 * Throws TypeError or RangeError.
 */
function read(given: Readonly<Record<string, unknown>>): SocketOption[] {
  const options: SocketOption[] = [];
  const { noDelay, keepAlive: probing } = given;
  const integer = (name: keyof SocketOptions, option: number, min: number, max: number) => {
    if (given[name] === undefined) return;
    options.push({ name, option, value: check.integer(`options.${name}`, given[name], min, max) });
  };
  if (noDelay !== undefined) {
    const value = check.boolean("options.noDelay", noDelay) ? 1 : 0;
    options.push({ name: "noDelay", option: SOCKET_OPTION.noDelay, value });
  }
  if (probing === null) check.fail("options.keepAlive", "a boolean or an object", probing);
  if (probing !== undefined) {
    options.push(...keepAlive(checkKeepAlive("options.keepAlive", probing)));
  }
  integer("sendBufferBytes", SOCKET_OPTION.sendBuffer, 1, BUFFER_BYTES_MAX);
  integer("recvBufferBytes", SOCKET_OPTION.receiveBuffer, 1, BUFFER_BYTES_MAX);
  integer("userTimeoutMs", SOCKET_OPTION.userTimeoutMs, 0, USER_TIMEOUT_MS_MAX);
  integer("trafficClass", SOCKET_OPTION.trafficClass, 0, TRAFFIC_CLASS_MAX);
  return options;
}

/** Sets `options` on a new socket. Returns 0, or the first -errno. */
function applyAll(
  port: RingPort,
  fd: number,
  family: number,
  options: readonly SocketOption[],
): number {
  for (const { option, value } of options) {
    const result = suits(option, family) ? port.setOption(fd, option, value) : 0;
    if (result < 0) return result;
  }
  return 0;
}

/**
 * The functions of this file.
 * @internal
 */
export const socketOptions = { apply, applyAll, keepAlive, suits, read, names: NAMES };
