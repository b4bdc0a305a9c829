/**
 * The sending half of one connection: a queue of calls, one operation, and the end.
 *
 *   send() -> [call][call][call] --prepare: one batch, at most 32 iovecs--> kernel
 *              ^ consume(n) <------------------------------ n bytes taken
 *
 *   open --closeAfterQueue()--> closing --the queue is empty, FIN is wanted--> finished
 *    |  \                         | closeNow() during a flight                   ^  ^
 *    |   \--closeNow(), flight--> abandoned --the kernel answers, FIN is wanted--+  |
 *    +--a call fails of which a part went out, or the half breaks------------------+
 *
 *   open        the half takes calls
 *   closing     the half takes no calls; the queued ones go out
 *   abandoned   the flight is the last one: its calls fail when it lands, all others have failed
 *   finished    FIN is sent: no byte goes out any more
 *
 * Invariants
 * - The batch in flight is a prefix of the queue. No call leaves that prefix until the batch has
 *   landed, because the kernel may read the memory until then.
 * - A short send resumes at the exact byte, also inside an iovec: pieces know what remains.
 * - A call that fails after some of its bytes went out ends the half: FIN is sent, later calls get
 *   "Closed". A call that fails before its first byte leaves the half unchanged.
 *
 * @module
 */
import { unreachable } from "../../base/assert.ts";
import { ERRNO } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { NetworkError } from "../../base/network_error.ts";
import type { Lane } from "../../ring/lane.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { Operation } from "../../ring/operation.ts";
import type { Ring } from "../../ring/ring.ts";
import { CloseReason } from "../call/close_reason.ts";
import { FlushLine } from "./flush_line.ts";
import { outcomeOf } from "../call/outcome.ts";
import { sendBroken, sendError, sendTimeout, sinkClosed } from "./send_error.ts";
import { SendBatch } from "./send_batch.ts";
import type { SendCall, SendEnding } from "./send_call.ts";
import { SendCalls } from "./send_calls.ts";

/** The data of a half that takes no calls any more. */
interface Ended {
  /** The reason, which later calls report. */
  readonly reason: CloseReason;
  /**
   * Whether the budget of a close ended before all bytes were sent, so that the end has to be RST.
   */
  gaveUp: boolean;
  /** The waiting half close and graceful close: two at the most. */
  readonly drained: (() => void)[];
}

type State =
  | { readonly kind: "open" }
  | Ended & { readonly kind: "closing" }
  | Ended & { readonly kind: "abandoned"; readonly lost: CloseReason }
  | Ended & { readonly kind: "finished" };

/** Shared by all halves, because an open half is smaller without a state object of its own. */
const OPEN: State = { kind: "open" };

