/**
 * The sending half's machine: a queue of calls, one operation in flight.
 *
 *   send() -> [call][call][call] --prepare: one batch, at most 32 iovecs--> kernel
 *              ^ consume(n) <------------------------------ n bytes taken
 *
 * Invariants
 * - The batch in flight is a prefix of the queue; nothing is taken out of that prefix until it has
 *   landed, so its memory cannot go away under the kernel.
 * - A short send resumes at the exact byte, also inside an iovec: pieces know where they stand.
 * - A call of which some but not all bytes went out, and which fails, poisons the half: FIN is sent,
 *   later calls get "Closed". A call of which no byte went out leaves the half as it was.
 *
 * @module
 */
import { ERRNO, errnoText } from "../base/errno.ts";
import { Fifo } from "../base/fifo.ts";
import { COUNT } from "../base/meter.ts";
import { NetworkError } from "../base/network_error.ts";
import type { OpWriter } from "../ring/op_writer.ts";
import { Operation } from "../ring/operation.ts";
import { GatherBuffer } from "./gather_buffer.ts";
import { outcomeOf } from "./outcome.ts";
import { Retrier } from "./retrier.ts";
import { SendBatch } from "./send_batch.ts";
import { SendCall, type SendEnding } from "./send_call.ts";
import type { Socket } from "./socket.ts";

export class SendQueue extends Operation {
  readonly socket: Socket;
  readonly gather: GatherBuffer;
  readonly #calls = new Fifo<SendCall>();
  readonly #batch: SendBatch;
  readonly #retrier: Retrier;
  /** Why the half is closed. */
  #closed: NetworkError | null = null;
  #spare: SendCall | null = null;
  #finSent = false;
  #drained: (() => void)[] = [];
  /** Bytes in the queue: what write buffering compares with its limit. */
  queuedBytes = 0;
  bytesSent = 0;

  constructor(socket: Socket) {
    super(socket.context.sendRing.sendLane);
    this.socket = socket;
    this.gather = new GatherBuffer(socket.context.pool);
    this.#batch = new SendBatch(this);
    this.#retrier = new Retrier(this, COUNT.retriesSend);
    socket.attach(this);
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  get empty(): boolean {
    return this.#calls.count === 0;
  }

  get calls(): Fifo<SendCall> {
    return this.#calls;
  }

  /** The error for a call that comes too late. */
  closedError(operation: "send" | "flush"): NetworkError {
    const cause = this.#closed;
    return new NetworkError(`Cannot ${operation} to a closed sink`, {
      code: "Closed",
      operation,
      cause: cause ?? undefined,
    });
  }

  /** A call to fill and push: the last settled one, when it is free. */
  newCall(): SendCall {
    const call = this.#spare;
    if (call === null) return new SendCall(this);
    this.#spare = null;
    call.renew();
    return call;
  }

  push(call: SendCall): void {
    this.#calls.push(call);
    this.queuedBytes += call.totalBytes;
    this.#wake();
  }

  /** Calls back when nothing is queued or in flight. */
  whenDrained(callback: () => void): void {
    if (this.empty && this.idle) callback();
    else this.#drained.push(callback);
  }

  /** Later calls get "Closed"; what is queued still goes out, then FIN. */
  closeAfterQueue(reason: NetworkError): void {
    this.#closed ??= reason;
    this.whenDrained(() => this.#sendFin());
  }

  /** Ends every call with `error` now; those with the kernel when it answers. */
  closeNow(error: NetworkError): void {
    this.#closed ??= error;
    this.#retrier.stop();
    const flying = !this.lane.ring.cancel(this);
    for (let call = this.#calls.head; call !== null; call = call.next) {
      if (!call.settled) this.#reject(call, error);
    }
    if (!flying) this.#dropAll(error);
  }

  /** A call's budget or patience ended. */
  endCall(call: SendCall, ending: SendEnding): void {
    call.disarm();
    if (call.flying && !this.idle) {
      // Whether it failed, and after how many bytes, is known when the kernel answers.
      call.ending = ending;
      this.lane.ring.cancel(this);
      this.lane.ring.meter.counts[COUNT.cancellationsSend]++;
      return;
    }
    this.#settleEnding(call, ending);
  }

  override prepare(writer: OpWriter): boolean {
    return this.#batch.prepare(writer);
  }

  override complete(result: number, _flags: number): void {
    this.#batch.land();
    if (result > 0) this.#took(result);
    else this.#failed(result);
    this.#settleEndings();
    if (this.idle && !this.#retrier.waiting) {
      if (this.#calls.count > 0 && !this.#finSent) this.lane.ring.submit(this, true);
      else this.#rest();
    }
    if (this.socket.ending) this.socket.landed();
  }

  /** The batch could not be built for want of memory, or because a source is gone. */
  refuse(error: unknown): void {
    if (error === null) {
      // Not from within prepare(): the operation must be idle before it is submitted again.
      queueMicrotask(() => {
        if (!this.idle || this.#calls.head === null) return;
        if (!this.#retrier.retry("later")) this.#fail(-ERRNO.ENOBUFS);
      });
      return;
    }
    queueMicrotask(() => {
      const call = this.#calls.head;
      if (call !== null && !call.flying) this.#failCall(call, error);
      this.#wake();
    });
  }

  #wake(): void {
    if (this.idle && !this.#retrier.waiting && this.#calls.count > 0 && !this.#finSent) {
      this.lane.ring.submit(this);
    } else if (this.empty && this.idle) {
      this.#rest();
    }
  }

  #rest(): void {
    this.gather.rest();
    const drained = this.#drained;
    if (drained.length === 0) return;
    this.#drained = [];
    for (const callback of drained) callback();
  }

  #took(count: number): void {
    const { ring } = this.lane;
    if (count < this.#batch.bytes) ring.meter.counts[COUNT.shortSends]++;
    ring.meter.counts[COUNT.outboundBytes] += count;
    this.#retrier.progress();
    this.bytesSent += count;
    this.queuedBytes -= count;
    let rest = count;
    while (rest > 0) {
      const call = this.#calls.head as SendCall;
      rest = call.consume(rest);
      if (call.done) this.#succeed(call);
    }
  }

  #succeed(call: SendCall): void {
    this.#calls.shift();
    if (call.settled) return;
    const { ring } = this.lane;
    ring.meter.sendSeconds.observe((ring.now - call.startedMs) / 1_000);
    call.succeed(undefined);
    this.#spare = call;
  }

  #failed(result: number): void {
    const outcome = outcomeOf(result);
    switch (outcome) {
      case "again":
      case "later":
        if (this.#wanted() && this.#retrier.retry(outcome)) return;
        break;
      case "canceled":
        if (this.#anyEnding() || this.#closed !== null) return;
        break;
      default:
        break;
    }
    this.#fail(result);
  }

  #wanted(): boolean {
    return !this.#anyEnding() && !this.#finSent && !this.socket.ending;
  }

  /** A hard error: the first call gets it, the half is closed, the others get "Closed". */
  #fail(result: number): void {
    const call = this.#calls.head;
    if (call === null) return;
    const transient = outcomeOf(result) === "later" || outcomeOf(result) === "again";
    const reason = result === 0 ? "the kernel took 0 bytes" : errnoText(-result);
    const error = new NetworkError(
      `Cannot send ${call.totalBytes} bytes: ${reason} after ${call.sentBytes} bytes`,
      { code: "SendFailed", operation: "send", errno: -result, bytesDone: call.sentBytes },
    );
    this.#failCall(call, error, !transient);
  }

  /** Ends one call. Poisons the half when part of it went out, or when the error is the half's. */
  #failCall(call: SendCall, error: unknown, hard = false): void {
    this.#remove(call);
    const partial = call.sentBytes > 0;
    if (!call.settled) call.fail(error);
    if (!partial && !hard) return;
    const cause = error instanceof NetworkError ? error : undefined;
    this.#poison(cause ?? this.closedError("send"));
  }

