/**
 * Errors in the shape that programs written for `node:net` expect: codes, names and properties as
 * Node's documentation has them.
 *
 *   argument errors   code "ERR_...", TypeError or RangeError
 *   system errors     code "ECONNREFUSED", errno -111, syscall "connect", address, port
 *
 * @module
 */
import { getSystemErrorMap, inspect } from "node:util";
import { ERRNO, errnoName } from "../base/errno.ts";
import { NetworkError } from "../base/network_error.ts";

/** The properties that all of these errors share. */
export interface NodeError extends Error {
  code: string;
  errno?: number;
  syscall?: string;
  address?: string;
  port?: number;
  localAddress?: string;
  localPort?: number;
}

type ErrorClass = new (message: string) => Error;

function make(Class: ErrorClass, code: string, message: string): NodeError {
  const error = new Class(message) as NodeError;
  error.code = code;
  // The stack names the code, as Node's does; the name of the error does not.
  if (typeof error.stack === "string") {
    error.stack = error.stack.replace(error.name, `${error.name} [${code}]`);
  }
  return error;
}

/** A value as messages describe it: "type string ('abc')", "an instance of Foo". */
function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return value.name ? `function ${value.name}` : "function ";
  if (typeof value === "object") {
    const name = value.constructor?.name;
    return name ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  const text = inspect(value, { colors: false });
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

function listed(names: readonly string[], last: string): string {
  if (names.length === 1) return names[0];
  if (names.length === 2) return `${names[0]} ${last} ${names[1]}`;
  return `${names.slice(0, -1).join(", ")}, ${last} ${names.at(-1)}`;
}

/** Lists the expected types: primitive types by name, classes after "an instance of". */
function wantedTypes(wanted: readonly string[]): string {
  const types = wanted.filter((name) => /^[a-z]/.test(name));
  const classes = wanted.filter((name) => !/^[a-z]/.test(name));
  const parts: string[] = [];
  if (types.length > 0) {
    parts.push(`${types.length > 1 ? "one of type" : "of type"} ${listed(types, "or")}`);
  }
  if (classes.length > 0) parts.push(`an instance of ${listed(classes, "or")}`);
  return parts.join(" or ");
}

function argumentType(name: string, wanted: string | readonly string[], value: unknown): NodeError {
  const kind = name.includes(".") ? "property" : "argument";
  const types = wantedTypes(typeof wanted === "string" ? [wanted] : wanted);
  const message = `The "${name}" ${kind} must be ${types}. Received ${described(value)}`;
  return make(TypeError, "ERR_INVALID_ARG_TYPE", message);
}

function argumentValue(name: string, value: unknown, reason = "is invalid"): NodeError {
  const kind = name.includes(".") ? "property" : "argument";
  const message = `The ${kind} '${name}' ${reason}. Received ${inspect(value)}`;
  return make(TypeError, "ERR_INVALID_ARG_VALUE", message);
}

function outOfRange(name: string, wanted: string, value: unknown): NodeError {
  const message = `The value of "${name}" is out of range. It must be ${wanted}. ` +
    `Received ${inspect(value)}`;
  return make(RangeError, "ERR_OUT_OF_RANGE", message);
}

function badPort(name: string, value: unknown): NodeError {
  const message = `${name} should be >= 0 and < 65536. Received ${described(value)}.`;
  return make(RangeError, "ERR_SOCKET_BAD_PORT", message);
}

function missing(names: readonly string[]): NodeError {
  const quoted = names.map((name) => `"${name}"`).join(" or ");
  return make(TypeError, "ERR_MISSING_ARGS", `The ${quoted} argument must be specified`);
}

/** Errors whose messages contain no value of the caller, by code. */
const FIXED = {
  ERR_SERVER_ALREADY_LISTEN: [
    Error,
    "Listen method has been called more than once without closing.",
  ],
  ERR_SERVER_NOT_RUNNING: [Error, "Server is not running."],
  ERR_SOCKET_CLOSED: [Error, "Socket is closed"],
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: [
    Error,
    "Socket closed before the connection was established",
  ],
  ERR_SOCKET_CONNECTION_TIMEOUT: [Error, "Socket connection timeout"],
  ECONNRESET: [Error, "socket hang up"],
  ERR_INVALID_HANDLE_TYPE: [TypeError, "This handle type cannot be sent"],
} as const satisfies Record<string, readonly [ErrorClass, string]>;

function fixed(code: keyof typeof FIXED): NodeError {
  const [Class, message] = FIXED[code];
  return make(Class, code, message);
}

function invalidIp(address: unknown): NodeError {
  return make(TypeError, "ERR_INVALID_IP_ADDRESS", `Invalid IP address: ${String(address)}`);
}

function ipBlocked(address: string): NodeError {
  return make(Error, "ERR_IP_BLOCKED", `IP(${address}) is blocked by net.BlockList`);
}

function addressFamily(family: unknown, host: string, port: number): NodeError & { host?: string } {
  const message = `Invalid address family: ${String(family)} ${host}:${port}`;
  return Object.assign(make(RangeError, "ERR_INVALID_ADDRESS_FAMILY", message), { host, port });
}

function fdType(type: string): NodeError {
  return make(TypeError, "ERR_INVALID_FD_TYPE", `Unsupported fd type: ${type}`);
}

function unsupported(what: string): NodeError {
  return make(Error, "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", what);
}

function unsupportedProtocol(protocol: string): NodeError {
  return make(Error, "ERR_HTTP2_UNSUPPORTED_PROTOCOL", `protocol "${protocol}" is unsupported.`);
}

/** The address at which an error happened, which its message ends with. */
export interface ErrorPlace {
  address?: string | undefined;
  /** For a path undefined, or -1 in errors of `listen`. */
  port?: number | undefined;
}

function place({ address, port }: ErrorPlace): string {
  if (address === undefined) return "";
  return port !== undefined && port > 0 ? ` ${address}:${port}` : ` ${address}`;
}

function finish(error: NodeError, errno: number, syscall: string, where: ErrorPlace): NodeError {
  error.errno = -errno;
  error.code = errnoName(errno);
  error.syscall = syscall;
  if (where.address !== undefined) error.address = where.address;
  if (where.port !== undefined && where.port !== 0) error.port = where.port;
  return error;
}

/** "connect ECONNREFUSED 127.0.0.1:1"; `errno` is positive. */
function system(errno: number, syscall: string, where: ErrorPlace = {}, more = ""): NodeError {
  const error = new Error(`${syscall} ${errnoName(errno)}${place(where)}${more}`);
  return finish(error as NodeError, errno, syscall, where);
}

/** "listen EADDRINUSE: address already in use 127.0.0.1:80"; `errno` is positive. */
function explained(errno: number, syscall: string, where: ErrorPlace): NodeError {
  const words = getSystemErrorMap().get(-errno)?.[1] ?? "unknown error";
  const error = new Error(`${syscall} ${errnoName(errno)}: ${words}${place(where)}`);
  return finish(error as NodeError, errno, syscall, where);
}

/** Numbers of libuv for failed lookups, by the code of Node's error. */
const LOOKUP_ERRNO: Readonly<Record<string, number>> = {
  EAI_AGAIN: -3001,
  EAI_FAIL: -3004,
  ENOTFOUND: -3008,
};

/** The error of a failed lookup. In Bun, its name and number are not Node's. */
function lookup(found: Error): Error {
  const { code, errno, syscall, hostname } = found as NodeError & { hostname?: string };
  if (found.name === "Error" && (errno === undefined || errno < 0)) return found;
  const error = new Error(found.message, { cause: found });
  return Object.assign(error, { errno: LOOKUP_ERRNO[code] ?? errno, code, syscall, hostname });
}

/** The positive errno of an error that the core reports by name. */
function errnoOf(reason: unknown, otherwise: number): number {
  if (!(reason instanceof NetworkError) || reason.errno === null) return otherwise;
  return ERRNO[reason.errno] ?? otherwise;
}

export const nodeError = {
  addressFamily,
  argumentType,
  argumentValue,
  badPort,
  errnoOf,
  explained,
  fdType,
  fixed,
  unsupportedProtocol,
  invalidIp,
  ipBlocked,
  lookup,
  missing,
  outOfRange,
  system,
  unsupported,
};
