/**
 * The receiving half's machine: a queue of calls, one operation in flight, the read buffer.
 *
 *                        fill: a provided buffer, chosen when data arrives
 *   kernel --completion-+-----------------------------------> read buffer -> calls
 *                       |direct: exactly what is missing ---> the first call's own result
 *
 * Invariants
 * - Bytes reach calls in the order of arrival: read buffer, then direct result, then kernel.
 * - A call that times out or is aborted leaves its bytes: what its result held goes to the read
 *   buffer at once, what a flight still brings follows when it lands.
 * - A fill in flight holds no memory. It is left in flight when its call ends: what it brings is
 *   buffered for the next call. A direct flight is cancelled: it would read past what is asked.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { LIMITS } from "../../base/limits.ts";
import { COUNT } from "../../base/meter.ts";
import { IoBufs, moveChunksOut } from "../../buf/io_bufs.ts";
import { Slot } from "../../buf/slot.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { ReadGroups } from "../../ring/read_groups.ts";
import { AF_UNIX } from "../address/address.ts";
import type { CloseReason } from "../call/close_reason.ts";
import { DirectRead } from "./direct_read.ts";
import { outcomeOf } from "../call/outcome.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { ReadSource } from "./read_source.ts";
import type { RecvCall } from "./recv_call.ts";
import { RecvCalls } from "./recv_calls.ts";
import { forgets, type RecvEnd, recvError, recvTimeout } from "./recv_error.ts";
import type { Socket } from "../socket/socket.ts";

export class RecvQueue extends RecvCalls {
  // Made when first needed: what is not there does not fall out of the processor's cache.
  #buffer: ReadBuffer | null = null;
  #direct: DirectRead | null = null;
  readonly #capacity: number;
  readonly #source: ReadSource;
  #end: RecvEnd | null = null;
  bytesReceived = 0;

  constructor(socket: Socket) {
    super(socket, socket.context.recvRing.recvLane);
    this.#capacity = socket.context.config.readBufferSize;
    const watches = socket.family !== AF_UNIX && this.#capacity > LIMITS.watchBufferBytes;
    this.#source = new ReadSource(socket.context.recvRing.reads as ReadGroups, watches);
  }

  protected override get retryCounter(): number {
    return COUNT.retriesRecv;
  }

  /** Bytes that have arrived and are not asked for. */
  get buffered(): number {
    return this.#buffer === null ? 0 : this.#buffer.length;
  }

  get buffer(): ReadBuffer {
    return this.#buffer ??= new ReadBuffer(this.socket.context.pool);
  }

  get ended(): boolean {
    return this.#end !== null;
  }

  /** The first call has a part of what it wants. */
  get midMessage(): boolean {
    const call = this.calls.head;
    return call !== null && (this.buffered > 0 || (call.result?.length ?? 0) > 0);
  }

  push(call: RecvCall): void {
    this.calls.push(call);
    // Nothing there and nothing asked for yet: straight to the kernel.
    const first = this.calls.head === call && this.buffered === 0 && this.#end === null;
    if (first && this.free) this.#request(call);
    else this.serve();
  }

  /** Ends pending calls with "Closed" and forgets what is buffered. */
  close(reason: CloseReason): void {
    if (this.#end?.kind === "closed") return;
    this.#end = { kind: "closed", reason };
    this.stopRetrying();
    this.#withdraw();
    this.serve();
    this.#buffer?.clear();
  }

  override endCall(call: RecvCall, abort: { reason: unknown } | null): void {
    const first = this.calls.head === call;
    this.#leave(call);
    if (abort === null) this.lane.ring.meter.counts[COUNT.timeoutsRecv]++;
    // What is buffered is the first call's: one behind it has nothing yet.
    const reach = first ? Math.min(this.buffered, call.length) : 0;
    call.fail(abort === null ? recvTimeout(call, reach) : abort.reason);
    this.serve();
  }

  override prepare(writer: OpWriter): boolean {
    const call = this.calls.head;
    if (call === null || this.#end !== null) {
      this.#source.unwant();
      return false;
    }
    if (this.#source.wanted) {
      // What is left of the buffer, but no less than the call wants: it could be single bytes else.
      const room = Math.max(this.#capacity - this.buffered, call.length - this.buffered);
      const length = call.result === null ? Math.min(room, this.#capacity) : call.remaining;
      this.#source.write(writer, this.socket.fd, length, call.length);
      return true;
    }
    this.#direct ??= new DirectRead(this.socket.context);
    if (this.#direct.prepare(writer, this.socket.fd, call.remaining, this.#source.flags)) {
      return true;
    }
    // The pool has nothing left: a provided buffer, which is taken only when data arrives.
    this.lane.ring.defer(this, () => this.serve());
    return false;
  }

  override complete(result: number, flags: number): void {
    const slot = this.#source.take(result, flags);
    const starved = result === -ERRNO.ENOBUFS && this.#source.contended();
    if (this.idle) this.#source.unwant();
    if (result > 0) {
      this.bytesReceived += result;
      this.lane.ring.meter.counts[COUNT.inboundBytes] += result;
      this.progressed();
      if (slot !== null) this.#arrived(slot, result);
      else this.#direct?.land(result, this.calls.head, this.buffer);
    } else {
      if (slot !== null) this.#source.giveBack(slot);
      else this.#direct?.land(0, this.calls.head, this.buffer);
      this.#finish(result, starved);
    }
    if (forgets(this.#end)) {
      this.#direct?.drop();
      this.#buffer?.clear();
    }
    this.serve();
    if (this.socket.ending) this.socket.landed();
  }

  /** The half ends. Nothing that is buffered can be trusted: bytes may be missing in it. */
  override fail(cause: unknown, _result: number, flags: number): void {
    this.#source.reclaim(flags);
    this.stopRetrying();
    this.#withdraw();
    if (this.#end?.kind !== "closed") this.#end = { kind: "broken", cause, shown: false };
    this.#buffer?.clear();
    this.failAll(this.#end);
    if (this.socket.ending) this.socket.landed();
  }

  override detain(): void {
    this.#direct?.detain();
  }

  /** Gives calls what is there, in order, and asks the kernel for what is not. */
  serve(): void {
    let next = this.calls.head;
    while (next !== null && this.#serveCall(next)) next = this.calls.head;
    if (next === null || this.#end !== null) return;
    if (!this.free && this.#source.watching && this.#bypasses(next)) this.#endWatch();
    if (this.free) this.#request(next);
  }

  /** Large enough to be received straight into its result. */
  #bypasses(call: RecvCall): boolean {
    return this.#capacity === 0 || (call.exact && call.length - this.buffered >= this.#capacity);
  }

  /** Ends a watch: at once, or with a completion; it may bring some more until then. */
  #endWatch(): void {
    this.#source.restart();
    this.canceling = false;
    if (this.lane.ring.cancel(this)) this.#source.unwant();
  }

  /** Whether the first call could be settled. */
  #serveCall(call: RecvCall): boolean {
    if (call.result !== null) {
      const enough = call.exact ? call.remaining === 0 : call.remaining < call.length;
      if (!enough) return this.#end !== null && this.#failFirst(call);
      const result = call.result;
      call.result = null;
      // recvSome takes what one flight brought: one range.
      this.succeed(call, call.exact ? result : moveChunksOut(result)[0]);
      return true;
    }
    const { buffered } = this;
    const { exact, length } = call;
    if (buffered >= (exact ? length : 1) && !forgets(this.#end)) {
      this.succeed(call, exact ? this.buffer.take(length) : this.buffer.takeSome(length));
      return true;
    }
    return this.#end !== null && this.#failFirst(call);
  }

  /** A fill brought `length` bytes: to the first call if it wants just those, else buffered. */
  #arrived(slot: Slot, length: number): void {
    const source = this.#source;
    const lend = source.mayLend(slot);
    const call = this.calls.head;
    const fits = call !== null && this.buffered === 0 && call.result === null &&
      (call.exact ? call.length === length : call.length >= length);
    source.note(length, call !== null);
    if (source.watching && this.buffered + length >= LIMITS.watchBufferBytes) this.#endWatch();
    if (fits && lend) {
      const value = call.lent(this.socket.context.pool, slot, length);
      source.passOn();
      this.succeed(call, value);
      return;
    }
    if (!lend) this.buffer.pushCopy(slot, 0, length);
    if (!lend || !this.buffer.push(slot, 0, length)) source.giveBack(slot);
    else source.passOn();
    // A direct receive that found the pool empty goes on with what came this way.
    if (call !== null && call.result !== null) call.result.append(this.buffer.take(this.buffered));
    if (this.#direct !== null) this.#direct.starved = false;
  }

  /** Submits what the first call needs: straight into its result, or a fill, in line if need be. */
  #request(call: RecvCall, starved = false): void {
    const { ring, crowded } = this.lane;
    const direct = call.result !== null || this.#bypasses(call);
    if (direct) call.result ??= this.buffered > 0 ? this.buffer.takeAll() : new IoBufs();
    const fills = !direct || this.#direct?.starved === true;
    if (fills) this.#source.want(direct, call.exact ? 0 : call.length);
    const lines = fills && (starved || (crowded && this.#source.single));
    ring.submit(this, lines ? "line" : "fresh");
  }

  /** Takes a call out; its bytes stay, in order. */
  #leave(call: RecvCall): void {
    const first = this.calls.head === call;
    this.calls.remove(call);
    if (!first || call.result === null) return;
    this.#leaveResult(call);
    if (!this.idle) this.lane.ring.meter.counts[COUNT.cancellationsRecv]++;
    this.#withdraw();
  }

  /** Ends the operation: at once, or with a completion. */
  #withdraw(): void {
    if (!this.lane.ring.cancel(this)) return;
    this.#direct?.drop();
    this.#source.unwant();
  }

  /** The half may end here: what that means for the calls is decided in `serve`. */
  #finish(result: number, starved: boolean): void {
    const outcome = outcomeOf(result);
    if (outcome === "canceled" && this.canceling) return;
    if (outcome === "again" || outcome === "later") {
      const call = this.calls.head;
      if (this.#end !== null || call === null) return;
      if (starved) {
        this.lane.ring.meter.counts[COUNT.retriesRecv]++;
        this.progressed(); // Others took the buffers, so the next pause is the first.
        return this.#request(call, true);
      }
      if (call.result === null && this.#capacity > 0) this.#source.want(true, 0);
      if (this.retry(outcome)) return;
      this.#source.unwant();
    }
    const clean = outcome === "zero" && !this.socket.cutOff();
    if (clean && !this.socket.ending) this.socket.peerEnd = "fin";
    const errno = -result || ERRNO.ECONNRESET;
    this.#end ??= clean ? { kind: "eof", shown: false } : { kind: "error", errno, shown: false };
  }

  #failFirst(call: RecvCall): boolean {
    const end = this.#end as RecvEnd;
    if (end.kind === "eof" && !call.exact) {
      end.shown = true;
      this.succeed(call, null);
      return true;
    }
    this.#leaveResult(call);
    this.calls.shift();
    call.fail(recvError(call, end, this.buffered));
    return true;
  }

  /** What a call had received stays readable, and what a flight still brings will be. */
  #leaveResult(call: RecvCall): void {
    const held = call.result;
    if (held === null) return;
    call.result = null;
    this.buffer.pushBack(held);
    this.#direct?.leave(this.idle);
  }
}
