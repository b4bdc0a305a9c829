/**
 * A receive that repeats by itself: arriving bytes go to the one consumer of a connection, without
 * a promise, a deadline or an object for each chunk.
 *
 *             resume()                  bytes came, end, error
 *   paused -----------------> waiting ------------------------> ready
 *     ^                          ^                                | deliver(), after the turn
 *     +---- data() was false ----+------- data() was true --------+----> ended
 *
 * The half serves it like a call of `recvSome`, which is in the queue while the consumer waits. So
 * multishot receives, bulk receives and a lack of buffers work as for any other call. A paused
 * consumer has no call in the queue, so no receive is submitted.
 *
 * Invariants
 * - The consumer runs in a microtask after the turn, never inside it, and never after `stop`.
 * - The bytes are in memory of the pool, and are valid until `data` returns.
 * - An error of the consumer is reported by the runtime, and costs no later bytes.
 * - A waiting receive keeps the process alive, as a pending call does, unless `unref` was called.
 *
 * @module
 */
import { handleFields } from "../../buf/buffer_handle.ts";
import type { BufferPool } from "../../buf/buffer_pool.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import type { Slot } from "../../buf/slot.ts";
import type { Deliverable, DeliveryQueue } from "../socket/delivery_queue.ts";
import { RecvCall, type RecvKind } from "./recv_call.ts";
import type { RecvHalf } from "./recv_half.ts";

/** One object for each connection. */
export interface Consumer {
  /**
   * Takes the bytes from `start` to `end` of `bytes`, valid until the function returns. They lie in
   * `slot`: a consumer that retains it keeps them. Returns false to pause.
   */
  data(bytes: Uint8Array, start: number, end: number, slot: Slot): boolean;
  /** The peer's FIN has come. No other call follows. */
  end(): void;
  /** The half has failed. No other call follows. */
  error(reason: unknown): void;
}

type State = "paused" | "waiting" | "ready" | "ended";

export class PushReceive extends RecvCall implements Deliverable {
  readonly #queue: RecvHalf;
  readonly #consumer: Consumer;
  readonly #deliveries: DeliveryQueue;
  #state: State = "paused";
  #isReferenced = true;
  /** Whether `resume` was called during a delivery. */
  #resumed = false;
  /** The delivery: bytes, or the end of the stream, or an error. */
  #slot: Slot | null = null;
  #start = 0;
  #end = 0;
  #failure: { reason: unknown } | null = null;

  /** `lengthMax` is the largest number of bytes in one delivery. */
  constructor(queue: RecvHalf, consumer: Consumer, lengthMax: number) {
    super(queue);
    this.#queue = queue;
    this.#consumer = consumer;
    this.#deliveries = queue.socket.context.deliveries;
    this.length = lengthMax;
  }

  override get kind(): RecvKind {
    return "some";
  }

  override get pushes(): boolean {
    return true;
  }

  /** True once the end or an error was delivered, or `stop` was called. */
  get ended(): boolean {
    return this.#state === "ended";
  }

  /** Continues after a pause. Has no effect while the consumer has not paused. */
  resume(): void {
    if (this.#state === "paused") this.#ask();
    else this.#resumed = true;
  }

  ref(): void {
    if (this.#isReferenced) return;
    this.#isReferenced = true;
    if (this.#state === "waiting") this.#queue.socket.addCall();
  }

  /** Lets the process end while this waits; sends of the connection go on counting. */
  unref(): void {
    if (this.#state === "waiting") this.#uncount();
    this.#isReferenced = false;
  }

  /** Ends all deliveries. */
  stop(): void {
    const before = this.#state;
    this.#state = "ended";
    this.#slot?.release();
    this.#slot = null;
    if (before !== "waiting") return;
    this.#uncount();
    // A call with a part of its result from a direct receive ends with its queue.
    if (this.result === null) this.#queue.remove(this);
  }

  /** A slot has bytes for this call alone. The slot is kept, without a handle. */
  override lent(_pool: BufferPool, slot: Slot, length: number): unknown {
    this.#hold(slot, 0, length);
    return this;
  }

  /** `value` has buffered bytes, or is the result of `lent`, or null at the end of the stream. */
  override succeed(value: unknown): void {
    if (value !== null && value !== this) {
      const buffer = value as IoBuf;
      const slot = handleFields.moveOut(buffer);
      this.#hold(slot, handleFields.start(buffer), handleFields.span(buffer));
    }
    this.#ready();
  }

  override fail(reason: unknown): void {
    this.#failure = { reason };
    this.#ready();
  }

  /** Runs the consumer. */
  deliver(): void {
    if (this.#state !== "ready") return;
    const slot = this.#slot;
    if (slot === null) {
      this.#state = "ended";
      if (this.#failure === null) this.#consumer.end();
      else this.#consumer.error(this.#failure.reason);
      return;
    }
    this.#slot = null;
    this.#resumed = false;
    // A consumer that throws has not paused: its error is the program's, and the next bytes come.
    let more = true;
    try {
      more = this.#consumer.data(slot.bytes, this.#start, this.#end, slot);
    } finally {
      slot.release();
      // `data` may have called `stop`.
      if (this.#state === "ready") {
        this.#state = "paused";
        if (more || this.#resumed) this.#ask();
      }
    }
  }

  #ask(): void {
    this.#state = "waiting";
    this.result = null;
    if (this.#isReferenced) this.#queue.socket.addCall();
    this.#queue.push(this);
  }

  #uncount(): void {
    if (this.#isReferenced) this.#queue.socket.removeCall();
  }

  #hold(slot: Slot, start: number, length: number): void {
    if (this.#state !== "waiting") {
      slot.release();
      return;
    }
    this.#slot = slot;
    this.#start = start;
    this.#end = start + length;
  }

  #ready(): void {
    if (this.#state !== "waiting") return;
    this.#uncount();
    this.#state = "ready";
    this.#deliveries.add(this);
  }
}
