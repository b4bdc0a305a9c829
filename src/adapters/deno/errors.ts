/**
 * Deno's error classes, in both runtimes, and the translation of a NetworkError to one of them.
 *
 * In Deno these are the runtime's own classes, so that `instanceof Deno.errors.ConnectionRefused`
 * holds. Elsewhere they are classes of the same names. As in Deno, the `code` of a kernel error is
 * the name of its errno, and its message has the form "Connection refused (os error 111)".
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { NetworkError } from "../../base/network_error.ts";

/** A class of `Deno.errors`. */
export type DenoErrorClass = new (message?: string, options?: { cause?: unknown }) => Error;

/** The names of the classes of `Deno.errors` that a network throws. */
export type DenoErrorName =
  | "AddrInUse"
  | "AddrNotAvailable"
  | "AlreadyExists"
  | "BadResource"
  | "BrokenPipe"
  | "Busy"
  | "ConnectionAborted"
  | "ConnectionRefused"
  | "ConnectionReset"
  | "Interrupted"
  | "InvalidData"
  | "NetworkUnreachable"
  | "NotADirectory"
  | "NotCapable"
  | "NotConnected"
  | "NotFound"
  | "NotSupported"
  | "PermissionDenied"
  | "TimedOut"
  | "UnexpectedEof"
  | "WouldBlock"
  | "WriteZero";

const NAMES: readonly DenoErrorName[] = [
  "AddrInUse",
  "AddrNotAvailable",
  "AlreadyExists",
  "BadResource",
  "BrokenPipe",
  "Busy",
  "ConnectionAborted",
  "ConnectionRefused",
  "ConnectionReset",
  "Interrupted",
  "InvalidData",
  "NetworkUnreachable",
  "NotADirectory",
  "NotCapable",
  "NotConnected",
  "NotFound",
  "NotSupported",
  "PermissionDenied",
  "TimedOut",
  "UnexpectedEof",
  "WouldBlock",
  "WriteZero",
];

/** The classes of `Deno.errors` by their names. */
export type ErrorClasses = Readonly<Record<DenoErrorName, DenoErrorClass>>;

function makeClass(name: DenoErrorName): DenoErrorClass {
  const made = class extends Error {
    constructor(message?: string, options?: { cause?: unknown }) {
      super(message, options);
      this.name = name;
    }
  };
  Object.defineProperty(made, "name", { value: name });
  return made;
}

const native = (globalThis as { Deno?: { errors?: ErrorClasses } }).Deno?.errors;

/** The classes of `Deno.errors`: the runtime's own in Deno, equal ones elsewhere. */
export const errors: ErrorClasses = Object.freeze(
  Object.fromEntries(NAMES.map((name) => [name, native?.[name] ?? makeClass(name)])),
) as ErrorClasses;

/** Name of the errno, text of the C library (which Deno shows), and class. */
const KERNEL: readonly (readonly [name: string, words: string, kind: DenoErrorName | null])[] = [
  ["EPERM", "Operation not permitted", "PermissionDenied"],
  ["ENOENT", "No such file or directory", "NotFound"],
  ["EINTR", "Interrupted system call", "Interrupted"],
  ["EAGAIN", "Resource temporarily unavailable", "WouldBlock"],
  ["ENOMEM", "Cannot allocate memory", null],
  ["EACCES", "Permission denied", "PermissionDenied"],
  ["EEXIST", "File exists", "AlreadyExists"],
  ["ENOTDIR", "Not a directory", "NotADirectory"],
  ["ENFILE", "Too many open files in system", null],
  ["EMFILE", "Too many open files", null],
  ["EPIPE", "Broken pipe", "BrokenPipe"],
  ["EAFNOSUPPORT", "Address family not supported by protocol", null],
  ["EADDRINUSE", "Address already in use", "AddrInUse"],
  ["EADDRNOTAVAIL", "Cannot assign requested address", "AddrNotAvailable"],
  ["ENETDOWN", "Network is down", null],
  ["ENETUNREACH", "Network is unreachable", "NetworkUnreachable"],
  ["ECONNABORTED", "Software caused connection abort", "ConnectionAborted"],
  ["ECONNRESET", "Connection reset by peer", "ConnectionReset"],
  ["ENOBUFS", "No buffer space available", null],
  ["ENOTCONN", "Transport endpoint is not connected", "NotConnected"],
  ["ETIMEDOUT", "Connection timed out", "TimedOut"],
  ["ECONNREFUSED", "Connection refused", "ConnectionRefused"],
  ["EHOSTUNREACH", "No route to host", null],
];

const BY_NAME = new Map(KERNEL.map(([name, words, kind]) => [name, { words, kind }]));

function withCode(error: Error, code: string): Error {
  return Object.assign(error, { code });
}

/** Deno's error for the name of an errno, such as "EPIPE". */
export function kernelError(errno: string, cause?: unknown): Error {
  const options = cause === undefined ? undefined : { cause };
  const known = BY_NAME.get(errno);
  const number = ERRNO[errno];
  const suffix = number === undefined ? "" : ` (os error ${number})`;
  if (errno === "EINVAL") {
    return withCode(new TypeError(`Invalid argument${suffix}`, options), errno);
  }
  const kind = known?.kind ?? null;
  const text = `${known?.words ?? errno}${suffix}`;
  return withCode(
    kind === null ? new Error(text, options) : new errors[kind](text, options),
    errno,
  );
}

/** The call was pending when its connection was closed by this side. */
export function interrupted(cause: unknown): Error {
  return withCode(new errors.Interrupted("operation canceled", { cause }), "EINTR");
}

/** The call came after the connection was closed. */
export function badResource(cause?: unknown): Error {
  return new errors.BadResource("Bad resource ID", cause === undefined ? undefined : { cause });
}

/** The stream was read or written after the connection was closed. */
export function streamClosed(): Error {
  return new errors.BadResource("The stream's underlying resource was closed or consumed");
}

/** The call came after the listener was closed, or was pending then. */
export function listenerClosed(): Error {
  return new errors.BadResource("Listener has been closed");
}

/**
 * The error that Deno throws for `cause`. Values other than a NetworkError, such as the reason of
 * an abort, are returned unchanged.
 */
export function denoError(cause: unknown): unknown {
  if (!(cause instanceof NetworkError)) return cause;
  if (cause.errno !== null) return kernelError(cause.errno, cause);
  switch (cause.code) {
    case "Timeout":
      return kernelError("ETIMEDOUT", cause);
    case "Closed":
      return badResource(cause);
    case "Unsupported":
      return new errors.NotSupported(cause.message, { cause });
    default:
      return new Error(cause.message, { cause });
  }
}
