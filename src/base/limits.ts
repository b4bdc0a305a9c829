/**
 * Named limits with their reasons. Every queue, retry and wait of the library is bounded by one of
 * these limits or by a field of the configuration.
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
   * Calls in one send, where many small calls lie behind each other in memory. The cancel of one of
   * them makes all calls of its operation leave again, so this bounds the cost of ending calls one
   * after the other.
   */
  batchCallCountMax: 1_024,

  /**
   * Pieces below this size are gathered by copy, larger pieces by iovec. A piece of 64 bytes costs
   * 0.21 us copied and 0.28 us as an iovec; a piece of 4 KiB costs 1.5 us copied and 1.1 us as an
   * iovec.
   */
  gatherCopyBytes: 2_048,

  /** Bytes of a caller's array copied before `send` returns; the remaining bytes go in windows. */
  copyWindowBytes: 65_536,

  /** Windows of one large send that are in kernel-visible memory at a time: 4 x 64 KiB. */
  copyWindowCount: 4,

  /** Submissions of one operation without progress before its errno counts as final. */
  retryCountMax: 64,

  /**
   * First and longest pause after ENOBUFS or ENOMEM: more attempts do not free memory, time does.
   */
  backOffFirstMs: 1,
  backOffLastMs: 64,

  /**
   * First and longest pause after which a cancel is sent again while its operation is in flight:
   * the kernel may have met the operation at the wrong moment (EALREADY), or not found it.
   */
  cancelAgainFirstMs: 20,
  cancelAgainLastMs: 1_000,

  /**
   * First and longest pause between two checks of a closed connection whose peer has not
   * acknowledged all bytes. Bytes from the peer wait meanwhile in a kernel buffer of some
   * megabytes.
   */
  lingerFirstMs: 5,
  lingerLastMs: 80,

  /**
   * How long ends of connections may take in one round of the event loop, and the network's own
   * loops over its connections. The end that is begun last may exceed it: to discard 16 MiB, the
   * most that one end discards at a time, takes 2 to 5 ms.
   */
  endStepMs: 1,

  /**
   * Halves whose callers are told in one round of the event loop that their calls have ended. Their
   * handlers run in the same round, 16 us for each with cold caches.
   */
  toldCountMax: 64,

  /** The wait of a closing network for its operations once all of them are cancelled. */
  handBackMs: 1_000,

  /** Connections that a listener accepts in a row before other operations run. */
  acceptBurstCountMax: 128,

  /**
   * Connections that a draining server takes from its backlog: the kernel's default ceiling of a
   * backlog. While they are taken, further peers connect.
   */
  backlogDrainCountMax: 4_096,

  /**
   * How long a connection from the backlog of a draining server has for its first request, and the
   * pause between two looks at whether the request was answered. A peer that has sent the request
   * right behind its connect needs less than a round trip.
   */
  lateRequestMs: 1_000,
  lateLookMs: 5,

  /** First and longest pause of accept after EMFILE, ENFILE, ENOBUFS or ENOMEM. */
  acceptBackOffFirstMs: 5,
  acceptBackOffLastMs: 1_000,

  /**
   * Rounds of microtasks for which a turn waits while calls keep coming: some 80 small messages
   * that are received and answered one after the other.
   */
  gatherRoundCountMax: 256,

  /**
   * Turns in microtasks before the runtime's own timers and I/O may run, and the time after which
   * no further turn is taken before that. Both are checked after the reactions to a turn.
   */
  chainedTurnCountMax: 16,
  chainedTurnsMs: 2,

  /** The tick of deadlines: a deadline is never early, and at most about one tick late. */
  deadlineTickMs: 5,

  /** The longest budget: the range of a 31-bit timer, 24.8 days. */
  timeoutMsMax: 2_147_483_647,

  /** Longest single receive or send: lengths are u32 below, positions are exact to 2^53. */
  lengthMax: 0xffff_ffff,

  /**
   * A multishot receive saves its resubmission, about 5 % of the cost of a small message. It suits
   * a connection whose messages are small and awaited: a connection gets one after this many such
   * messages in a row, with buffers of this size. A message that fills a buffer, or bytes for which
   * no call waits, end the multishot receive.
   */
  multishotAfterCount: 16,
  multishotBufferBytes: 8_192,

  /**
   * Provided buffers for multishot receives beyond one for each. Linux 6.1 to 6.4 picks the next
   * buffer before it looks for more bytes, and ends the receive when no buffer is left: without a
   * spare buffer, every multishot receive would end after its first message.
   */
  multishotExtraCount: 1,

  /**
   * Provided buffers: as many as hold this many bytes together, and at least this many. The kernel
   * takes the buffer that was provided first, so all of them circulate: more than the processor's
   * cache holds would make large messages up to 15 % more expensive. A receive that finds no
   * provided buffer waits for one.
   */
  providedBytes: 1 << 21,
  providedCountMin: 8,

  /**
   * A connection that fills its read buffers while more bytes wait gets larger buffers, which
   * halves the cost of an echo of 256 KiB. A network has this many, unless the pool has a class of
   * the size.
   */
  bulkBufferBytes: 1 << 18,
  bulkBufferCount: 64,

  /**
   * The larger buffers are for calls that take more than this. A call that names no length takes
   * more, when read buffers are at least as large.
   */
  bulkFromBytes: 65_536,

  /**
   * A ring that receives this much, beyond one piece for each receive, while the network sends
   * nothing and the thread never sleeps, receives a stream: its turns wait until many bytes have
   * come. The last bytes of a stream may wait for 100 us then, 5 % of the time that this many bytes
   * take on loopback.
   */
  streamFromBytes: 1 << 23,
  streamPieceBytes: 8_192,

  /** A turn that waited for bytes of a stream and got fewer was ended early, or too slow to pay. */
  streamGatherBytesMin: 131_072,

  /**
   * The limit of the bytes through a delimiter, or of a line with its end, when the call names no
   * limit. The stream buffers this many bytes for a peer that never sends the delimiter.
   */
  untilLengthMax: 65_536,

  /** Bytes of one receive when `readBufferSize` is 0 and the call names no length. */
  unbufferedReadBytes: 65_536,

  /** Buffers in reserve for receives when the pool is empty, so that receiving never stops. */
  reserveBufferCount: 8,

  /**
   * When the pool is empty, each send in flight gets one buffer of this size, however many sends
   * are in flight: a peer that does not read keeps its own buffer, and never that of another
   * connection.
   */
  sendReserveBytes: 16_384,
  sendReserveCount: 1 << 20,

  /**
   * Address and iovec blocks that waiting accepts, vectored sends and dials leave for other
   * operations. An accept and a send go on without a block and a dial waits; binding needs a block,
   * however many listeners wait and peers do not read.
   */
  blocksKeptByAccepts: 256,
  blocksKeptBySends: 128,
  blocksKeptByDials: 64,

  /**
   * The kernel gives the locked memory of a closed ring back 20 to 50 ms later: a smaller ring is
   * tried after this pause, and the smallest ring several times, for half a second in all.
   */
  lockedMemoryPauseMs: 64,
  smallestRingTryCountMax: 8,

  /**
   * The wait of a bind that may replace a stale file, while a socket is bound to the file: the
   * socket may belong to a killed process, and the kernel closes it up to 23 ms after the end of
   * the process.
   */
  fileReleaseMs: 500,

  /**
   * Attempts to bind to a path whose file is stale, or gone when it is checked: each further
   * attempt means that another process was faster.
   */
  bindFileCountMax: 8,

  /**
   * Places for waiting operations that an empty lane keeps. A larger array is left from a burst,
   * and would cost bytes for each connection.
   */
  waitingPlacesKept: 4_096,

  /** Settled sends that a network keeps for later ones: about 1 MiB. */
  spareCallCountMax: 4_096,

  /** Idle operations that each direction of a ring keeps for later owners: about 0.4 MiB. */
  spareOperationCountMax: 4_096,

  /**
   * For the portable backend: bytes that the runtime reads ahead for one connection before it is
   * paused, and bytes of one send that it holds at a time.
   */
  readAheadBytes: 131_072,
  portableWindowBytes: 65_536,

  /** Addresses of one name that dial() tries. */
  dialAddressCountMax: 8,

  /**
   * RFC 8305, section 5: pause before the next address is tried while earlier attempts are pending.
   */
  attemptDelayMs: 250,

  /** The longest delimiter in bytes. A longer one is most likely a mistake. */
  delimiterBytesMax: 1_024,

  /**
   * Descriptors that a service manager may pass. A larger number is a mistake in the environment.
   */
  activatedCountMax: 1_024,
});
