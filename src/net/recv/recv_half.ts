/**
 * The receiving half of one connection: a queue of calls, one operation, the read buffer, the end.
 *
 *   kernel --+-- provided buffer: single, multishot, bulk ----> read buffer --> calls
 *            +-- direct: exactly the bytes that are missing --> the result of the first call
 *
 * The reception is the kind of receive that the half has submitted:
 *
 *           a call waits                             the final completion
 *   none --------------------> single, bulk -----------------------------------> none
 *    |  \    small messages were awaited       messages arrive; final completion
 *    |   +--------------------> multishot --------------------------------------> none
 *    |  large, or no read buffer        its bytes become part of the result
 *    +------------------------> direct -----------------------------------------> none
 *                                 | its call leaves: cancel      its bytes are buffered
 *                                 +-----------------> directToBuffer -----------> none
 *
 * The end of the half (`RecvEnd`): null, then one of eof, error, closed, broken. The reception of a
 * half that has ended goes on until its final completion.
 *
 * Invariants
 * - Bytes reach calls in the order of arrival: read buffer, then direct result, then kernel.
 * - A call that times out or is aborted loses no byte. The read buffer takes the bytes of its
 *   result at once, and the bytes of a flight when the flight lands.
 * - A receive with a provided buffer holds no memory while it is in flight. It stays in flight when
 *   its call ends, and its bytes are buffered for the next call. A direct receive is cancelled,
 *   because it could take more bytes than the next call asks for.
 * - In "direct" the first call has a result. Any other reception may outlive its call.
 *
 * @module
 */
import { unreachable } from "../../base/assert.ts";
import { ERRNO } from "../../base/errno.ts";
import { LIMITS } from "../../base/limits.ts";
import { COUNT } from "../../base/meter.ts";
import { IoBufs, moveChunksOut } from "../../buf/io_bufs.ts";
import { Slot } from "../../buf/slot.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import type { Lane } from "../../ring/lane.ts";
import type { Operation } from "../../ring/operation.ts";
import type { Ring } from "../../ring/ring.ts";
import { AF_UNIX } from "../address/sockaddr.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { Telling } from "../call/ended_calls.ts";
import { DirectRead } from "./direct_read.ts";
import { outcomeOf } from "../call/outcome.ts";
import type { Provided, ReadSource, Reception } from "../../ring/read_source.ts";
import type { RecvCall } from "./recv_call.ts";
import { type FlightEnd, RecvCalls } from "./recv_calls.ts";
import { forgets, type RecvEnd, recvError, recvTimeout } from "./recv_error.ts";
import type { Socket } from "../socket/socket.ts";

export class RecvHalf extends RecvCalls {
  // Made when first needed, because a smaller half takes less of the processor's cache.
  #direct: DirectRead | null = null;
  #reception: Reception = "none";
  #end: RecvEnd | null = null;
  bytesReceived = 0;

  constructor(socket: Socket) {
    super(socket);
    socket.attach(this, "receiving");
  }