  #poison(error: NetworkError): void {
    this.#closed ??= error;
    this.#sendFin();
    this.#dropAll(this.closedError("send"));
  }

  #sendFin(): void {
    if (this.#finSent) return;
    this.#finSent = true;
    this.socket.shutdownSend();
  }

  #dropAll(error: NetworkError): void {
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.dropPieces();
      if (!call.settled) this.#reject(call, error);
    }
    this.queuedBytes = 0;
    this.#rest();
  }

  #reject(call: SendCall, error: NetworkError): void {
    call.fail(
      new NetworkError(error.message, {
        code: "Closed",
        operation: "send",
        bytesDone: call.sentBytes,
        cause: error.cause ?? undefined,
      }),
    );
  }

  #remove(call: SendCall): void {
    this.#calls.remove(call);
    this.queuedBytes -= call.totalBytes - call.sentBytes;
    call.dropPieces();
  }

  #anyEnding(): boolean {
    for (let call = this.#calls.head; call !== null; call = call.next) {
      if (call.ending !== null || call.settled) return true;
    }
    return false;
  }

  #settleEndings(): void {
    for (let call = this.#calls.head; call !== null;) {
      const next: SendCall | null = call.next;
      if (call.ending !== null && !call.settled) this.#settleEnding(call, call.ending);
      call = next;
    }
    // closeNow() rejected what was with the kernel: now it can be dropped.
    if (this.#closed !== null && this.#calls.head?.settled) this.#dropAll(this.#closed);
  }

  #settleEnding(call: SendCall, ending: SendEnding): void {
    const { counts } = this.lane.ring.meter;
    if (ending.kind === "abort") {
      this.#failCall(call, ending.reason);
      return;
    }
    counts[COUNT.timeoutsSend]++;
    const bytesDone = call.sentBytes;
    const error = new NetworkError(
      `Cannot send ${call.totalBytes} bytes: ${call.timeoutMs} ms passed after ${bytesDone} bytes`,
      { code: "Timeout", operation: "send", bytesDone },
    );
    this.#failCall(call, error);
  }
}
