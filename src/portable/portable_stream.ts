/**
 * One connected socket of `node:net`, as the two halves of a descriptor that the core knows.
 *
 *   receiving   idle -> parked: a receive waits -> idle     bytes, the end, or an error complete it
 *   sending     see `sending_half.ts`
 *
 * The runtime reads ahead (see `read_ahead.ts`) from the beginning: a runtime that does not read is
 * told of a reset all the same, and drops what came before it. An error or the end of the stream
 * shows behind the bytes that came before it.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { POLL_EVENT } from "../ring/op_writer.ts";
import { CQE_BUFFER, CQE_BUFFER_SHIFT, CQE_SOCKET_NONEMPTY } from "../ring/port.ts";
import type { BufferGroups } from "./buffer_groups.ts";
import { ParkedPoll } from "./parked_poll.ts";
import { ReadAhead } from "./read_ahead.ts";
import { errnoOf, type RuntimeSocket } from "./runtime_sockets.ts";
import { type SendCompletions, SendingHalf } from "./sending_half.ts";

/** Takes completions of operations; the ring. */
export interface Completions extends SendCompletions {
  readonly groups: BufferGroups;
  /** The runtime has closed the socket. */
  gone(stream: PortableStream): void;
}

/**
 * Closing a socket with unread bytes sends RST, which makes the kernel drop what the peer has not
 * taken. How much that is, `node:net` does not tell. After a window of so many bytes, so short ago,
 * it may be some: closing waits until the peer ends or was quiet for so long. Otherwise it waits
 * for one quiet look, or until so many bytes were thrown away: about what a kernel holds.
 */
const UNTAKEN_MS = 5_000;
const QUIET_MS = 100;
const DISCARDED_BYTES_MAX = 4 << 20;

/** What a look at a connection that lingers has found. */
const LINGER_OVER = 0;
const LINGER_WAITS = 1;
const LINGER_BYTES_CAME = 2;

export class PortableStream {
  readonly socket: RuntimeSocket;
  readonly #to: Completions;
  readonly #ahead = new ReadAhead();
  readonly sending: SendingHalf;
  readonly parkedPoll: ParkedPoll;

  #flowing = false;
  #ended = false;
  #errno = 0;
  #closed = false;
  /** The core has shut the receiving half: what still comes is thrown away. */
  #deaf = false;
  #discarding = false;
  #bytesCame = false;
  #untaken = false;
  #discardedBytes = 0;
  #quietSinceMs = 0;

  // The receive that is parked. `#recvGroup` is -1 for one into memory of its own.
  #recvSlot = -1;
  #recvGeneration = 0;
  #recvGroup = -1;
  #recvSlab = 0;
  #recvOffset = 0;
  #recvLength = 0;

  constructor(socket: RuntimeSocket, to: Completions) {
    this.socket = socket;
    this.#to = to;
    this.sending = new SendingHalf(socket, to);
    this.parkedPoll = new ParkedPoll(to);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    this.#read();
  }

  /** The runtime has closed the socket. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The connection is over, and the peer's FIN never came. */
  get cutOff(): boolean {
    return this.#errno !== 0 && !this.#ended;
  }

  // ---- receiving -----------------------------------------------------------------------------

  recv(slot: number, generation: number, slab: number, offset: number, length: number): void {
    this.#recvGroup = -1;
    this.#recvSlab = slab;
    this.#recvOffset = offset;
    this.#park(slot, generation, length);
  }

  recvSelect(slot: number, generation: number, group: number, length: number): void {
    this.#recvGroup = group;
    this.#park(slot, generation, length);
  }

