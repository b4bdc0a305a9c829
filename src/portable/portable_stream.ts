/**
 * One connected socket of `node:net`, as the two halves of one of the core's descriptors.
 *
 *   runtime     open --FIN--> finished --closed, error--> ended
 *                 \--closed, error--> cut off
 *   receiving   idle -> parked: a receive waits -> idle     bytes, the end, or an error complete it
 *   bytes       kept for receives --shut, discard, close--> discarded
 *   sending     see `sending_half.ts`
 *
 * The runtime reads ahead from the beginning (see `read_ahead.ts`), because a runtime that does not
 * read drops the bytes before a reset. The core sees an error or the end of the stream only after
 * the bytes that came before it.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import { POLL_EVENT } from "../ring/op_writer.ts";
import { CQE_BUFFER, CQE_BUFFER_SHIFT, CQE_SOCKET_NONEMPTY } from "../ring/port.ts";
import type { BytePath } from "./byte_path.ts";
import { bytePath } from "./byte_paths.ts";
import type { BufferGroups } from "./buffer_groups.ts";
import { Discarding, LINGER_OVER, LINGER_WAITS } from "./discarding.ts";
import { ParkedPoll } from "./parked_poll.ts";
import { ReadAhead } from "./read_ahead.ts";
import { errnoOf, type RuntimeSocket } from "./runtime_sockets.ts";
import { type SendCompletions, SendingHalf } from "./sending_half.ts";

/** Takes completions of operations. Implemented by the ring. */
export interface Completions extends SendCompletions {
  readonly groups: BufferGroups;
  /** Whether sockets become ready one at a time. */
  readonly isLone: boolean;
  /** Called when a stream has stopped reading. `read` follows once a turn has served its bytes. */
  hold(stream: PortableStream): void;
  /** Called when the runtime has closed the socket. */
  gone(stream: PortableStream): void;
}

/**
 * The reports of the runtime about the connection: nothing yet, the peer's FIN, the end after it,
 * or the end without it.
 */
type Reported = "open" | "finished" | "ended" | "cut off";

export class PortableStream {
  readonly socket: RuntimeSocket;
  readonly #to: Completions;
  readonly #path: BytePath;
  readonly #ahead = new ReadAhead();
  readonly sending: SendingHalf;
  readonly parkedPoll: ParkedPoll;

  #reported: Reported = "open";
  /** The errno of the end; 0 before the end, and after an end without an error. */
  #errno = 0;
  /** Whether the runtime reads. */
  #flowing = false;
  /** Whether the core takes no more bytes: none are ahead, and those that arrive are discarded. */
  #isShut = false;
  #madeDiscarding: Discarding | null = null;

  // The pending receive. `#recvGroup` is -1 for a direct receive.
  #recvSlot = -1;
  #recvGeneration = 0;
  #recvGroup = -1;
  #recvSlab = 0;
  #recvOffset = 0;
  #recvLength = 0;

  constructor(socket: RuntimeSocket, to: Completions) {
    this.socket = socket;
    this.#to = to;
    this.#path = bytePath(socket, this.#onBytes);
    this.sending = new SendingHalf(socket, this.#path, to);
    this.parkedPoll = new ParkedPoll(to);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
    socket.on("end", this.#onEnd);
    this.read();
  }

  /** Made when needed, because most connections discard nothing. */
  get #discarding(): Discarding {
    return this.#madeDiscarding ??= new Discarding();
  }

  /** Whether the connection has ended without the peer's FIN. */
  get cutOff(): boolean {
    return this.#reported === "cut off";
  }

  get #peerFinished(): boolean {
    return this.#reported === "finished" || this.#reported === "ended";
  }

  get #isOver(): boolean {
    return this.#reported === "ended" || this.#reported === "cut off";
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

