/**
 * Errno numbers and names of Linux (asm-generic; x86-64 and aarch64 share them), and the words that
 * a person reads. Source: the kernel's include/uapi/asm-generic/errno-base.h and errno.h.
 *
 * @module
 */

const TABLE: readonly (readonly [number, string, string])[] = [
  [1, "EPERM", "operation not permitted"],
  [2, "ENOENT", "no such file or directory"],
  [4, "EINTR", "interrupted"],
  [5, "EIO", "input or output error"],
  [9, "EBADF", "bad descriptor"],
  [11, "EAGAIN", "resource temporarily unavailable"],
  [12, "ENOMEM", "out of memory"],
  [13, "EACCES", "permission denied"],
  [14, "EFAULT", "bad address"],
  [16, "EBUSY", "busy"],
  [17, "EEXIST", "exists already"],
  [20, "ENOTDIR", "not a directory"],
  [22, "EINVAL", "invalid argument"],
  [23, "ENFILE", "too many open files in the system"],
  [24, "EMFILE", "too many open files in the process"],
  [28, "ENOSPC", "no space left"],
  [32, "EPIPE", "broken pipe"],
  [36, "ENAMETOOLONG", "name too long"],
  [38, "ENOSYS", "function not implemented"],
  [40, "ELOOP", "too many symbolic links"],
  [71, "EPROTO", "protocol error"],
  [75, "EOVERFLOW", "value too large"],
  [77, "EBADFD", "descriptor in bad state"],
  [88, "ENOTSOCK", "not a socket"],
  [90, "EMSGSIZE", "message too long"],
  [91, "EPROTOTYPE", "wrong protocol type"],
  [92, "ENOPROTOOPT", "protocol not available"],
  [93, "EPROTONOSUPPORT", "protocol not supported"],
  [94, "ESOCKTNOSUPPORT", "socket type not supported"],
  [95, "EOPNOTSUPP", "operation not supported"],
  [97, "EAFNOSUPPORT", "address family not supported"],
  [98, "EADDRINUSE", "address already in use"],
  [99, "EADDRNOTAVAIL", "address not available"],
  [100, "ENETDOWN", "network is down"],
  [101, "ENETUNREACH", "network is unreachable"],
  [102, "ENETRESET", "connection dropped by the network"],
  [103, "ECONNABORTED", "connection aborted"],
  [104, "ECONNRESET", "connection reset by peer"],
  [105, "ENOBUFS", "no buffer space available"],
  [106, "EISCONN", "connected already"],
  [107, "ENOTCONN", "not connected"],
  [108, "ESHUTDOWN", "shut down already"],
  [110, "ETIMEDOUT", "timed out"],
  [111, "ECONNREFUSED", "connection refused"],
  [112, "EHOSTDOWN", "host is down"],
  [113, "EHOSTUNREACH", "no route to host"],
  [114, "EALREADY", "in progress already"],
  [115, "EINPROGRESS", "in progress"],
  [125, "ECANCELED", "canceled"],
];

const NAMES = new Map(TABLE.map(([number, name]) => [number, name]));
const WORDS = new Map(TABLE.map(([number, , words]) => [number, words]));

/** The positive numbers by name, for comparisons. */
export const ERRNO: Readonly<Record<string, number>> & {
  readonly EPERM: number;
  readonly ENOENT: number;
  readonly EINTR: number;
  readonly EAGAIN: number;
  readonly ENOMEM: number;
  readonly EACCES: number;
  readonly ENOSPC: number;
  readonly EBUSY: number;
  readonly EINVAL: number;
  readonly ENFILE: number;
  readonly EMFILE: number;
  readonly ENOSYS: number;
  readonly ENOBUFS: number;
  readonly ECANCELED: number;
  readonly ECONNABORTED: number;
  readonly EPROTO: number;
  readonly ENOTCONN: number;
} = Object.freeze(
  Object.fromEntries(TABLE.map(([number, name]) => [name, number])),
) as never;

/** The name of a positive errno; numbers outside the table become `"E<number>"`. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** The name and what it means, for messages. */
export function errnoText(errno: number): string {
  const words = WORDS.get(errno);
  return words === undefined ? `E${errno}` : `${words} (${errnoName(errno)})`;
}
