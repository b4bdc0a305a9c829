/**
 * The calls of a sending half, and the buffer in which small sends are gathered: how a call is made
 * and reused, how it leaves the queue, how all calls fail.
 *
 * @module
 */
import { PLAIN_SLAB, RUNTIME_SLAB_FIRST, Slot } from "../../buf/slot.ts";
import type { CloseReason } from "../call/close_reason.ts";
import { HalfQueue } from "../socket/half_queue.ts";
import type { Socket } from "../socket/socket.ts";
import { GatherBuffer } from "./gather_buffer.ts";
import { SendCall, type SendCallOwner, type SendEnding } from "./send_call.ts";
import { sendClosed } from "./send_error.ts";

export abstract class SendCalls extends HalfQueue<SendCall> implements SendCallOwner {
  // Made when first needed, because a smaller half takes less of the processor's cache.
  #gather: GatherBuffer | null = null;
  /** Bytes in the queue, which write buffering compares with its limit. */
  queuedBytes = 0;
  bytesSent = 0;

  constructor(socket: Socket) {
    super(socket);
    socket.attach(this, "sending");
  }

  get empty(): boolean {
    return this.head === null;
  }

  /** Whether no call is queued or in flight. */
  get isDrained(): boolean {
    return this.empty && this.isIdle;
  }

  /** The buffer in which small sends are gathered. */
  get gather(): GatherBuffer {
    return this.#gather ??= new GatherBuffer(this.socket.context.pool);
  }

  /**
   * The slot, or plain memory over it where the kernel cannot see it: a buffer of a portable
   * network, sent over io_uring. Takes over one reference of the slot.
   */
  seen(slot: Slot): Slot {
    const { slab } = slot;
    const isForeign = slab >= RUNTIME_SLAB_FIRST && slab !== PLAIN_SLAB;
    return isForeign && this.ring.port.ownDescriptors !== true ? Slot.plainOver(slot) : slot;
  }

  /** Called when the queue is empty and no operation is in flight. */
  protected idleGather(): void {
    this.#gather?.becomeIdle();
  }

  /**
   * A call to fill and push. All connections share the settled ones: with thousands of connections,
   * a call of its own would not be in the processor's cache.
   */
  newCall(): SendCall {
    const call = this.socket.context.spareSends.take() as SendCall | null;
    if (call === null) return new SendCall(this);
    call.renew(this);
    return call;
  }

  /** Takes back a call that is not pushed after all. */
  dropCall(call: SendCall): void {
    call.dropPieces();
    if (this.isDrained) this.idleGather();
  }

  /**
   * Adds `length` bytes, which `slot` has at `start`, to the last call of the queue. Returns false
   * when they are not right behind that call's bytes, or when the kernel has the call.
   */
  tryExtend(call: SendCall, slot: Slot, start: number, length: number): boolean {
    if (call.isInFlight || call.settled || !call.lengthen(slot, start, length)) return false;
    this.queuedBytes += length;
    this.noteActivity();
    this.socket.noteSent();
    return true;
  }

  abstract endCall(call: SendCall, ending: SendEnding): void;

  /** Settles the first call, whose bytes are all sent. */
  protected succeed(call: SendCall): void {
    this.shift();
    if (call.settled) return;
    const { ring } = this;
    ring.meter.sendSeconds.observe((ring.now - call.startedMs) / 1_000);
    call.succeed(undefined);
    call.retire();
    this.socket.context.spareSends.put(call);
  }

  /** Removes a call from the queue, with the bytes that the kernel has not taken. */
  override remove(call: SendCall): boolean {
    const wasQueued = super.remove(call);
    this.queuedBytes -= call.totalBytes - call.sentBytes;
    call.dropPieces();
    return wasQueued;
  }

  /** Whether one of the first `count` calls is ending, or has settled already. */
  protected anyEnding(count: number): boolean {
    let call = this.head;
    for (let i = 0; i < count && call !== null; i++, call = call.next) {
      if (call.ending !== null || call.settled) return true;
    }
    return false;
  }

  /** The half has ended: calls of which the kernel has no byte fail now, and stay queued. */
  protected failWaiting(reason: CloseReason): void {
    for (let call = this.head; call !== null; call = call.next) {
      if (!call.settled && !call.isInFlight) call.fail(sendClosed(call, reason));
    }
  }

  /** The half has ended and the kernel has none of its bytes: empties the queue. */
  protected failAll(reason: CloseReason): void {
    for (let call = this.shift(); call !== null; call = this.shift()) {
      call.dropPieces();
      if (!call.settled) call.fail(sendClosed(call, reason));
    }
    this.queuedBytes = 0;
  }
}