  /** Cancels the receive of this slot. Returns whether it was pending here. */
  cancelRecv(slot: number, generation: number): boolean {
    if (this.#recvSlot !== slot || this.#recvGeneration !== generation) return false;
    this.#finishRecv(-ERRNO.ECANCELED, 0);
    return true;
  }

  /**
   * Completes when one of the events has occurred. FIN is noticed only once the bytes before it are
   * read ahead.
   */
  poll(slot: number, generation: number, events: number): void {
    this.parkedPoll.park(slot, generation, events);
    this.#servePoll();
  }

  #servePoll(): void {
    let events = this.#reported === "open" ? 0 : POLL_EVENT.peerFinished;
    if (this.#errno !== 0) events |= POLL_EVENT.error;
    if (this.#isOver) events |= POLL_EVENT.hangUp;
    if (events !== 0) this.parkedPoll.serve(events);
  }

  #park(slot: number, generation: number, length: number): void {
    this.#recvSlot = slot;
    this.#recvGeneration = generation;
    this.#recvLength = length;
    if (!this.#serve()) this.read();
  }

  /** Completes the pending receive, if there are bytes, an end or an error for it. */
  #serve(): boolean {
    if (this.#recvSlot < 0) return false;
    if (this.#ahead.length > 0) {
      this.#deliver();
      return true;
    }
    const result = this.#isShut ? 0 : this.#endResult();
    if (result === null) return false;
    this.#finishRecv(result, 0);
    return true;
  }

  /** The result of a receive behind the last byte; null while more bytes may come. */
  #endResult(): number | null {
    switch (this.#reported) {
      case "open":
        return null;
      case "finished":
      case "ended":
        return 0;
      case "cut off":
        // A reset that was reported to a send counts here as well.
        return -(this.#errno === ERRNO.EPIPE ? ERRNO.ECONNRESET : this.#errno);
    }
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
    if (this.#ahead.length > 0 || this.#peerFinished) flags |= CQE_SOCKET_NONEMPTY;
    this.#finishRecv(count, flags);
    if (!this.#flowing && this.#ahead.low) this.read();
  }

  #finishRecv(result: number, flags: number): void {
    const slot = this.#recvSlot;
    this.#recvSlot = -1;
    this.#to.complete(slot, this.#recvGeneration, result, flags);
  }

  /** Lets the runtime read, at first or after a pause. */
  read(): void {
    if (this.#flowing || this.#reported !== "open") return;
    this.#flowing = true;
    this.#path.resume();
  }

  readonly #onBytes = (bytes: Uint8Array, lent: boolean): void => {
    if (this.#isShut) {
      this.#discarding.note(bytes.length);
      return;
    }
    this.#ahead.push(bytes);
    this.#serve();
    if (this.#ahead.length === 0) return this.#hold();
    this.#ahead.keepLast(lent);
    if (this.#ahead.full) this.#pause();
  };

  /**
   * A peer that waits for the reaction to its bytes sends no more until then. So the runtime would
   * look for bytes in vain, and sleep. Where sockets become ready one at a time, reading waits
   * until the reaction has left, when the next bytes may be there already.
   */
  #hold(): void {
    if (!this.#flowing || !this.#path.readsOn || !this.#to.isLone) return;
    this.#pause();
    this.#to.hold(this);
  }

  #pause(): void {
    if (!this.#flowing) return;
    this.#flowing = false;
    this.#path.pause();
  }

  readonly #onEnd = (): void => {
    if (this.#reported === "open") this.#reported = "finished";
    this.#serve();
    this.#servePoll();
  };

  // ---- the end -------------------------------------------------------------------------------

  /** Shuts the receiving half for good. A pending receive completes as at the end of the stream. */
  shutdownRecv(): void {
    this.#isShut = true;
    this.#ahead.clear();
    this.#serve();
  }

  /** Sends FIN after the bytes that the runtime has. */
  shutdownSend(): void {
    if (!this.#isOver) this.sending.finish();
  }

  /** Shuts both halves and discards received bytes. Returns whether there is a reason to wait. */
  discard(): number {
    this.shutdownSend();
    this.shutdownRecv();
    this.read();
    this.#discarding.begin(this.sending);
    if (this.#isOver) return LINGER_OVER;
    return this.#peerFinished && !this.sending.unsent ? LINGER_OVER : LINGER_WAITS;
  }

  /** Checks again after `discard`. */
  lookAgain(): number {
    if (this.#isOver) return LINGER_OVER;
    return this.#discarding.look(this.sending.unsent, this.#peerFinished);
  }

  /** Closes the descriptor, after RST when `reset` is set. */
  close(reset: boolean): void {
    this.#isShut = true;
    this.#ahead.clear();
    if (this.socket.destroyed) return;
    if (reset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  readonly #onError = (error: unknown): void => {
    this.#end(errnoOf(error));
  };

  readonly #onClose = (): void => {
    // The runtime may close the socket without an event, and without the peer's FIN.
    this.#end(this.#reported === "open" ? ERRNO.ECONNRESET : 0);
    this.#to.gone(this);
  };

  /** Notes the end. The first error counts. */
  #end(errno: number): void {
    if (this.#errno === 0) this.#errno = errno;
    if (this.#reported === "open") this.#reported = "cut off";
    else if (this.#reported === "finished") this.#reported = "ended";
    this.sending.end(this.#errno || ERRNO.EPIPE);
    this.#serve();
    this.#servePoll();
  }
}
