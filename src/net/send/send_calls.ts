/**
 * The calls of a sending half, and the buffer in which small sends are gathered: how
 * a call is made and used again, how it leaves the queue, how all of them fail.
 *
 * @module
 */
import type { CloseReason } from "../call/close_reason.ts";
import { HalfQueue } from "../socket/half_queue.ts";
import { GatherBuffer } from "./gather_buffer.ts";
import { SendCall, type SendCallOwner, type SendEnding } from "./send_call.ts";
import { sendClosed } from "./send_error.ts";

export abstract class SendCalls extends HalfQueue<SendCall> implements SendCallOwner {
  // Made when first needed: what is not there does not fall out of the processor's cache.
  #gather: GatherBuffer | null = null;
  #spare: SendCall | null = null;
  /** Bytes in the queue: what write buffering compares with its limit. */
  queuedBytes = 0;
  bytesSent = 0;

  get empty(): boolean {
    return this.calls.count === 0;
  }

  /** Where small sends are written behind each other. */
  get gather(): GatherBuffer {
    return this.#gather ??= new GatherBuffer(this.socket.context.pool);
  }

  /** The queue is empty, and nothing is in flight. */
  protected idleGather(): void {
    this.#gather?.becomeIdle();
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
    if (this.empty && this.isIdle) this.idleGather();
  }

  abstract push(call: SendCall): void;

  abstract endCall(call: SendCall, ending: SendEnding): void;

  /** The first call is sent. */
  protected succeed(call: SendCall): void {
    this.calls.shift();
    if (call.settled) return;
    const { ring } = this;
    ring.meter.sendSeconds.observe((ring.now - call.startedMs) / 1_000);
    call.succeed(undefined);
    if (this.#spare === null) this.#spare = call;
    else this.socket.context.spareSends.put(call);
  }

  /** Takes a call out of the queue, with what the kernel has not taken of it. */
  protected remove(call: SendCall): void {
    this.calls.remove(call);
    this.queuedBytes -= call.totalBytes - call.sentBytes;
    call.dropPieces();
  }

  /** Whether one of the first `count` calls ends, or has been told that it does. */
  protected anyEnding(count: number): boolean {
    let call = this.calls.head;
    for (let i = 0; i < count && call !== null; i++, call = call.next) {
      if (call.ending !== null || call.settled) return true;
    }
    return false;
  }

  /** The half has ended: calls of which the kernel has nothing are told now, and stay queued. */
  protected failWaiting(reason: CloseReason): void {
    for (let call = this.calls.head; call !== null; call = call.next) {
      if (!call.settled && !call.isInFlight) call.fail(sendClosed(call, reason));
    }
  }

  /** The half has ended and the kernel has nothing of it: empties the queue. */
  protected failAll(reason: CloseReason): void {
    for (let call = this.calls.shift(); call !== null; call = this.calls.shift()) {
      call.dropPieces();
      if (!call.settled) call.fail(sendClosed(call, reason));
    }
    this.queuedBytes = 0;
  }
}
