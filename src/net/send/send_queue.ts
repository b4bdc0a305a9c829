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
 * - A call of which some but not all bytes went out, and which fails, poisons the half: FIN is
 *   sent, later calls get "Closed". A call of which no byte went out leaves the half as it was.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { NetworkError } from "../../base/network_error.ts";
import type { Lane } from "../../ring/lane.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { Operation } from "../../ring/operation.ts";
import type { Ring } from "../../ring/ring.ts";
import { CloseReason } from "../call/close_reason.ts";
import { FlushLine } from "./flush_line.ts";
import { GatherBuffer } from "./gather_buffer.ts";
import { HalfQueue } from "../socket/half_queue.ts";
import { outcomeOf } from "../call/outcome.ts";
import { sendBroken, sendError, sinkClosed } from "./send_error.ts";
import { SendBatch } from "./send_batch.ts";
import { SendCall } from "./send_call.ts";
import { anyEnding, endingError, failAll, failWaiting, type SendEnding } from "./send_ending.ts";
import { SinkEnd } from "./sink_end.ts";
import type { Socket } from "../socket/socket.ts";

export class SendQueue extends HalfQueue<SendCall> {
  // Made when first needed: what is not there does not fall out of the processor's cache.
  #gather: GatherBuffer | null = null;
  #batch: SendBatch | null = null;
  #flushes: FlushLine | null = null;
  #end: SinkEnd | null = null;
  #spare: SendCall | null = null;
  /** Bytes in the queue: what write buffering compares with its limit. */
  queuedBytes = 0;
  bytesSent = 0;

  constructor(socket: Socket) {
    super(socket);
  }

  override get ring(): Ring {
    return this.socket.context.sendRing;
  }

  protected override get lane(): Lane<Operation> {
    return this.ring.sendLane;
  }

  protected override get retryCounter(): number {
    return COUNT.retriesSend;
  }

  get closed(): boolean {
    return this.#end !== null;
  }

  get empty(): boolean {
    return this.calls.count === 0;
  }

  /** A close could not send everything in time. */
  get gaveUp(): boolean {
    return this.#end !== null && this.#end.gaveUp;
  }

  /** Where small sends are written behind each other. */
  get gather(): GatherBuffer {
    return this.#gather ??= new GatherBuffer(this.socket.context.pool);
  }

  /** Where flushes wait, while there are calls for which they do. */
  get flushes(): FlushLine {
    return this.#flushes ??= new FlushLine();
  }

