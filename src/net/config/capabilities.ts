/**
 * Whether io_uring can be used here, and if not, which of kernel, sysctl, seccomp, memory limit or
 * permission is in the way and what to do about it.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { FEATURE, type SystemFacts } from "../../ring/port.ts";

/** The oldest kernel with all that the core needs (DEFER_TASKRUN, SINGLE_ISSUER). */
const KERNEL_MAJOR_MIN = 6;
const KERNEL_MINOR_MIN = 1;

/** What the kernel was seen to do when it was tried. The version of the kernel does not count. */
export interface Features {
  /** Completions are run when the thread asks for them (IORING_SETUP_DEFER_TASKRUN). Needed. */
  readonly deferTaskrun: boolean;
  /** A ring that one thread submits to (IORING_SETUP_SINGLE_ISSUER). Needed. */
  readonly singleIssuer: boolean;
  /** The kernel picks a buffer when data arrives (IORING_REGISTER_PBUF_RING). Used. */
  readonly providedBufferRings: boolean;
  /** One receive completes many times (IORING_RECV_MULTISHOT). Used. */
  readonly multishotReceive: boolean;
  /** Sends without a copy (IORING_OP_SEND_ZC). Not used. */
  readonly sendZeroCopy: boolean;
  /** One operation over several provided buffers (IORING_FEAT_RECVSEND_BUNDLE). Not used. */
  readonly bundles: boolean;
  /** Provided buffers that are filled in parts (IOU_PBUF_RING_INC). Not used. */
  readonly incrementalBuffers: boolean;
}

/** The result of {@link probe}. */
export interface Capabilities {
  /** True when `Network.start()` can use io_uring. */
  supported: boolean;
  /** Why io_uring cannot be used, and what to do. Null when io_uring is supported. */
  reason: string | null;
  /** The release of the kernel, such as "6.1.0-18-amd64". Null when unknown. */
  kernel: string | null;
  /** What this kernel was seen to do. All false when io_uring is not supported. */
  features: Features;
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

/**
 * One sentence: the cause, and the remedy.
 * @internal
 */
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

/** The features of a probe's bits; 0 has none of them. */
export function featuresOf(bits: number): Features {
  const has = (bit: number) => (bits & bit) !== 0;
  return {
    deferTaskrun: has(FEATURE.deferTaskrun),
    singleIssuer: has(FEATURE.singleIssuer),
    providedBufferRings: has(FEATURE.providedBufferRings),
    multishotReceive: has(FEATURE.multishotReceive),
    sendZeroCopy: has(FEATURE.sendZeroCopy),
    bundles: has(FEATURE.bundles),
    incrementalBuffers: has(FEATURE.incrementalBuffers),
  };
}
