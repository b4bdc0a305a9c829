/**
 * A send without a promise: bytes are copied at once, and `post` returns whether the producer may
 * go on.
 *
 *   post() true  -> go on
 *   post() false -> wait -> drained(), once the queue is half empty
 *                      \-> failed(), once, instead
 *
 * The sends of `Sink.send` and these share one queue and leave in the order of the calls.
 *
 * Invariants
 * - Bytes up to a copy window are copied before `post` returns, and the caller may reuse the
 *   memory. More bytes are borrowed: they are read as the kernel takes them, `post` returns false,
 *   and `drained` says that all of them have been read.
 * - The producer runs in a microtask after the turn, never inside it, and never after `stop`.
 *
 * @module
 */
import { intrinsics } from "../../base/intrinsics.ts";
import { LIMITS } from "../../base/limits.ts";
import type { Slot } from "../../buf/slot.ts";
import type { Deliverable, DeliveryQueue } from "../socket/delivery_queue.ts";
import { CloseReason } from "../call/close_reason.ts";
import { loadCall } from "./load_call.ts";
import type { SendCall } from "./send_call.ts";
import type { SendHalf } from "./send_half.ts";

/** One object for each connection. */
export interface Producer {
  /** Called once for each `post` that returned false, when there is room again. */
  drained(): void;
  /** The kernel has all posted bytes, and FIN behind them. */
  finished(): void;
  /** The half failed; posted bytes that are not sent are dropped. Called once. */
  failed(reason: unknown): void;
}

/** A text or bytes, as streams pass them to a write. */
export interface Part {
  readonly chunk: string | Uint8Array;
  /** The encoding of a text. */
  readonly encoding: string;
}

const encoder = new TextEncoder();

function lengthOf({ chunk }: Part): number {
  return typeof chunk === "string" ? chunk.length : intrinsics.lengthOf(chunk);
}

/**
 * The most bytes that are encoded into the send buffer. A text becomes bytes in any case, and with
 * an array in between it is copied twice. An array is sent from where it is copied to.
 */
function lengthMax(parts: readonly Part[]): number {
  const isText = parts.length === 1 && typeof parts[0].chunk === "string";
  return isText ? LIMITS.copyWindowBytes : LIMITS.gatherCopyBytes - 1;
}

/** The number of bytes that were written at `at`, or -1 when the part is too long or not ASCII. */
function writePart({ chunk, encoding }: Part, target: Uint8Array, at: number): number {
  if (typeof chunk !== "string") {
    target.set(chunk, at);
    return intrinsics.lengthOf(chunk);
  }
  if (chunk === "") return 0;
  if (encoding !== "utf8" && encoding !== "latin1" && encoding !== "utf-8") return -1;
  // One byte for each character: the text is ASCII, which has the same bytes in all of these
  // encodings.
  const { length } = chunk;
  // A view costs more than the encoding, and the first text of a buffer needs none.
  const room = at === 0 ? target : target.subarray(at, at + length);
  const { read, written } = encoder.encodeInto(chunk, room);
  return read === length && written === length ? length : -1;
}

export class PushSend implements Deliverable {
  readonly #queue: SendHalf;
  readonly #producer: Producer;
  readonly #deliveries: DeliveryQueue;
  readonly #limitBytes: number;
  /** Whether `post` has returned false and the producer waits. */
  #full = false;
  /** The last call of `postShort`, until a call settles: the next short piece may join it. */
  #last: SendCall | null = null;
  /** The call that reads the caller's own memory. */
  #lent: SendCall | null = null;
  #finished = false;
  #failure: { reason: unknown } | null = null;
  #told = false;
  #scheduled = false;
  /** Bytes that were posted so far. */
  postedBytes = 0;

  /** The producer has to wait when more than `limitBytes` are queued. */
  constructor(queue: SendHalf, producer: Producer, limitBytes: number) {
    this.#queue = queue;
    this.#producer = producer;
    this.#limitBytes = limitBytes;
    this.#deliveries = queue.socket.context.deliveries;
  }

  /** Bytes that the kernel has not taken yet. */
  get queuedBytes(): number {
    return this.#queue.queuedBytes;
  }