  get #source(): ReadSource {
    return this.socket.context.readSource;
  }

  override get ring(): Ring {
    return this.socket.context.recvRing;
  }

  protected override get lane(): Lane<Operation> {
    return this.ring.recvLane;
  }

  protected override get retryCounter(): number {
    return COUNT.retriesRecv;
  }

  get ended(): boolean {
    return this.#end !== null;
  }

  /** Whether the first call has received a part of its bytes. */
  get midMessage(): boolean {
    const call = this.head;
    return call !== null && (this.buffered > 0 || (call.result?.length ?? 0) > 0);
  }

  override push(call: RecvCall): void {
    if (this.#end !== null) this.tellEnded();
    super.push(call);
    // Without buffered bytes and without a receive in flight, the call needs a new receive.
    const first = this.head === call && this.buffered === 0 && this.#end === null;
    if (first && this.isFree) this.#request(call);
    else this.serve();
  }

  /** Ends pending calls with "Closed" and drops the buffered bytes. */
  close(reason: CloseReason, flight: FlightEnd, telling: Telling): void {
    if (this.#end?.kind === "closed") return telling === "atOnce" ? this.tellEnded() : undefined;
    this.#end = { kind: "closed", reason };
    this.stopRetrying();
    this.#withdraw(flight);
    this.tell(this.#end, telling);
    this.clearBuffer();
  }

  override endCall(call: RecvCall, abort: { reason: unknown } | null): void {
    const first = this.head === call;
    this.#leave(call);
    if (abort === null) this.ring.meter.counts[COUNT.timeoutsRecv]++;
    // The buffered bytes belong to the first call. The calls behind it have none.
    const reach = first ? Math.min(this.buffered, call.length) : 0;
    call.fail(abort === null ? recvTimeout(call, reach) : abort.reason);
    this.serve();
  }

  /** Ends the first call, if there is one, as an abort of its signal would. */
  abortFirst(reason: unknown): void {
    const call = this.head;
    if (call !== null) this.endCall(call, { reason });
  }

  override prepare(writer: OpWriter): boolean {
    const call = this.head;
    if (call === null || this.#end !== null) {
      this.#forget();
      return false;
    }
    const reception = this.#reception;
    switch (reception) {
      case "single":
      case "multishot":
      case "bulk": {
        const length = this.#providedLength(call);
        this.#source.write(writer, reception, this.socket.fd, length, call.length, this);
        return true;
      }
      case "none": // A pause has ended, and the call for which it began may have left.
      case "direct":
      case "directToBuffer":
        return this.#prepareDirect(writer, call);
      default:
        return unreachable(reception);
    }
  }

  #prepareDirect(writer: OpWriter, call: RecvCall): boolean {
    this.#direct ??= new DirectRead(this.socket.context);
    // Without a result, the call takes buffered bytes first.
    const missing = call.result === null ? call.length - this.buffered : call.remaining;
    if (this.#direct.prepare(writer, this.socket.fd, missing, this)) {
      this.#reception = call.result === null ? "directToBuffer" : "direct";
      return true;
    }
    this.#reception = "none";
    // The pool is empty. `serve` submits a receive with a provided buffer instead.
    this.ring.defer(this, () => this.serve());
    return false;
  }

  override complete(result: number, flags: number): void {
    const reception = this.#reception;
    const slot = this.#source.take(reception, result, flags, this);
    const starved = result === -ERRNO.ENOBUFS && this.#source.contended(reception, this);
    if (this.isIdle) this.#forget();
    if (result > 0) {
      this.bytesReceived += result;
      this.ring.meter.counts[COUNT.inboundBytes] += result;
      this.progressed();
    }
    switch (reception) {
      case "single":
      case "multishot":
      case "bulk":
        if (slot !== null) this.#landProvided(slot, result);
        break;
      case "direct":
        this.#direct?.toResult(Math.max(result, 0), this.head as RecvCall);
        break;
      case "directToBuffer":
        this.#direct?.toBuffer(Math.max(result, 0), this.buffer);
        break;
      case "none":
        break;
      default:
        unreachable(reception);
    }
    if (result <= 0) this.#finish(result, starved);
    if (forgets(this.#end)) {
      this.#direct?.drop();
      this.clearBuffer();
    }
    this.serve();
    if (this.socket.ending) this.socket.landed();
  }

  /** The half ends. The buffered bytes are dropped, because bytes may be missing among them. */
  override fail(cause: unknown, _result: number, flags: number): void {
    this.#source.reclaim(this.#reception, flags, this);
    this.stopRetrying();
    this.#withdraw();
    if (this.#reception === "direct") this.#reception = "directToBuffer";
    if (this.#end?.kind !== "closed") this.#end = { kind: "broken", cause, shown: false };
    this.clearBuffer();
    this.failAll(this.#end);
    if (this.socket.ending) this.socket.landed();
  }

  override detain(): void {
    this.#direct?.detain();
  }

  /** Serves the calls in order, and submits a receive for the missing bytes. */
  override serve(): void {
    let next = this.head;
    while (next !== null && this.#serveCall(next)) next = this.head;
    if (next === null || this.#end !== null) return;
    if (!this.isFree && this.#reception === "multishot" && this.#bypasses(next)) {
      this.#stopMultishot();
    }
    if (this.isFree) this.#request(next);
  }

  #bypasses(call: RecvCall): boolean {
    return call.bypasses(this.buffered, this.capacity);
  }

  /** The length of a receive into a provided buffer. */
  #providedLength(call: RecvCall): number {
    if (call.result !== null) return call.remaining;
    const missing = call.length - this.buffered;
    // Without read buffering, only the missing bytes.
    if (this.capacity === 0) return missing;
    // The free part of the read buffer, or the missing bytes: receives must not become tiny.
    return Math.min(Math.max(this.capacity - this.buffered, missing), this.capacity);
  }

  /** Ends a multishot receive at once, or with a completion. More bytes may come until then. */
  #stopMultishot(): void {
    this.#source.restart(this);
    if (this.cancelAgain()) this.#forget();
  }

  /** Notes that no receive is submitted any more. */
  #forget(): void {
    const reception = this.#reception;
    this.#reception = "none";
    switch (reception) {
      case "single":
      case "multishot":
      case "bulk":
        return this.#source.withdraw(reception);
      case "none":
      case "direct":
      case "directToBuffer":
        return;
      default:
        unreachable(reception);
    }
  }

  /** Whether the first call could be settled. */
  #serveCall(call: RecvCall): boolean {
    const served = call.result === null
      ? !forgets(this.#end) && this.serveBuffered(call)
      : this.#serveDirect(call, call.result);
    return served || (this.#end !== null && this.#failFirst(call));
  }

  #serveDirect(call: RecvCall, result: IoBufs): boolean {
    const exact = call.kind === "exact";
    const enough = exact ? call.remaining === 0 : call.remaining < call.length;
    if (!enough) return false;
    call.result = null;
    // `recvSome` takes the bytes of one flight, which are one range.
    this.succeed(call, exact ? result : moveChunksOut(result)[0]);
    return true;
  }

  #landProvided(slot: Slot, result: number): void {
    if (result > 0) this.#arrived(slot, result);
    else this.#source.giveBack(slot);
  }

  /**
   * Passes a slot with `length` bytes to the first call if it wants exactly these bytes, else to
   * the read buffer.
   */
  #arrived(slot: Slot, length: number): void {
    const source = this.#source;
    const lend = source.mayLend(slot);
    const call = this.head;
    const fits = call !== null && this.buffered === 0 && call.result === null && call.fits(length);
    source.note(length, call !== null, this);
    if (this.#reception === "multishot" && this.buffered + length >= LIMITS.multishotBufferBytes) {
      this.#stopMultishot();
    }
    if (fits && lend) {
      const value = call.lent(this.socket.context.pool, slot, length);
      source.passOn();
      this.succeed(call, value);
      return;
    }
    if (!lend) this.buffer.pushCopy(slot, 0, length);
    if (!lend || !this.buffer.push(slot, 0, length)) source.giveBack(slot);
    else source.passOn();
    // A direct receive had found the pool empty, and a provided buffer was used instead.
    if (call !== null && call.result !== null) call.result.append(this.buffer.take(this.buffered));
    if (this.#direct !== null) this.#direct.starved = false;
  }

  /** Submits a receive for the first call. `starved`: the last one found no provided buffer. */
  #request(call: RecvCall, starved = false): void {
    const direct = call.result !== null || this.#bypasses(call);
    if (direct) call.result ??= this.buffered > 0 ? this.buffer.takeAll() : new IoBufs();
    if (direct && this.#direct?.starved !== true) {
      this.#reception = "direct";
      return this.submit("fresh");
    }
    const once = direct || this.capacity === 0 || this.socket.family === AF_UNIX;
    const provided = this.#source.choose(once, call.kind === "some" ? call.length : 0, this);
    this.#ask(provided);
    const waits = starved || (provided === "single" && this.lane.hasBufferQueue);
    this.submit(waits ? "awaitingBuffer" : "fresh");
  }

  #ask(provided: Provided): void {
    this.#source.request(provided);
    this.#reception = provided;
  }

  /** Removes a call. Its bytes stay, in order. */
  #leave(call: RecvCall): void {
    const first = this.head === call;
    this.remove(call);
    if (!first || call.result === null) return;
    this.leaveResult(call);
    if (!this.isIdle) this.ring.meter.counts[COUNT.cancellationsRecv]++;
    this.#withdraw();
  }

  /** Ends the operation at once, or with a completion. */
  #withdraw(how: FlightEnd = "cancelled"): void {
    if (!this.endFlight(how)) return;
    this.#direct?.drop();
    this.#forget();
  }

  /** Handles a completion without bytes, which may end the half. `serve` settles the calls then. */
  #finish(result: number, starved: boolean): void {
    const outcome = outcomeOf(result);
    if (outcome === "canceled" && this.isCanceling) return;
    if (outcome === "again" || outcome === "later") {
      const call = this.head;
      if (this.#end !== null || call === null) return;
      if (starved) {
        this.ring.meter.counts[COUNT.retriesRecv]++;
        this.progressed(); // Other receives took the buffers, so the next pause is a short one.
        return this.#request(call, true);
      }
      const buffers = this.capacity > 0 || !this.#bypasses(call);
      if (call.result === null && buffers) this.#ask("single");
      if (this.retry(outcome)) return;
      this.#forget();
    }
    const clean = outcome === "zero" && !this.socket.cutOff();
    if (clean && !this.socket.ending) this.socket.peerEnd = "fin";
    const errno = -result || ERRNO.ECONNRESET;
    this.#end ??= clean ? { kind: "eof", shown: false } : { kind: "error", errno, shown: false };
  }

  #failFirst(call: RecvCall): boolean {
    const end = this.#end as RecvEnd;
    if (end.kind === "eof" && this.meetEndOfStream(call, end)) return true;
    this.leaveResult(call);
    this.shift();
    call.fail(recvError(call, end, this.buffered));
    return true;
  }

  /** Moves the bytes of the result to the read buffer. Those of a flight follow when it lands. */
  protected override leaveResult(call: RecvCall): void {
    const held = call.result;
    if (held === null) return;
    call.result = null;
    this.buffer.pushBack(held);
    if (this.isIdle) this.#direct?.drop();
    else if (this.#reception === "direct") this.#reception = "directToBuffer";
  }
}