  /** The error for a call that comes too late. */
  closedError(): NetworkError {
    return sinkClosed(this.socket.peerName, this.#end?.reason ?? null);
  }

  /** A call to fill and push: the queue's own when it is free, else one that is shared. */
  newCall(): SendCall {
    const call = this.#spare ?? this.socket.context.spareSends.take() as SendCall | null;
    if (call === null) return new SendCall(this);
    this.#spare = null;
    call.renew(this);
    return call;
  }

  /** A call that is not pushed after all. */
  dropCall(call: SendCall): void {
    call.dropPieces();
    if (this.empty && this.isIdle) this.#gather?.rest();
  }

  push(call: SendCall): void {
    call.flushesBefore = this.#flushes === null ? 0 : this.#flushes.count;
    this.calls.push(call);
    this.queuedBytes += call.totalBytes;
    this.noteActivity();
    this.socket.noteSent();
    this.#wake();
  }

  /** Calls back when nothing is queued or in flight. Only once the half takes no more calls. */
  whenDrained(callback: () => void): void {
    if (this.empty && this.isIdle) callback();
    else (this.#end as SinkEnd).whenDrained(callback);
  }

  /** Later calls get "Closed"; what is queued still goes out, then FIN. */
  closeAfterQueue(reason: CloseReason, fin: boolean): void {
    this.#end ??= new SinkEnd(reason);
    if (fin) this.whenDrained(() => this.#sendFin());
  }

  /** Ends every call now, for this reason; those with the kernel when it answers. */
  closeNow(reason: CloseReason, gaveUp = false): void {
    this.#end ??= new SinkEnd(reason);
    if (gaveUp) this.#end.gaveUp = true;
    if (this.cancel()) return this.#dropAll(reason);
    if (this.#end.abandoned !== null) return; // Every call has been told.
    this.#end.abandoned = reason;
    failWaiting(this.calls, reason);
  }

  /** A call's budget or patience ended. */
  endCall(call: SendCall, ending: SendEnding): void {
    call.disarm();
    if (call.flying && !this.isIdle) {
      // Whether it failed, and after how many bytes, is known when the kernel answers.
      call.ending = ending;
      this.cancel();
      this.ring.meter.counts[COUNT.cancellationsSend]++;
      return;
    }
    this.#settleEnding(call, ending);
    // An operation that had not reached the kernel has nothing left to do.
    if (this.empty && this.cancel()) this.#rest();
  }

  override prepare(writer: OpWriter): boolean {
    const call = this.calls.head;
    if (call !== null && call.alone) {
      // The common case: one call with one range that the kernel can see.
      const { slot, offset, length } = call.firstPiece;
      call.flying = true;
      this.ring.meter.sendIovecs.observe(1);
      writer.send(this.socket.fd, slot.slab, slot.offset + offset, length);
      return true;
    }
    this.#batch ??= new SendBatch(this);
    return this.#batch.prepare(writer);
  }

  override complete(result: number, _flags: number): void {
    const batchedCount = this.#batch === null ? 0 : this.#batch.land();
    if (batchedCount === 0 && this.calls.head !== null) this.calls.head.flying = false;
    const flownCount = Math.max(batchedCount, 1);
    if (result > 0) this.#took(result, batchedCount > 0);
    else this.#failed(result, flownCount);
    // Endings wait for this answer only when a cancel was asked for: no walk for all the others.
    if (this.isCanceling) this.#settleEndings(flownCount);
    if (this.isFree) {
      if (this.calls.count > 0 && this.#end?.finSent !== true) this.submit("resubmitted");
      else this.#rest();
    }
    if (this.socket.ending) this.socket.landed();
  }

  /** The half ends: how much of its bytes the kernel took is not known any more. */
  override fail(cause: unknown): void {
    this.cancel();
    this.socket.noteBrokenSend();
    this.#batch?.land();
    const first = this.calls.head;
    const error = sendBroken(this.socket.peerName, first, cause);
    if (first !== null && !first.settled) first.fail(error);
    this.#poison(error);
    if (this.socket.ending) this.socket.landed();
  }

  /** The batch could not be built for want of memory, or because a source is gone. */
  refuse(error: unknown): void {
    // Not from within prepare(): the operation must be idle before it is submitted again.
    this.ring.defer(this, () => {
      const call = this.calls.head;
      if (call === null || call.flying || !this.isIdle) return;
      if (error !== null) this.#failCall(call, error);
      else if (!this.retry("later")) this.#fail(-ERRNO.ENOBUFS);
      this.#wake();
    });
  }

  #wake(): void {
    if (this.isFree && this.calls.count > 0 && this.#end?.finSent !== true) {
      this.submit("fresh");
    } else if (this.empty && this.isIdle) {
      this.#rest();
    }
  }

  /** Nothing is left to do; a pause that ended now would submit an operation for nobody. */
  #rest(): void {
    this.stopRetrying();
    this.release();
    this.#gather?.rest();
    this.#flushes = null;
    this.#end?.rest();
  }

  #took(count: number, batched: boolean): void {
    const { ring } = this;
    const flownBytes = batched
      ? (this.#batch as SendBatch).bytes
      : (this.calls.head as SendCall).firstPiece.length;
    if (count < flownBytes) this.socket.noteShortSend();
    ring.meter.counts[COUNT.outboundBytes] += count;
    this.progressed();
    this.bytesSent += count;
    this.queuedBytes -= count;
    let rest = count;
    while (rest > 0) {
      const call = this.calls.head as SendCall;
      rest = call.consume(rest);
      if (call.done) this.#succeed(call);
    }
    if (this.#flushes !== null) this.#flushes.advance(this.calls.head);
  }

  #succeed(call: SendCall): void {
    this.calls.shift();
    if (call.settled) return;
    const { ring } = this;
    ring.meter.sendSeconds.observe((ring.now - call.startedMs) / 1_000);
    call.succeed(undefined);
    if (this.#spare === null) this.#spare = call;
    else this.socket.context.spareSends.put(call);
  }

  #failed(result: number, flownCount: number): void {
    const outcome = outcomeOf(result);
    const again = outcome === "again" || outcome === "later";
    // The calls are given the reason of the end, whatever the kernel says of a send that is
    // abandoned: a peer that ends at the same time makes it fail with EPIPE.
    if (this.#end?.abandoned) {
      if (!again && outcome !== "canceled") this.socket.noteBrokenSend();
      return;
    }
    // A cancel may also show as EINTR. Those that end are settled, the others are sent again.
    if (this.isCanceling && anyEnding(this.calls.head, flownCount)) {
      if (again || outcome === "canceled") return;
    }
    if (again && this.#end?.finSent !== true && this.retry(outcome)) return;
    this.socket.noteBrokenSend();
    this.#fail(result);
  }

  /** A hard error: the first call gets it, the half is closed, the others get "Closed". */
  #fail(result: number): void {
    const call = this.calls.head;
    if (call === null) return;
    const transient = outcomeOf(result) === "later" || outcomeOf(result) === "again";
    this.#failCall(call, sendError(call, result), !transient);
  }

  /** Ends one call. Poisons the half when part of it went out, or when the error is the half's. */
  #failCall(call: SendCall, error: unknown, hard = false): void {
    this.#remove(call);
    const partial = call.sentBytes > 0;
    if (!call.settled) call.fail(error);
    if (partial || hard) this.#poison(error instanceof NetworkError ? error : this.closedError());
    else if (this.#flushes !== null) this.#flushes.advance(this.calls.head);
  }

  #poison(error: NetworkError): void {
    const reason = new CloseReason("the sink was closed by an earlier failure", error);
    this.#end ??= new SinkEnd(reason);
    this.#sendFin();
    this.#dropAll(reason);
  }

  #sendFin(): void {
    if (this.#end === null || this.#end.finSent) return;
    this.#end.finSent = true;
    this.socket.shutdownSend();
  }

  /** Flushes that have not been reached lose something: a part of a call, or one that is left. */
  #dropAll(reason: CloseReason): void {
    failAll(this.calls, reason);
    this.queuedBytes = 0;
    this.#flushes?.fail(reason);
    this.#rest();
  }

  #remove(call: SendCall): void {
    this.calls.remove(call);
    this.queuedBytes -= call.totalBytes - call.sentBytes;
    call.dropPieces();
  }

  /** Only calls that were with the kernel wait for its answer: no more than `count`, in front. */
  #settleEndings(count: number): void {
    let call = this.calls.head;
    for (let i = 0; i < count && call !== null; i++) {
      const next: SendCall | null = call.next;
      if (call.ending !== null && !call.settled) this.#settleEnding(call, call.ending);
      call = next;
    }
    const abandoned = this.#end === null ? null : this.#end.abandoned;
    if (abandoned !== null) this.#dropAll(abandoned);
  }

  #settleEnding(call: SendCall, ending: SendEnding): void {
    if (ending.kind === "timeout") this.ring.meter.counts[COUNT.timeoutsSend]++;
    this.#failCall(call, endingError(call, ending));
  }
}
