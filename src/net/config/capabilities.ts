/**
 * The features that the kernel has shown when they were tried. refusal.ts explains why a kernel
 * cannot be used.
 *
 * @module
 */
import { FEATURE } from "../../ring/port.ts";

/**
 * The features that the kernel has shown when it was probed. The version of the kernel is not
 * consulted.
 */
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
  /**
   * The features that this kernel has shown when it was probed. All false when io_uring is not
   * supported.
   */
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

/** The features that the bits of a probe stand for. */
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
