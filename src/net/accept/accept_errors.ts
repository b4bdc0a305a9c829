/**
 * The errors of accepting: the errnos after which a listener goes on, and the errors of calls for
 * the others.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";

/**
 * The peer reset before it was accepted, or the network failed for a moment: accept(2), "errors".
 */
const transient = new Set(
  ["EAGAIN", "EINTR", "ECONNABORTED", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"]
    .concat("EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "EPERM", "ETIMEDOUT")
    .map((name) => ERRNO[name]),
);

/** The process or the system lacks a resource that may become free again. */
const exhausted = new Set([ERRNO.EMFILE, ERRNO.ENFILE, ERRNO.ENOBUFS, ERRNO.ENOMEM]);

/** The error of an accept that the kernel refuses. */
function failed(name: string, errno: number): NetworkError {
  return new NetworkError(`Cannot accept on ${name}: ${errnoText(errno)}`, {
    code: "AcceptFailed",
    operation: "accept",
    errno,
  });
}

/** The error of an accept after an error inside the library. */
function broken(name: string, cause: unknown): NetworkError {
  return new NetworkError(`Cannot accept on ${name}: ${internalReason(cause)}`, {
    code: "AcceptFailed",
    operation: "accept",
    cause,
  });
}

function closed(name: string, cause: NetworkError | null): NetworkError {
  return new NetworkError(`Cannot accept on ${name}: the listener is closed`, {
    code: "Closed",
    operation: "accept",
    cause: cause ?? undefined,
  });
}

function timeout(name: string, timeoutMs: number | null): NetworkError {
  return new NetworkError(`Cannot accept on ${name}: ${timeoutMs} ms passed`, {
    code: "Timeout",
    operation: "accept",
  });
}

/**
 * The sets and functions of this file.
 * @internal
 */
export const acceptErrors = { transient, exhausted, failed, broken, closed, timeout };
