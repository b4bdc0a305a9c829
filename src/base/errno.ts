/**
 * Errno numbers and names of Linux (asm-generic; x86-64 and aarch64 share them), and their meaning
 * in words. Source: the kernel's include/uapi/asm-generic/errno-base.h and errno.h.
 *
 * @module
 */

const TABLE: readonly (readonly [number, string, string])[] = [
  [1, "EPERM", "operation not permitted"],
  [2, "ENOENT", "no such file or directory"],
  [4, "EINTR", "interrupted"],
  [5, "EIO", "input or output error"],
  [6, "ENXIO", "no such device or address"],
  [7, "E2BIG", "argument list too long"],
  [9, "EBADF", "bad descriptor"],
  [11, "EAGAIN", "resource temporarily unavailable"],
  [12, "ENOMEM", "out of memory"],
  [13, "EACCES", "permission denied"],
  [14, "EFAULT", "bad address"],
  [16, "EBUSY", "busy"],
  [17, "EEXIST", "exists already"],
  [18, "EXDEV", "not on the same file system"],
  [19, "ENODEV", "no such device"],
  [20, "ENOTDIR", "not a directory"],
  [21, "EISDIR", "is a directory"],
  [22, "EINVAL", "invalid argument"],
  [23, "ENFILE", "too many open files in the system"],
  [24, "EMFILE", "too many open files in the process"],
  [25, "ENOTTY", "not an operation of this descriptor"],
  [26, "ETXTBSY", "program in use"],
  [27, "EFBIG", "file too large"],
  [28, "ENOSPC", "no space left"],
  [29, "ESPIPE", "cannot seek"],
  [30, "EROFS", "read only file system"],
  [31, "EMLINK", "too many links"],
  [32, "EPIPE", "broken pipe"],
  [33, "EDOM", "argument out of its domain"],
  [34, "ERANGE", "result out of range"],
  [35, "EDEADLK", "would be a deadlock"],
  [36, "ENAMETOOLONG", "name too long"],
  [37, "ENOLCK", "no locks available"],
  [38, "ENOSYS", "function not implemented"],
  [39, "ENOTEMPTY", "directory not empty"],
  [40, "ELOOP", "too many symbolic links"],
  [42, "ENOMSG", "no message of this type"],
  [61, "ENODATA", "no data available"],
  [62, "ETIME", "timer expired"],
  [64, "ENONET", "machine is not on the network"],
  [65, "ENOPKG", "package not installed"],
  [66, "EREMOTE", "is remote"],
  [67, "ENOLINK", "link was cut"],
  [70, "ECOMM", "communication error on send"],
  [71, "EPROTO", "protocol error"],
  [72, "EMULTIHOP", "multihop attempted"],
  [74, "EBADMSG", "bad message"],
  [75, "EOVERFLOW", "value too large"],
  [76, "ENOTUNIQ", "name not unique on the network"],
  [77, "EBADFD", "descriptor in bad state"],
  [78, "EREMCHG", "remote address changed"],
  [84, "EILSEQ", "invalid byte sequence"],
  [85, "ERESTART", "to be restarted"],
  [87, "EUSERS", "too many users"],
  [88, "ENOTSOCK", "not a socket"],
  [89, "EDESTADDRREQ", "destination address needed"],
  [90, "EMSGSIZE", "message too long"],
  [91, "EPROTOTYPE", "wrong protocol type"],
  [92, "ENOPROTOOPT", "protocol not available"],
  [93, "EPROTONOSUPPORT", "protocol not supported"],
  [94, "ESOCKTNOSUPPORT", "socket type not supported"],
  [95, "EOPNOTSUPP", "operation not supported"],
  [96, "EPFNOSUPPORT", "protocol family not supported"],
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
  [109, "ETOOMANYREFS", "too many references"],
  [110, "ETIMEDOUT", "timed out"],
  [111, "ECONNREFUSED", "connection refused"],
  [112, "EHOSTDOWN", "host is down"],
  [113, "EHOSTUNREACH", "no route to host"],
  [114, "EALREADY", "in progress already"],
  [115, "EINPROGRESS", "in progress"],
  [116, "ESTALE", "stale file handle"],
  [117, "EUCLEAN", "structure needs cleaning"],
  [121, "EREMOTEIO", "remote input or output error"],
  [122, "EDQUOT", "disk quota exceeded"],
  [123, "ENOMEDIUM", "no medium found"],
  [124, "EMEDIUMTYPE", "wrong medium type"],
  [125, "ECANCELED", "canceled"],
  [126, "ENOKEY", "key not available"],
  [127, "EKEYEXPIRED", "key expired"],
  [128, "EKEYREVOKED", "key revoked"],
  [129, "EKEYREJECTED", "key rejected"],
  [130, "EOWNERDEAD", "owner died"],
  [131, "ENOTRECOVERABLE", "state not recoverable"],
  [132, "ERFKILL", "not possible while the radio is off"],
  [133, "EHWPOISON", "memory page has a hardware error"],
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

/** The meaning and the name, for messages. */
export function errnoText(errno: number): string {
  const words = WORDS.get(errno);
  return words === undefined ? `E${errno}` : `${words} (${errnoName(errno)})`;
}
