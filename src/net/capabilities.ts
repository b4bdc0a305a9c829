/**
 * Whether io_uring can be used here, and if not, which of kernel, sysctl, seccomp, memory limit or
 * permission is in the way and what to do about it.
 *
 * @module
 */
import { ERRNO, errnoText } from "../base/errno.ts";
import type { SystemFacts } from "../ring/port.ts";

/** The oldest kernel with all that the core needs (DEFER_TASKRUN, SINGLE_ISSUER). */
const KERNEL_MAJOR_MIN = 6;
const KERNEL_MINOR_MIN = 1;

export interface Capabilities {
  /** True when `Network.start()` can use io_uring. */
  supported: boolean;
  /** Why not, and what to do; null when supported. */
  reason: string | null;
  /** The kernel's release, such as "6.1.0-18-amd64"; null when unknown. */
  kernel: string | null;
  /** What this kernel offers of what the library can use. */
  features: Record<string, boolean>;
}

function versionOf(kernel: string): [number, number] {
  const match = /^(\d+)\.(\d+)/.exec(kernel);
  return match === null ? [0, 0] : [Number(match[1]), Number(match[2])];
}

/** Whether the kernel is at least major.minor. */
export function kernelAtLeast(kernel: string, major: number, minor: number): boolean {
  const [a, b] = versionOf(kernel);
  return a > major || (a === major && b >= minor);
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

/** One sentence: the cause, and the remedy. */
export function explainRefusal(errno: number, system: SystemFacts): string {
  const { kernel, disabled, memlockBytes } = system;
  const old = !kernelAtLeast(kernel, KERNEL_MAJOR_MIN, KERNEL_MINOR_MIN);
  if (errno === ERRNO.EPERM && disabled === "1") {
    return "io_uring is kept to privileged users by sysctl kernel.io_uring_disabled=1; set it to " +
      "0 (sysctl -w kernel.io_uring_disabled=0), or add this user to kernel.io_uring_group";
  }
  if (errno === ERRNO.EPERM && disabled === "2") {
    return "io_uring is turned off by sysctl kernel.io_uring_disabled=2; " +
      "set it to 0 (sysctl -w kernel.io_uring_disabled=0)";
  }
  if (errno === ERRNO.ENOSYS && old) {
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
    return old
      ? `kernel ${kernel} does not know the flags that are needed (${errnoText(errno)}); ` +
        "Linux 6.1 or newer is needed"
      : `kernel ${kernel} refuses the flags that are needed (${errnoText(errno)}), although its ` +
        "version has them; most likely a sandbox stands in for it: Linux 6.1 or newer itself is " +
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

/** What the kernel's version says about features that the library uses or could use. */
export function featuresOf(kernel: string): Record<string, boolean> {
  return {
    deferTaskrun: kernelAtLeast(kernel, 6, 1),
    singleIssuer: kernelAtLeast(kernel, 6, 0),
    providedBufferRings: kernelAtLeast(kernel, 5, 19),
    multishotReceive: kernelAtLeast(kernel, 6, 0),
    sendZeroCopy: kernelAtLeast(kernel, 6, 0),
    bundles: kernelAtLeast(kernel, 6, 10),
    incrementalBuffers: kernelAtLeast(kernel, 6, 12),
  };
}
