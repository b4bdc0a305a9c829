/**
 * The interface that `ffi/` implements: all that the core may call there. Types, and the constants
 * of arguments and results.
 *
 * Numbers are counts or -errno, as in C. No member throws unless its comment says so, and only the
 * doorbell calls back.
 *
 * @module
 */
import type { SlabSource } from "../buf/slab.ts";

/** Flag of a receive or send record: wait for readiness before the first attempt. */
export const OP_FLAG_POLL_FIRST = 1;

/**
 * Flag of a receive record, with the flag above: the turn sleeps until many bytes wait, another
 * operation completes, or some 100 microseconds have passed.
 */
export const OP_FLAG_GATHER = 4;

/** Flag of a cancel record: the target is an accept. */
export const OP_FLAG_OF_ACCEPT = 2;

/** In place of the block of an accept record: the peer's address is not wanted. */
export const BLOCK_NONE = 0xffff_ffff;

/**
 * Flags of {@link RingPort.turn}: the doorbell has rung; poll for work for a few microseconds; only
 * submit, and leave the completions to the next turn. Records that are refused complete at once.
 */
export const TURN_WOKEN = 1;
export const TURN_LOOK = 2;
export const TURN_SUBMIT = 4;

/**
 * Shuts both halves for good: sends FIN, discards the bytes that the peer has sent, so that no RST
 * follows, and refuses later bytes. While the peer has not acknowledged all bytes, a refusal would
 * lose the rest. The receiving half then stays open, and the result is not 0.
 */
export const SHUTDOWN_DISCARD = 3;

/**
 * Repeats the same after a result that was not 0. The result is 2 when bytes have come since, else
 * 0 or 1.
 */
export const SHUTDOWN_AGAIN = 4;

/** The receiving half, the sending half, both, both for good, or both for good once more. */
export type ShutdownHow = 0 | 1 | 2 | typeof SHUTDOWN_DISCARD | typeof SHUTDOWN_AGAIN;

/** Offsets in a file record (`struct ur_file`): a sockaddr, its length, the rest. */
export const FILE_RECORD = Object.freeze({ bytes: 152, lengthAt: 128, directoryAt: 132 });

/** Stands for the permissions that the umask leaves. */
export const MODE_DEFAULT = 0xffff_ffff;

/** Flags of a completion that the core reads (include/uapi/linux/io_uring.h). */
export const CQE_BUFFER = 1;
export const CQE_MORE = 2;
export const CQE_SOCKET_NONEMPTY = 4;
export const CQE_BUFFER_SHIFT = 16;

/** Words of the ring's header. */
export const HEADER = Object.freeze({
  enters: 0,
  submissions: 1,
  completions: 2,
  overflows: 3,
  inFlight: 4,
  arms: 5,
  more: 6,
  enterError: 7,
});

/** Results of `stateOf`. */
export const SOCKET_STATE = Object.freeze({ neither: 0, listening: 1, connected: 2 });

/** Names of `setOption`, in the order of the shim's table. */
export const SOCKET_OPTION = Object.freeze({
  noDelay: 0,
  lingerSeconds: 1,
  keepAlive: 2,
  keepIdle: 3,
  keepInterval: 4,
  keepCount: 5,
  reuseAddress: 6,
  reusePort: 7,
  ipv6Only: 8,
  sendBuffer: 9,
  receiveBuffer: 10,
  trafficClass: 11,
  userTimeoutMs: 12,
  deferAcceptSeconds: 13,
  interfaceIndex: 14,
});

export interface RingOpenOptions {
  /** Submission queue entries; a power of two. */
  entries: number;
  completionEntries: number;
  sqPoll: boolean;
  /** Whether to register the groups of provided read buffers. */
  buffers: boolean;
}

/** Facts about the system that the shim has found. */
export interface SystemFacts {
  kernel: string;
  /** `kernel.io_uring_disabled`: "0", "1", "2", or "" where the kernel has no such switch. */
  disabled: string;
  /** Soft limit of locked memory in bytes; -1 when unlimited. */
  memlockBytes: number;
}

/** The doorbell of one ring. Its callback runs in the runtime's event loop. */
export interface DoorbellPort {
  /**
   * Resolves when the doorbell can ring, and rejects when it never will. A rejection without a
   * handler is not reported.
   */
  readonly opened: Promise<void>;
  ref(): void;
  unref(): void;
  close(): void;
}