  /** Whether the receive of this slot was parked here, and is cancelled now. */
  cancelRecv(slot: number, generation: number): boolean {
    if (this.#recvSlot !== slot || this.#recvGeneration !== generation) return false;
    this.#finishRecv(-ERRNO.ECANCELED, 0);
    return true;
  }

  /**
   * Completes when one of the events is there. FIN is noticed once the bytes before it have been
   * read: as long as more of them wait than are read ahead, it is not.
   */
  poll(slot: number, generation: number, events: number): void {
    this.parkedPoll.park(slot, generation, events);
    this.#servePoll();
  }

  #servePoll(): void {
    let events = this.#ended ? POLL_EVENT.peerFinished : 0;
    if (this.#errno !== 0) events |= POLL_EVENT.error | POLL_EVENT.peerFinished;
    if (this.#errno !== 0 || this.#closed) events |= POLL_EVENT.hangUp;
    if (events !== 0) this.parkedPoll.serve(events);
  }

  #park(slot: number, generation: number, length: number): void {
    this.#recvSlot = slot;
    this.#recvGeneration = generation;
    this.#recvLength = length;
    if (!this.#serve()) this.#read();
  }

  /** Completes the parked receive, if there is something for it. */
  #serve(): boolean {
    if (this.#recvSlot < 0) return false;
    if (this.#ahead.length > 0 && !this.#deaf) this.#deliver();
    else if (this.#ended || this.#deaf) this.#finishRecv(0, 0);
    else if (this.#errno !== 0) this.#finishRecv(-this.#recvErrno, 0);
    else return false;
    return true;
  }

  /** A reset that a send was told of is one for the receiving half as well. */
  get #recvErrno(): number {
    return this.#errno === ERRNO.EPIPE ? ERRNO.ECONNRESET : this.#errno;
  }

  #deliver(): void {
    let slab = this.#recvSlab;
    let offset = this.#recvOffset;
    let length = this.#recvLength;
    let flags = 0;
    if (this.#recvGroup >= 0) {
      const buffer = this.#to.groups.take(this.#recvGroup);
      if (buffer === null) return this.#finishRecv(-ERRNO.ENOBUFS, 0);
      ({ slab, offset } = buffer);
      length = Math.min(length, buffer.length);
      flags = CQE_BUFFER | (buffer.id << CQE_BUFFER_SHIFT);
    }
    const memory = this.#to.slabs.find(slab);
    if (memory === null || offset + length > memory.length) {
      return this.#finishRecv(-ERRNO.EFAULT, flags);
    }
    const count = this.#ahead.take(memory, offset, length);
    if (this.#ahead.length > 0) flags |= CQE_SOCKET_NONEMPTY;
    else if (this.#ended) flags |= CQE_SOCKET_NONEMPTY;
    this.#finishRecv(count, flags);
    if (!this.#flowing && this.#ahead.low) this.#read();
  }

  #finishRecv(result: number, flags: number): void {
    const slot = this.#recvSlot;
    this.#recvSlot = -1;
    this.#to.complete(slot, this.#recvGeneration, result, flags);
  }

  /** The runtime is to read, from now on or again. */
  #read(): void {
    if (this.#flowing || this.#ended || this.#closed) return;
    this.#flowing = true;
    this.socket.resume();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#discarding || this.#deaf) {
      this.#bytesCame = true;
      this.#discardedBytes += chunk.length;
      return;
    }
    this.#ahead.push(chunk);
    this.#serve();
    if (this.#ahead.length === 0) return;
    this.#ahead.keepLast();
    if (!this.#ahead.full || !this.#flowing) return;
    this.#flowing = false;
    this.socket.pause();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#serve();
    this.#servePoll();
  };

  // ---- the end -------------------------------------------------------------------------------

  /** The receiving half for good: a parked receive ends as at the end of the stream. */
  shutdownRecv(): void {
    this.#deaf = true;
    this.#ahead.clear();
    this.#serve();
  }

  /** FIN, behind what the runtime has. */
  shutdownSend(): void {
    if (!this.#closed) this.sending.finish();
  }

  /** Both halves, and what has come is thrown away; says whether there is a reason to wait. */
  discard(): number {
    this.#discarding = true;
    this.#ahead.clear();
    this.shutdownSend();
    this.#serveDiscarded();
    this.#read();
    this.#quietSinceMs = performance.now();
    this.#untaken = this.#quietSinceMs - this.sending.largeSentAtMs < UNTAKEN_MS;
    if (this.#closed || this.#errno !== 0) return LINGER_OVER;
    return this.#ended && !this.sending.unsent ? LINGER_OVER : LINGER_WAITS;
  }

  /** Looks again after `discard`. */
  lookAgain(): number {
    if (this.#closed || this.#errno !== 0) return LINGER_OVER;
    const came = this.#bytesCame;
    this.#bytesCame = false;
    if (came) this.#quietSinceMs = performance.now();
    if (this.sending.unsent) return came ? LINGER_BYTES_CAME : LINGER_WAITS;
    if (this.#ended) return LINGER_OVER;
    const more = this.#untaken || this.#discardedBytes < DISCARDED_BYTES_MAX;
    if (came) return more ? LINGER_BYTES_CAME : LINGER_OVER;
    const quiet = performance.now() - this.#quietSinceMs >= QUIET_MS;
    return this.#untaken && !quiet ? LINGER_WAITS : LINGER_OVER;
  }

  /** The runtime has bytes that the kernel has not taken. */
  get unsent(): boolean {
    return this.sending.unsent && !this.#closed && this.#errno === 0;
  }

  /** Closes the descriptor: after RST, or as it is. */
  close(reset: boolean): void {
    this.#deaf = true;
    this.#ahead.clear();
    if (this.#closed) return;
    if (reset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  #serveDiscarded(): void {
    if (this.#recvSlot >= 0) this.#finishRecv(0, 0);
  }

  readonly #onError = (error: unknown): void => {
    if (this.#errno === 0) this.#errno = errnoOf(error);
    this.#endCalls();
  };

  readonly #onClose = (): void => {
    this.#closed = true;
    // Closed by the runtime without a word: the peer's FIN has not come.
    if (!this.#ended && this.#errno === 0) this.#errno = ERRNO.ECONNRESET;
    this.#endCalls();
    this.#to.gone(this);
  };

  #endCalls(): void {
    this.sending.end(this.#errno || ERRNO.EPIPE);
    this.#serve();
    this.#servePoll();
  }
}