export class SendHalf extends SendCalls {
  // Made when first needed, because a smaller half takes less of the processor's cache.
  #batch: SendBatch | null = null;
  #flushes: FlushLine | null = null;
  #state: State = OPEN;

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
    return this.#state.kind !== "open";
  }

  /** Whether a close could not send all bytes in time. */
  get gaveUp(): boolean {
    return this.#state.kind !== "open" && this.#state.gaveUp;
  }

  /** The waiting flushes, while there are calls for which they wait. */
  get flushes(): FlushLine {
    return this.#flushes ??= new FlushLine();
  }

  /** The error for a call after the end of the half. */
  closedError(): NetworkError {
    const state = this.#state;
    return sinkClosed(this.socket.peerName, state.kind === "open" ? null : state.reason);
  }

  override push(call: SendCall): void {
    call.flushesBefore = this.#flushes === null ? 0 : this.#flushes.count;
    super.push(call);
    this.queuedBytes += call.totalBytes;
    this.noteActivity();
    this.socket.noteSent();
    this.#wake();
  }

  /** Calls back when no call is queued or in flight. Only once the half takes no more calls. */
  whenDrained(callback: () => void): void {
    if (this.isDrained) callback();
    else if (this.#state.kind !== "open") this.#state.drained.push(callback);
  }

  /** Later calls get "Closed". Queued bytes still go out. */
  closeAfterQueue(reason: CloseReason): void {
    this.#close(reason);
  }

  /** As `closeAfterQueue`, and FIN is wanted behind the queued bytes. */
  finishAfterQueue(reason: CloseReason): void {
    this.#close(reason);
    this.whenDrained(() => this.#finish());
  }

  /** Ends every call now, for this reason. Calls in flight end when the flight lands. */
  closeNow(reason: CloseReason, gaveUp = false): void {
    const state = this.#close(reason);
    if (gaveUp) state.gaveUp = true;
    if (this.cancel()) return this.#dropAll(reason);
    switch (state.kind) {
      case "closing":
        this.#state = { ...state, kind: "abandoned", lost: reason };
        return this.failWaiting(reason);
      case "abandoned":
      case "finished":
        return; // Every call has settled.
      default:
        unreachable(state);
    }
  }

  /** The call's budget ended, or its signal was aborted. */
  endCall(call: SendCall, ending: SendEnding): void {
    call.disarm();
    if (call.isInFlight && !this.isIdle) {
      // The number of sent bytes is known only when the flight lands.
      call.ending = ending;
      this.cancel();
      this.ring.meter.counts[COUNT.cancellationsSend]++;
      return;
    }
    this.#settleEnding(call, ending);
    // An operation that has not reached the kernel has no call any more.
    if (this.empty && this.cancel()) this.#becomeIdle();
  }

  override prepare(writer: OpWriter): boolean {
    const call = this.head;
    if (call !== null && call.alone) {
      // The common case: one call with one range that the kernel can see.
      const { slot, offset, length } = call.firstPiece;
      call.isInFlight = true;
      this.ring.meter.sendIovecs.observe(1);
      writer.send(this.socket.fd, slot.slab, slot.offset + offset, length);
      return true;
    }
    return (this.#batch ??= new SendBatch(this)).prepare(writer);
  }

  override complete(result: number, _flags: number): void {
    const batchedCount = this.#batch === null ? 0 : this.#batch.land();
    if (batchedCount === 0 && this.head !== null) this.head.isInFlight = false;
    const flightCount = Math.max(batchedCount, 1);
    if (result > 0) this.#took(result, batchedCount > 0);
    else this.#failed(result, flightCount);
    // Calls wait for this completion only when a cancel was submitted.
    if (this.isCanceling) this.#settleEndings(flightCount);
    if (this.isFree) {
      if (this.head !== null && this.#maySend) this.submit("resubmitted");
      else this.#becomeIdle();
    }
    if (this.socket.ending) this.socket.landed();
  }

  /** The half ends, because the number of bytes that the kernel took is unknown. */
  override fail(cause: unknown): void {
    this.cancel();
    this.socket.noteBrokenSend();
    this.#batch?.land();
    const first = this.head;
    const error = sendBroken(this.socket.peerName, first, cause);
    if (first !== null && !first.settled) first.fail(error);
    this.#poison(error);
    if (this.socket.ending) this.socket.landed();
  }

  /** The batch could not be built, because memory is short or the caller's memory is gone. */
  refuse(error: unknown): void {
    const refused = this.head;
    // Deferred until prepare() has returned: only an idle operation is submitted again.
    this.ring.defer(this, () => {
      const call = this.head;
      if (call === null || call.isInFlight || !this.isIdle) return;
      // The refused call may have left meanwhile: the error is not that of the next one.
      if (error !== null && call === refused) this.#failCall(call, error);
      else if (error === null && !this.retry("later")) this.#fail(-ERRNO.ENOBUFS);
      this.#wake();
    });
  }

  #wake(): void {
    if (this.isFree && this.head !== null && this.#maySend) {
      this.submit("fresh");
    } else if (this.isDrained) {
      this.#becomeIdle();
    }
  }

  /** No call is left. Stops a pause, whose end would submit an operation for no call. */
  #becomeIdle(): void {
    this.stopRetrying();
    this.release();
    this.idleGather();
    this.#flushes = null;
    if (this.#state.kind === "open") return;
    for (const callback of this.#state.drained.splice(0)) callback();
  }

  get #maySend(): boolean {
    return this.#state.kind !== "finished";
  }

  #took(count: number, batched: boolean): void {
    const flownBytes = batched
      ? (this.#batch as SendBatch).bytes
      : (this.head as SendCall).firstPiece.length;
    if (count < flownBytes) this.socket.noteShortSend();
    this.ring.meter.counts[COUNT.outboundBytes] += count;
    this.progressed();
    this.bytesSent += count;
    this.queuedBytes -= count;
    let remaining = count;
    while (remaining > 0) {
      const call = this.head as SendCall;
      remaining = call.consume(remaining);
      if (call.done) this.succeed(call);
    }
    if (this.#flushes !== null) this.#flushes.advance(this.head);
  }

  #failed(result: number, flightCount: number): void {
    const outcome = outcomeOf(result);
    const again = outcome === "again" || outcome === "later";
    // The calls get the reason of the end, and not the errno: EPIPE when the peer ends as well.
    if (this.#state.kind === "abandoned") {
      if (!again && outcome !== "canceled") this.socket.noteBrokenSend();
      return;
    }
    // A cancel may also appear as EINTR. Ending calls are settled, and the others are sent again.
    if (this.isCanceling && this.anyEnding(flightCount)) {
      if (again || outcome === "canceled") return;
    }
    if (again && this.#maySend && this.retry(outcome)) return;
    this.socket.noteBrokenSend();
    this.#fail(result);
  }

  /** A hard error: the first call gets the error, the others get "Closed". */
  #fail(result: number): void {
    const call = this.head;
    if (call === null) return;
    const transient = outcomeOf(result) === "later" || outcomeOf(result) === "again";
    this.#failCall(call, sendError(call, result), !transient);
  }

  /** Ends one call. Poisons the half after a part of the call, or for a hard error. */
  #failCall(call: SendCall, error: unknown, hard = false): void {
    this.remove(call);
    const partial = call.sentBytes > 0;
    if (!call.settled) call.fail(error);
    if (partial || hard) this.#poison(error instanceof NetworkError ? error : this.closedError());
    else if (this.#flushes !== null) this.#flushes.advance(this.head);
  }

  #poison(error: NetworkError): void {
    const reason = new CloseReason("the sink was closed by an earlier failure", error);
    this.#close(reason);
    this.#finish();
    this.#dropAll(reason);
  }

  /** The half takes no more calls from now on. The first reason is kept. */
  #close(reason: CloseReason): Exclude<State, { kind: "open" }> {
    if (this.#state.kind !== "open") return this.#state;
    return this.#state = { kind: "closing", reason, gaveUp: false, drained: [] };
  }

  /** Sends FIN, once. */
  #finish(): void {
    const state = this.#state;
    switch (state.kind) {
      case "closing":
      case "abandoned": {
        const { reason, gaveUp, drained } = state;
        this.#state = { kind: "finished", reason, gaveUp, drained };
        return this.socket.shutdownSend();
      }
      case "open":
      case "finished":
        return;
      default:
        unreachable(state);
    }
  }

  /** Fails all calls and flushes. Each remaining flush loses bytes for which it waits. */
  #dropAll(reason: CloseReason): void {
    this.failAll(reason);
    this.#flushes?.fail(reason);
    this.#becomeIdle();
  }

  /** Settles the ending calls among the first `count`, which were in flight. */
  #settleEndings(count: number): void {
    let call = this.head;
    for (let i = 0; i < count && call !== null; i++) {
      const next: SendCall | null = call.next;
      if (call.ending !== null && !call.settled) this.#settleEnding(call, call.ending);
      call = next;
    }
    if (this.#state.kind === "abandoned") this.#dropAll(this.#state.lost);
  }

  #settleEnding(call: SendCall, ending: SendEnding): void {
    if (ending.kind === "timeout") this.ring.meter.counts[COUNT.timeoutsSend]++;
    this.#failCall(call, ending.kind === "timeout" ? sendTimeout(call) : ending.reason);
  }
}