  /**
   * Queues a few short texts and arrays, or one text of up to a copy window, as one piece, encoded
   * directly into the send buffer without an object in between. Returns false, and queues nothing,
   * when they are not short or not ASCII; `post` then takes them as bytes.
   */
  postShort(parts: readonly Part[]): boolean {
    const queue = this.#queue;
    let length = 0;
    for (let i = 0; i < parts.length; i++) length += lengthOf(parts[i]);
    if (queue.closed || length === 0 || length > lengthMax(parts)) return false;
    const { gather } = queue;
    const slot = gather.room(length);
    if (slot === null) return false;
    const start = gather.end;
    let at = start;
    for (let i = 0; i < parts.length; i++) {
      const count = writePart(parts[i], slot.bytes, at);
      if (count < 0) return false;
      at += count;
    }
    if (this.#joinLast(slot, start, at - start)) return true;
    gather.commit(at - start);
    const call = queue.newCall();
    call.totalBytes = at - start;
    call.add(slot, start, at - start);
    this.#push(call);
    this.#last = call;
    return true;
  }

  /**
   * Queues the bytes, several arrays as one. Returns false when the producer has to wait for
   * `drained`.
   */
  post(data: Uint8Array | readonly Uint8Array[]): boolean {
    const queue = this.#queue;
    if (queue.closed) {
      this.#failed(queue.closedError());
      return false;
    }
    const call = queue.newCall();
    try {
      loadCall(queue, call, data);
    } catch (error) {
      queue.dropCall(call);
      throw error;
    }
    if (call.totalBytes === 0) {
      queue.dropCall(call);
      return true;
    }
    this.#push(call);
    return !this.#full;
  }

  /**
   * Queues bytes of a slot as one piece: a few are copied, and of many the slot is retained until
   * they are sent, as `post` would read some of them later, when the slot may have other bytes.
   * Returns false, and queues nothing, when the producer has to wait, or when the half is closed.
   */
  postSlot(slot: Slot, start: number, end: number): boolean {
    const queue = this.#queue;
    const length = end - start;
    if (this.#full || queue.closed) return false;
    // A slot is not kept for a small part of its memory, if all of that part is copied now.
    const small = length < LIMITS.gatherCopyBytes || length * 2 < slot.capacity;
    if (small && length <= LIMITS.copyWindowBytes) {
      const chunk = slot.bytes.subarray(start, end);
      if (!this.postShort([{ chunk, encoding: "" }])) this.post(chunk);
      return true;
    }
    const call = queue.newCall();
    slot.retain();
    call.totalBytes = length;
    call.add(queue.seen(slot), start, length);
    this.#push(call);
    return true;
  }

  /** Whether the last `post` returned false and the producer waits for `drained`. */
  get full(): boolean {
    return this.#full;
  }

  /** Half close: sends the queued bytes, then FIN, then calls `finished`. */
  finish(): void {
    const { socket } = this.#queue;
    socket.addCall();
    this.#queue.finishAfterQueue(new CloseReason("the sink was closed"));
    this.#queue.whenDrained(() => {
      socket.removeCall();
      this.#finished = true;
      this.#schedule();
    });
  }

  /** Ends all callbacks. Borrowed memory that is not sent is given up. */
  stop(): void {
    this.#told = true;
    const lent = this.#lent;
    this.#lent = null;
    if (lent === null || lent.settled) return;
    this.#queue.endCall(lent, { kind: "abort", reason: null });
  }

  deliver(): void {
    this.#scheduled = false;
    if (this.#told) return;
    if (this.#failure !== null) {
      this.#told = true;
      this.#producer.failed(this.#failure.reason);
      return;
    }
    if (this.#full && this.#roomy) {
      this.#full = false;
      this.#producer.drained();
    }
    if (this.#finished && !this.#told) {
      this.#finished = false;
      this.#producer.finished();
    }
  }

  /**
   * Adds a piece to the last call: head and body of an answer are two pieces, and one call is
   * cheaper than two.
   */
  #joinLast(slot: Slot, start: number, length: number): boolean {
    const last = this.#last;
    const queue = this.#queue;
    if (last === null || queue.tail !== last) return false;
    if (!queue.tryExtend(last, slot, start, length)) return false;
    queue.gather.extend(length);
    this.postedBytes += length;
    this.#full = this.#lent !== null || queue.queuedBytes > this.#limitBytes;
    return true;
  }

  #push(call: SendCall): void {
    const queue = this.#queue;
    if (call.totalBytes > LIMITS.copyWindowBytes) {
      this.#lent = call;
      call.take(this.#returned, this.#failed);
    } else {
      call.take(this.#sent, this.#failed);
    }
    this.postedBytes += call.totalBytes;
    call.enter();
    this.#full = this.#lent !== null || queue.queuedBytes > this.#limitBytes;
  }

  get #roomy(): boolean {
    return this.#lent === null && this.#queue.queuedBytes * 2 <= this.#limitBytes;
  }

  #schedule(): void {
    if (this.#scheduled || this.#told) return;
    this.#scheduled = true;
    this.#deliveries.add(this);
  }

  /** One function for all sends, so that a send makes no closure. */
  readonly #sent = (): void => {
    // The call may serve another sender from now on.
    this.#last = null;
    if (this.#full && this.#roomy) this.#schedule();
  };

  readonly #returned = (): void => {
    this.#lent = null;
    this.#schedule();
  };

  readonly #failed = (reason: unknown): void => {
    this.#last = this.#lent = null;
    this.#failure ??= { reason };
    this.#schedule();
  };
}
