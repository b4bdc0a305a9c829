/**
 * The interface that `ffi/` implements: what the core may ask of the unsafe room. Types only.
 *
 * Numbers are counts or -errno, as in C. No member throws unless its comment says so, and only the
 * doorbell calls back.
 *
 * @module
 */
import type { SlabSource } from "../buf/slab.ts";

/** Flag of a receive or send record: wait for readiness before the first attempt. */
export const OP_FLAG_POLL_FIRST = 1;

/** Flag of a cancel record: the target is an accept. */
export const OP_FLAG_OF_ACCEPT = 2;

/** Flags of {@link RingPort.turn}: the doorbell was heard; look for a few microseconds for work. */
export const TURN_WOKEN = 1;
export const TURN_LOOK = 2;

/**
 * Both halves for good: FIN, then what the peer has sent is thrown away, so that it is no RST that
 * follows, and what it sends from now on is refused. While the peer has not taken all that was
 * sent, refusing would lose the rest: the receiving half then stays open, and the result is not 0.
 */
export const SHUTDOWN_DISCARD = 3;

/** The same once more, where the result was not 0; 2 when bytes have come since, else 0 or 1. */
export const SHUTDOWN_AGAIN = 4;

/** The receiving half, the sending half, both, both for good, or that once more. */
export type ShutdownHow = 0 | 1 | 2 | typeof SHUTDOWN_DISCARD | typeof SHUTDOWN_AGAIN;

/** Where the fields of a file record are (`struct ur_file`): a sockaddr, its length, the rest. */
export const FILE_RECORD = Object.freeze({ bytes: 152, lengthAt: 128, directoryAt: 132 });

/** Permissions of a socket file as the umask says. */
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
  /** Register the groups of provided read buffers. */
  buffers: boolean;
}

/** The system as the shim sees it. */
export interface SystemFacts {
  kernel: string;
  /** `kernel.io_uring_disabled`: "0", "1", "2", or "" where the kernel has no such switch. */
  disabled: string;
  /** Soft limit of locked memory in bytes; -1 when unlimited. */
  memlockBytes: number;
}

/** The wakeup path of one ring. The callback runs in the runtime's event loop. */
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
  /** Whether one receive may complete many times here (`OP_CODE.recvMultishot` of op_writer.ts). */
  readonly multishot: boolean;
  /** Running totals, see {@link HEADER}. */
  readonly header: Uint32Array;
  /** Op records, 8 words each. */
  readonly ops: Uint32Array;
  /** Completion records, 4 words each. */
  readonly completions: Int32Array;
  /** Scratch for addresses and iovec triples. */
  readonly blocks: Uint8Array;
  readonly blockWords: Uint32Array;

  /** Submits `opCount` records, collects completions. Returns their count. */
  turn(opCount: number, flags: number): number;
  /** 0: the doorbell will ring, sleep. 1: there is work. */
  arm(): number;
  /** Throws, or `opened` rejects, when the runtime cannot watch its end. */
  openDoorbell(onWake: () => void): DoorbellPort;
  /** Cancels and awaits what is left, closes every descriptor of the ring. */
  close(): number;

  socket(family: number): number;
  /**
   * Takes over a stream socket that was made elsewhere; returns its family. A refused one
   * (-ENOTSOCK, -EPROTOTYPE, -EBUSY) stays as it was.
   */
  adopt(fd: number): number;
  /** The reverse: the descriptor stays open, and is no ring's. */
  disown(fd: number): number;
  /**
   * The state of any descriptor, which stays as it is: {@link SOCKET_STATE}, or -EBADF, -ENOTSOCK,
   * -EPROTOTYPE for one that is no stream socket.
   */
  stateOf(fd: number): number;
  bind(fd: number, block: number, length: number): number;
  listen(fd: number, backlog: number): number;
  /**
   * Only where `listen` leaves its work to the runtime's event loop: settles with 0 once the socket
   * listens and its address is known, or with -errno. Absent where `listen` has done it all.
   */
  listening?(fd: number): Promise<number>;
  /**
   * Only where `listen` leaves its work to the runtime's event loop: settles with 0 once the socket
   * listens and its address is known, or with -errno. Absent where `listen` has done it all.
   */
  listening?(fd: number): Promise<number>;
  /**
   * Takes a connection that waits already, its peer's address as an accept of the ring leaves it in
   * the block, or -EAGAIN. Only while no accept of the ring has this descriptor.
   */
  accept(fd: number, block: number): number;
  /** Writes the local (0) or peer (1) address into the block; returns its length. */
  address(fd: number, which: 0 | 1, block: number): number;
  setOption(fd: number, option: number, value: number): number;
  getOption(fd: number, option: number): number;
  /**
   * 1: this TCP connection is over, and the peer's FIN never came. Else 0, or -errno. To be asked
   * once a receive has returned 0.
   */
  cutOff(fd: number): number;
  shutdown(fd: number, how: ShutdownHow): number;
  closeDescriptor(fd: number): number;
  /** The index of the network interface whose name stands in the block, or -errno. */
  interfaceIndex(block: number, length: number): number;
  /**
   * Binds to a path: creates the socket file and notes in the record which one it is. `mode` is
   * its permissions, or {@link MODE_DEFAULT}. The caller closes the directory of the record.
   */
  bindFile(fd: number, file: Uint8Array, mode: number): number;
  /**
   * 1: the file of the record was removed. 0: another one has its name, or none. To be called while
   * the socket is open.
   */
  removeFile(file: Uint8Array): number;
  /**
   * 1: no socket is bound to the file at this path, and with `remove` it is gone. 0: one is.
   * -ENOTSOCK: it is no socket. -ENOENT: it is not there, or not any more.
   */
  staleFile(file: Uint8Array, remove: boolean): number;
}

/** Bits of {@link NativePort.probe}: what the kernel was seen to do. */
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
