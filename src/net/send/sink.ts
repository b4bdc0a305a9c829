/**
 * The sending half of a connection.
 *
 * @module
 */
import type { CallOptions } from "../call/call_options.ts";
import { CloseReason } from "../call/close_reason.ts";
import { DrainCall } from "./drain_call.ts";
import { FlushCall } from "./flush_call.ts";
import { LateError } from "./late_error.ts";
import { loadCall, type Sendable } from "./load_call.ts";
import { type Producer, PushSend } from "./push_send.ts";
import type { SendCall } from "./send_call.ts";
import { SendHalf } from "./send_half.ts";
import type { Socket } from "../socket/socket.ts";

/** One promise for all sends that are done when they return. */
const DONE: Promise<void> = Promise.resolve();

function ignore(): void {}

export class Sink {
  readonly #queue: SendHalf;
  readonly #writeBufferSize: number;
  readonly #timeoutMs: number | null;
  #closing: Promise<void> | null = null;
  #late: LateError | null = null;

  /** @internal */
  constructor(socket: Socket) {
    this.#queue = new SendHalf(socket);
    this.#writeBufferSize = socket.context.config.writeBufferSize;
    this.#timeoutMs = socket.context.config.writeTimeoutMs;
  }

  /** True once the half is closed, by `close` or by a failure. */
  get closed(): boolean {
    return this.#queue.closed;
  }

  /** @internal The queue could not be sent in time: the end has to be RST. */
  get gaveUp(): boolean {
    return this.#queue.gaveUp;
  }

  /** Bytes that the kernel took. */
  get bytesSent(): number {
    return this.#queue.bytesSent;
  }

  /** Bytes that were given to `send` and are not with the kernel yet. */
  get bytesQueued(): number {
    return this.#queue.queuedBytes;
  }

  /**
   * Sends all of `data` and resolves when the kernel has every byte; awaiting it is the
   * backpressure. Calls may overlap: they leave in order, in as few kernel operations as possible.
   *
   * Arrays up to 64 KiB and text are copied before this returns; a larger array must not change
   * until the promise settles. Buffers (`IoBuf`, `IoBufMut`, `IoBufs`) are moved in, whatever
   * comes.
   *
   * Rejects with a NetworkError: "SendFailed", "Timeout" (both with `bytesDone`) or "Closed"; with
   * the signal's reason when aborted; with TypeError or RangeError for what cannot be sent, such as
   * memory that was transferred away, also while the send is pending. When a part of a failed send
   * was taken, FIN is sent and the half is closed.
   */
  send(data: Sendable, options?: CallOptions): Promise<void> {
    const call = this.#queue.newCall();
    try {
      // First of all: a buffer is moved in, whatever comes.
      loadCall(this.#queue, call, data);
      call.prepare(options, this.#timeoutMs);
      this.#throwLate();
      if (this.#queue.closed) throw this.#queue.closedError();
      if (call.totalBytes === 0) return DONE;
      const fits = this.#queue.queuedBytes + call.totalBytes <= this.#writeBufferSize;
      const promise = fits ? this.#buffer(call) : call.promise<void>();
      call.enter();
      return promise;
    } catch (error) {
      this.#queue.dropCall(call);
      return Promise.reject(error);
    }
  }

  /**
   * Waits until the kernel has every byte that was given to `send` before. Sends that are made
   * meanwhile are not waited for. Rejects with a NetworkError: "Timeout", or "Closed" when the half
   * ends meanwhile and drops some of those bytes; with the signal's reason when aborted; with the
   * error of an earlier send that had resolved when it was buffered.
   */
  flush(options?: CallOptions): Promise<void> {
    const call = new FlushCall(this.#queue, this.#late);
    try {
      call.prepare(options, this.#timeoutMs);
      this.#throwLate();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#queue.empty ? DONE : call.start<void>();
  }

  /**
   * Half close: sends what is queued, then FIN; the stream goes on. Idempotent. Resolves when FIN
   * is sent, or when `shutdownTimeoutMs` ran out and the rest was given up. Rejects only with the
   * error of a buffered send that no call has received.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close(new CloseReason("the sink was closed"), true);
    if (this.#late === null) return this.#closing;
    return this.#closing.then(() => this.#throwLate());
  }

  /**
   * @internal As `close`, but leaves FIN to the end of the socket, where it may have to be RST.
   * Never rejects.
   */
  closeWithoutFin(reason: CloseReason): Promise<void> {
    return this.#closing ??= this.#close(reason, false);
  }

  /** @internal Sends without promises; may be mixed with `send`. */
  produce(producer: Producer, limitBytes: number): PushSend {
    return new PushSend(this.#queue, producer, limitBytes);
  }

  /** @internal Ends pending sends with "Closed" and takes no more. */
  abandon(reason: CloseReason): void {
    this.#queue.closeNow(reason);
  }

  async #close(reason: CloseReason, fin: boolean): Promise<void> {
    this.#queue.closeAfterQueue(reason, fin);
    if (this.#queue.empty && this.#queue.isIdle) return;
    const call = new DrainCall(this.#queue);
    call.timeoutMs = this.#queue.socket.context.config.shutdownTimeoutMs;
    await call.start<void>();
  }

  /** The promise has resolved: a later error is shown to the next send, flush or close. */
  #buffer(call: SendCall): Promise<void> {
    this.#late ??= new LateError();
    call.forgetOptions();
    call.take(ignore, this.#late.keep);
    return DONE;
  }

  #throwLate(): void {
    const late = this.#late === null ? null : this.#late.take();
    if (late !== null) throw late.error;
  }
}
