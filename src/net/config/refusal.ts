/**
 * Why a network cannot start, with the remedy: the configuration asks for the impossible, the
 * kernel refuses a ring, or the runtime refuses a doorbell.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { messageOf, NetworkError } from "../../base/network_error.ts";
import type { NativePort, SystemFacts } from "../../ring/port.ts";
import { kernelAtLeast } from "./capabilities.ts";
import type { ResolvedConfig } from "./config.ts";

/** The oldest kernel with all that the core needs (DEFER_TASKRUN, SINGLE_ISSUER). */
const KERNEL_MAJOR_MIN = 6;
const KERNEL_MINOR_MIN = 1;

function unsupported(reason: string, errno: number | null, cause?: unknown): NetworkError {
  return new NetworkError(`Cannot start the network: ${reason}`, {
    code: "Unsupported",
    operation: "start",
    errno,
    cause,
  });
}

/** Throws a NetworkError "Unsupported" for a configuration that no machine can run. */
export function refuseUnsupported(config: ResolvedConfig): void {
  if (config.ring.ioPoll) {
    throw unsupported(
      "ring.ioPoll polls block devices, and the kernel answers EINVAL to every socket operation " +
        "on such a ring; leave it out",
      ERRNO.EINVAL,
    );
  }
}

/** The error for a ring that the kernel refuses with `errno`. */
export function ringRefusal(native: NativePort, errno: number): NetworkError {
  return unsupported(explainRefusal(errno, native.system()), errno);
}

/** The error for a doorbell that the runtime cannot adopt. */
export function doorbellRefusal(cause: unknown): NetworkError {
  const subject = "the runtime cannot watch the socket of its doorbell";
  return unsupported(`${subject}: ${messageOf(cause)}`, null, cause);
}

function explainMemory(memlockBytes: number): string {
  if (memlockBytes < 0) {
    return "the system has no memory for the smallest ring, and locked memory is not limited; " +
      "give it, or the container, more memory";
  }
  const limit = `the limit of locked memory (${memlockBytes} bytes)`;
  return `the smallest ring does not fit ${limit}, which all rings of a user share; ` +
    "raise it (ulimit -l, docker run --ulimit memlock=-1) or close other rings of this user";
}

/** One sentence with the cause and the remedy. `errno` is positive. */
export function explainRefusal(errno: number, system: SystemFacts): string {
  const { kernel, disabled, memlockBytes } = system;
  const isOld = !kernelAtLeast(kernel, KERNEL_MAJOR_MIN, KERNEL_MINOR_MIN);
  if (errno === ERRNO.EPERM && disabled === "1") {
    return "io_uring is restricted to privileged users by sysctl kernel.io_uring_disabled=1; " +
      "set it to 0 (sysctl -w kernel.io_uring_disabled=0), or add this user to " +
      "kernel.io_uring_group";
  }
  if (errno === ERRNO.EPERM && disabled === "2") {
    return "io_uring is turned off by sysctl kernel.io_uring_disabled=2; " +
      "set it to 0 (sysctl -w kernel.io_uring_disabled=0)";
  }
  if (errno === ERRNO.ENOSYS && isOld) {
    return `kernel ${kernel} has no io_uring; Linux 6.1 or newer is needed`;
  }
  if (errno === ERRNO.EPERM || errno === ERRNO.ENOSYS) {
    return `io_uring is blocked (${errnoText(errno)}), most likely by a seccomp filter, as ` +
      "container engines install by default; allow io_uring_setup, io_uring_enter and " +
      "io_uring_register in its profile (docker run --security-opt seccomp=<profile>)";
  }
  if (errno === ERRNO.EACCES) {
    return `io_uring is denied (${errnoText(errno)}) by a security module, such as SELinux or ` +
      "AppArmor, or by a seccomp filter; allow it for this program in the policy";
  }
  if (errno === ERRNO.EINVAL) {
    return isOld
      ? `kernel ${kernel} does not know the flags that are needed (${errnoText(errno)}); ` +
        "Linux 6.1 or newer is needed"
      : `kernel ${kernel} refuses the flags that are needed (${errnoText(errno)}), although its ` +
        "version has them; most likely a sandbox imitates it: Linux 6.1 or newer itself is " +
        "needed";
  }
  if (errno === ERRNO.ENOMEM) return explainMemory(memlockBytes);
  if (errno === ERRNO.EMFILE) {
    return `${errnoText(errno)}; raise the limit of open files (ulimit -n)`;
  }
  if (errno === ERRNO.ENFILE) {
    return `${errnoText(errno)}; raise the limit of the system (sysctl -w fs.file-max=<number>)`;
  }
  if (errno === ERRNO.ENOSPC) {
    return "this process has as many rings as it can have; close networks that are not needed";
  }
  return `io_uring cannot be used: ${errnoText(errno)}`;
}
