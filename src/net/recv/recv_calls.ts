/**
 * The calls of a receiving half, and the bytes that are buffered for them: how a call is made and
 * reused, how it is served from the read buffer and at the end of the stream, how it fails.
 *
 * @module
 */
import { unreachable } from "../../base/assert.ts";
import type { RareReadState, ReadState } from "../../ring/read_source.ts";
import type { Telling } from "../call/ended_calls.ts";
import { HalfQueue } from "../socket/half_queue.ts";
import { newRecvCall, type RecvCall, type RecvCallOwner, type RecvKind } from "./recv_call.ts";
import { EndedReceives } from "./ended_receives.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { type RecvEnd, recvError, tooLong } from "./recv_error.ts";
import type { UntilCall } from "./until_call.ts";

/**
 * The end of a receive that is in flight. "cancelled": now. "endsWithSocket": the end of the socket
 * follows, which ends the receive without a cancel.
 */
export type FlightEnd = "cancelled" | "endsWithSocket";

export abstract class RecvCalls extends HalfQueue<RecvCall> implements RecvCallOwner, ReadState {
  // Made when first needed, because a smaller half takes less of the processor's cache.
  #buffer: ReadBuffer | null = null;
  #spare: RecvCall | null = null;
  readTrend = 0;
  rareReads: RareReadState | null = null;

  /** Ends a call whose budget ran out (`abort` is null) or whose signal was aborted. */
  abstract endCall(call: RecvCall, abort: { reason: unknown } | null): void;

  /** Serves the calls in order. Those of a half that has ended fail. */
  abstract serve(): void;

  /** Moves the bytes that a call holds to the read buffer. */
  protected abstract leaveResult(call: RecvCall): void;

  /** The number of bytes that have arrived and that no call has taken. */
  get buffered(): number {
    return this.#buffer === null ? 0 : this.#buffer.length;
  }

  /** The size of the read buffer. */
  protected get capacity(): number {
    return this.socket.context.config.readBufferSize;
  }

  get buffer(): ReadBuffer {
    return this.#buffer ??= new ReadBuffer(this.socket.context.pool);
  }

  protected clearBuffer(): void {
    this.#buffer?.clear();
  }

  /** A call to push. Reuses the last settled one when it is free and of the same kind. */
  newCall(length: number, kind: Exclude<RecvKind, "until">): RecvCall {
    const spare = this.#spare;
    this.#spare = null;
    const fits = spare !== null && spare.kind === kind;
    return (fits ? spare : newRecvCall(this, kind)).renew(length);
  }

  override noteActivity(): void {
    super.noteActivity();
    this.socket.noteReceived();
  }

  /** Settles the first call. */
  protected succeed(call: RecvCall, value: unknown): void {
    this.shift();
    if (value !== null) this.socket.noteReceived();
    if (call.pushes) return call.succeed(value);
    const { ring } = this;
    ring.meter.recvSeconds.observe((ring.now - call.startedMs) / 1_000);
    call.succeed(value);
    // The maker of a call with a delimiter keeps that call for itself.
    if (call.kind !== "until") this.#spare = call;
  }

  /** Returns true when no receive is in flight any more, and false when one will still land. */
  protected endFlight(how: FlightEnd): boolean {
    switch (how) {
      case "cancelled":
        return this.cancel();
      case "endsWithSocket":
        return this.withdraw();
      default:
        return unreachable(how);
    }
  }

  /** Fails the calls of a half that has ended. A call that pushes is told at once. */
  protected tell(end: RecvEnd, telling: Telling): void {
    const first = this.head;
    if (first === null) return;
    switch (telling) {
      case "atOnce":
        return this.serve();
      case "inRounds":
        return first.pushes ? this.serve() : this.#tellInRounds(first, end);
      default:
        unreachable(telling);
    }
  }

  /** Takes all calls out of the queue, so that nothing reaches them, and fails them in rounds. */
  #tellInRounds(first: RecvCall, end: RecvEnd): void {
    this.leaveResult(first);
    const ended = new EndedReceives(end, this.buffered);
    for (let call = this.shift(); call !== null; call = this.shift()) {
      call.disarm();
      ended.push(call);
    }
    this.socket.context.endedCalls.add(this, ended);
  }

  /** Fails the calls that were left to rounds: nothing later may come before them. */
  tellEnded(): void {
    this.socket.context.endedCalls.tell(this);
  }

  /** Fails every call, and drops the bytes that were received for it so far. */
  protected failAll(end: RecvEnd): void {
    for (let call = this.shift(); call !== null; call = this.shift()) {
      call.result?.release();
      call.result = null;
      call.fail(recvError(call, end, 0));
    }
  }

  /**
   * Gives the first call its bytes when all of them are buffered. Returns false when they are not.
   */
  protected serveBuffered(call: RecvCall): boolean {
    const { buffered } = this;
    const { kind, length } = call;
    switch (kind) {
      case "exact":
        if (buffered < length) return false;
        this.succeed(call, this.buffer.take(length));
        return true;
      case "some":
        if (buffered === 0) return false;
        this.succeed(call, this.buffer.takeSome(length));
        return true;
      case "wait":
        if (buffered < length) return false;
        this.succeed(call, true);
        return true;
      case "until":
        return buffered > 0 && this.#serveUntil(call as UntilCall);
      default:
        return unreachable(kind);
    }
  }

  #serveUntil(call: UntilCall): boolean {
    const length = call.find(this.buffer);
    if (length >= 0) {
      this.#give(call, length, true);
      return true;
    }
    if (this.buffered < call.length) return false;
    this.shift();
    call.fail(tooLong(call, this.buffered));
    return true;
  }

  /** The first call takes its bytes. Or it fails, and takes none. */
  #give(call: UntilCall, length: number, isComplete: boolean): void {
    let value: unknown;
    try {
      value = call.give(this.buffer, length, isComplete);
    } catch (error) {
      this.shift();
      call.fail(error);
      return;
    }
    this.succeed(call, value);
  }

  /** Settles the first call at the peer's FIN. Returns false when FIN is a failure for the call. */
  protected meetEndOfStream(call: RecvCall, end: { shown: boolean }): boolean {
    switch (call.kind) {
      case "exact":
        return false;
      case "some":
        end.shown = true;
        this.succeed(call, null);
        return true;
      case "wait":
        // A `wait` consumes no byte, and does not count as having met the end.
        this.succeed(call, false);
        return true;
      case "until": {
        const until = call as UntilCall;
        if (!until.endsWithStream) return false;
        end.shown = true;
        if (this.buffered > 0) this.#give(until, this.buffered, false);
        else this.succeed(call, null);
        return true;
      }
      default:
        return unreachable(call.kind);
    }
  }
}
