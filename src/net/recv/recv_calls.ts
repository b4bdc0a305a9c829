/**
 * The calls of a receiving half: how they are made, used again, and ended.
 *
 * @module
 */
import { HalfQueue } from "../socket/half_queue.ts";
import { RecvCall, type RecvCallOwner } from "./recv_call.ts";
import { type RecvEnd, recvError } from "./recv_error.ts";

export abstract class RecvCalls extends HalfQueue<RecvCall> implements RecvCallOwner {
  #spare: RecvCall | null = null;

  /** A call's budget (`abort` is null) or patience ended. */
  abstract endCall(call: RecvCall, abort: { reason: unknown } | null): void;

  /** A call to push: the last settled one, when it is free. */
  newCall(length: number, exact: boolean): RecvCall {
    const call = this.#spare ?? new RecvCall(this);
    this.#spare = null;
    return call.renew(length, exact);
  }

  override noteActivity(): void {
    super.noteActivity();
    this.socket.noteReceived();
  }

  /** Settles the first call. */
  protected succeed(call: RecvCall, value: unknown): void {
    this.calls.shift();
    if (value !== null) this.socket.noteReceived();
    if (call.pushes) return call.succeed(value);
    const { ring } = this.lane;
    ring.meter.recvSeconds.observe((ring.now - call.startedMs) / 1_000);
    call.succeed(value);
    this.#spare = call;
  }

  /** Fails every call, and drops what was received for it so far. */
  protected failAll(end: RecvEnd): void {
    for (let call = this.calls.shift(); call !== null; call = this.calls.shift()) {
      call.result?.release();
      call.result = null;
      call.fail(recvError(call, end, 0));
    }
  }
}