/** One ring. Only the thread that opened it may call. */
export interface RingPort {
  readonly opCapacity: number;
  readonly completionCapacity: number;
  readonly blockCount: number;
  readonly blockBytes: number;
  readonly bufferCount: number;
  /** Whether multishot receives are supported (`OP_CODE.recvMultishot` of op_writer.ts). */
  readonly multishot: boolean;
  /** Descriptors are numbers of the port's own table, and unknown to the system. */
  readonly ownDescriptors?: true;
  /** Running totals, see {@link HEADER}. */
  readonly header: Uint32Array;
  /** Op records, 8 words each. */
  readonly ops: Uint32Array;
  /** Completion records, 4 words each. */
  readonly completions: Int32Array;
  /** Scratch for addresses and iovec triples. */
  readonly blocks: Uint8Array;
  readonly blockWords: Uint32Array;

  /** Submits `opCount` records and collects completions. Returns the number of completions. */
  turn(opCount: number, flags: number): number;
  /** Arms the doorbell. Returns 0 when the thread may sleep, and 1 when there is work. */
  arm(): number;
  /** Opens the doorbell. Throws, or `opened` rejects, when the runtime cannot adopt its end. */
  openDoorbell(onWake: () => void): DoorbellPort;
  /** Cancels the remaining operations, waits for them, and closes every descriptor of the ring. */
  close(): number;

  socket(family: number): number;
  /**
   * Takes over a stream socket that other code has made, and returns its family. A refused
   * descriptor (-ENOTSOCK, -EPROTOTYPE, -EBUSY) stays unchanged.
   */
  adopt(fd: number): number;
  /** The reverse of `adopt`: the descriptor stays open and belongs to no ring. */
  disown(fd: number): number;
  /**
   * The state of any descriptor, which is not changed: {@link SOCKET_STATE}, or -EBADF, -ENOTSOCK
   * or -EPROTOTYPE for a descriptor that is not a stream socket.
   */
  stateOf(fd: number): number;
  bind(fd: number, block: number, length: number): number;
  listen(fd: number, backlog: number): number;
  /**
   * 0 when the socket listens and its address is known, or -errno: at once where that is certain,
   * else a promise. Present only where `listen` may complete in the runtime's event loop.
   */
  listening?(fd: number): number | Promise<number>;
  /**
   * Accepts a connection that waits already, and writes the peer's address into the block as an
   * accept on the ring does. -EAGAIN when none waits. Only while no accept on the ring has this
   * descriptor.
   */
  accept(fd: number, block: number): number;
  /** Writes the local (0) or peer (1) address into the block, and returns its length. */
  address(fd: number, which: 0 | 1, block: number): number;
  setOption(fd: number, option: number, value: number): number;
  getOption(fd: number, option: number): number;
  /**
   * 1 when this TCP connection has ended without the peer's FIN. Else 0, or -errno. To be called
   * after a receive has returned 0.
   */
  cutOff(fd: number): number;
  shutdown(fd: number, how: ShutdownHow): number;
  closeDescriptor(fd: number): number;
  /** The index of the network interface whose name is in the block, or -errno. */
  interfaceIndex(block: number, length: number): number;
  /**
   * Binds to a path: creates the socket file and notes its identity in the record. `mode` has its
   * permissions, or is {@link MODE_DEFAULT}. The caller closes the directory of the record.
   */
  bindFile(fd: number, file: Uint8Array, mode: number): number;
  /**
   * Returns 1 when the file of the record was removed, and 0 when another file or none has its
   * name. To be called while the socket is open.
   */
  removeFile(file: Uint8Array): number;
  /**
   * Returns 1 when no socket is bound to the file at this path, which `remove` then has removed,
   * and 0 when a socket is bound to it. -ENOTSOCK: the file is not a socket. -ENOENT: there is no
   * such file, or it was removed meanwhile.
   */
  staleFile(file: Uint8Array, remove: boolean): number;
}

/** Bits of {@link NativePort.probe}: features that the kernel has shown. */
export const FEATURE = Object.freeze({
  deferTaskrun: 1,
  singleIssuer: 2,
  providedBufferRings: 4,
  multishotReceive: 8,
  sendZeroCopy: 16,
  bundles: 32,
  incrementalBuffers: 64,
});

/** The library of one thread. */
export interface NativePort extends SlabSource {
  /** Returns the ring, or -errno. */
  openRing(options: RingOpenOptions): RingPort | number;
  system(): SystemFacts;
  /** {@link FEATURE} bits, or -errno of opening a ring with the flags that the core needs. */
  probe(): number;
}
