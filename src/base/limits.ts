/**
 * Named limits with their reasons. Every queue, retry and wait of the library ends at one of these
 * or at a field of the configuration.
 *
 * @module
 */

export const LIMITS = Object.freeze({
  /**
   * Chunks in one vectored send. Larger batches save few system calls and cost the kernel more
   * set-up for each; the sweep in docs/PERFORMANCE.md shows little gain from 16 to 32 and none
   * after.
   */
  iovecBatchSize: 32,

  /**
   * Calls in one send, where many small ones lie behind each other. A cancel of one makes all that
   * are with the kernel leave again, so this bounds what it costs to end them one after the other.
   */
  batchCallCountMax: 1_024,

  /**
   * Pieces below this are gathered by copy, larger ones by iovec: a 64 byte piece costs 0.21 us
   * copied and 0.28 us as an iovec, a 4 KiB piece 1.5 us copied and 1.1 us as an iovec.
   */
  gatherCopyBytes: 2_048,

  /** Bytes of a caller's array copied before `send` returns its promise; the rest in windows. */
  copyWindowBytes: 65_536,

  /** Windows of one large send that are in kernel-visible memory at a time: 4 x 64 KiB. */
  copyWindowCount: 4,

  /** Submissions of one operation without progress before its errno counts as final. */
  retryCountMax: 64,

  /** First and longest pause after ENOBUFS or ENOMEM: the kernel needs time, not attempts. */
  backOffFirstMs: 1,
  backOffLastMs: 64,

  /**
   * First and longest pause after which a cancel is sent again while its operation has not come
   * back: the kernel may have looked for it in the wrong moment (EALREADY), or not found it.
   */
  cancelAgainFirstMs: 20,
  cancelAgainLastMs: 1_000,

  /**
   * First and longest pause before a closed connection, whose peer has not taken everything, is
   * looked at again: what the peer sends meanwhile waits in a buffer that holds some megabytes.
   */
  lingerFirstMs: 5,
  lingerLastMs: 80,

  /** How long a closing network waits for its operations once all of them were cancelled. */
  handBackMs: 1_000,

  /** Connections that a listener takes one after the other before the others have their turn. */
  acceptBurstCountMax: 128,

  /** First and longest pause of accept after EMFILE and its kin. */
  acceptBackOffFirstMs: 5,
  acceptBackOffLastMs: 1_000,

  /**
   * Rounds of microtasks that a turn waits for while calls keep coming: some 80 small messages that
   * are received and answered one after the other.
   */
  gatherRoundCountMax: 256,

  /** Turns in microtasks before the runtime's own timers and I/O get their chance. */
  chainedTurnCountMax: 16,

  /** Deadlines are kept in ticks of this length: never early, at most about one tick late. */
  deadlineTickMs: 5,

  /** Longest budget that can be given: what fits a 31-bit timer, 24.8 days. */
  timeoutMsMax: 2_147_483_647,

  /** Longest single receive or send: lengths are u32 below, positions are exact to 2^53. */
  lengthMax: 0xffff_ffff,

  /**
   * A receive that completes many times saves its resubmission: about 5 % of the cost of a small
   * message. It suits connections whose messages are small and awaited: after this many in a row a
   * connection gets one, with buffers of this size. A message that fills one, or bytes that nobody
   * awaits, end it.
   */
  watchAfterCount: 16,
  watchBufferBytes: 8_192,

  /**
   * Buffers for these receives beyond one each. Linux 6.1 to 6.4 picks the next buffer before it
   * looks for more bytes and ends the receive when there is none, so that no row would ever last.
   */
  watchExtraCount: 1,

  /**
   * Read buffers with the kernel at a time: as many as bring so many bytes, and some at least. The
   * kernel takes the one that was provided first, so all of them go around: more than the
   * processor's cache holds would make large messages up to 15 % dearer. Receives that find none
   * stand in line.
   */
  providedBytes: 1 << 21,
  providedCountMin: 8,

  /**
   * A connection that fills its read buffers while more is waiting is given larger ones, which
   * makes an echo of 256 KiB half as dear. A network has so many, unless the pool has its own.
   */
  bulkBufferBytes: 1 << 18,
  bulkBufferCount: 64,

  /**
   * They are for calls that take more than this. A call that names no length does, where read
   * buffers are at least as large.
   */
  bulkFromBytes: 65_536,

  /** What is received at a time when `readBufferSize` is 0 and the call names no length. */
  unbufferedReadBytes: 65_536,

  /** Buffers kept aside for reads when the pool has none left, so that reading never stops. */
  reserveBufferCount: 8,

  /**
   * When the pool has none left, each send in flight gets one buffer of this size, as many as there
   * are sends: a peer that does not read holds its own, never another's.
   */
  sendReserveBytes: 16_384,
  sendReserveCount: 1 << 20,

  /**
   * Address and iovec blocks that vectored sends, and dials, leave for others. Sends go on without
   * one and dials wait; accepting and binding need theirs, however many peers do not read.
   */
  blocksKeptBySends: 128,
  blocksKeptByDials: 64,

  /**
   * The kernel gives the locked memory of a closed ring back 20 to 50 ms later: a smaller ring is
   * tried after this pause, and the smallest several times, so that half a second goes by.
   */
  lockedMemoryPauseMs: 64,
  smallestRingTryCountMax: 8,

  /**
   * How long a bind that may replace a stale file waits while a socket is bound to it: it may be
   * that of a killed process, which the kernel closes up to 23 ms after the process has ended.
   */
  fileReleaseMs: 500,

  /**
   * Attempts to bind to a path whose file is stale, or gone when it is looked at: each one means
   * that another process was faster.
   */
  bindFileCountMax: 8,

  /**
   * Places for waiting operations that an empty lane keeps. A larger array belongs to a burst, and
   * with many connections it would cost bytes for each.
   */
  waitingPlacesKept: 4_096,

  /** Settled sends that a network keeps for later ones: about 1 MiB. */
  spareCallCountMax: 4_096,

  /**
   * The portable backend: bytes that one connection is read ahead, beyond which the runtime is told
   * to pause, and bytes of one send that are with the runtime at a time.
   */
  readAheadBytes: 131_072,
  portableWindowBytes: 65_536,

  /** Addresses of one name that dial() tries. */
  dialAddressCountMax: 8,
});
