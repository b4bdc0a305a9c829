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
import { ERRNO, errnoText } from "../base/errno.ts";
import { Fifo } from "../base/fifo.ts";
import { COUNT } from "../base/meter.ts";
import { NetworkError } from "../base/network_error.ts";
import { IoBufs } from "../buf/io_bufs.ts";
import { Slot } from "../buf/slot.ts";
import type { OpWriter } from "../ring/op_writer.ts";
import { Operation } from "../ring/operation.ts";
import {
  CQE_BUFFER,
  CQE_BUFFER_SHIFT,
  CQE_SOCKET_NONEMPTY,
  OP_FLAG_POLL_FIRST,
} from "../ring/port.ts";
import type { ProvidedBuffers } from "../ring/provided_buffers.ts";
import { DirectRead } from "./direct_read.ts";
import { outcomeOf } from "./outcome.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { RecvCall } from "./recv_call.ts";
import { Retrier } from "./retrier.ts";
import type { Socket } from "./socket.ts";

/** How the half ended. `shown` once a call has been told. */
type RecvEnd =
  | { kind: "eof"; shown: boolean }
  | { kind: "error"; errno: number; shown: boolean }
  | { kind: "closed"; error: NetworkError };

export class RecvQueue extends Operation {
  readonly socket: Socket;
  readonly buffer: ReadBuffer;
  readonly #calls = new Fifo<RecvCall>();
  readonly #direct: DirectRead;
  readonly #retrier: Retrier;
  readonly #capacity: number;
  readonly #buffers: ProvidedBuffers | null;
  #spare: RecvCall | null = null;
  #filling = false;
  #nonEmpty = false;
  #end: RecvEnd | null = null;
  bytesReceived = 0;

  constructor(socket: Socket) {
    super(socket.context.recvRing.recvLane);
    this.socket = socket;
    this.buffer = new ReadBuffer(socket.context.pool);
    this.#direct = new DirectRead(socket.context);
    this.#retrier = new Retrier(this, COUNT.retriesRecv);
    this.#capacity = socket.context.config.readBufferSize;
    this.#buffers = socket.context.recvRing.buffers;
    socket.attach(this);
  }

  get ended(): boolean {
    return this.#end !== null;
  }

  /** True when no call waits: buffered bytes may be taken without overtaking anybody. */
  get quiet(): boolean {
    return this.#calls.count === 0;
  }

  /** The first call has received a part of what it wants. */
  get midMessage(): boolean {
    const call = this.#calls.head;
    return call !== null && (this.buffer.length > 0 || (call.result?.length ?? 0) > 0);
  }

  /** A call to push: the last settled one, when it is free. */
  newCall(length: number, exact: boolean): RecvCall {
    const call = this.#spare ?? new RecvCall(this);
    this.#spare = null;
    call.length = length;
    call.exact = exact;
    return call;
  }

  push(call: RecvCall): void {
    this.#calls.push(call);
    this.serve();
  }

  /** Ends pending calls with "Closed" and forgets what is buffered. */
  close(error: NetworkError): void {
    if (this.#end?.kind === "closed") return;
    this.#end = { kind: "closed", error };
    this.#retrier.stop();
    if (this.lane.ring.cancel(this)) this.#unwantFill();
    this.serve();
    if (this.idle) this.#direct.drop();
    this.buffer.clear();
  }

  expireCall(call: RecvCall): void {
    const { counts } = this.lane.ring.meter;
    counts[COUNT.timeoutsRecv]++;
    this.#leave(call);
    const bytesDone = Math.min(this.buffer.length, call.length);
    call.fail(
      new NetworkError(
        `Cannot receive ${call.length} bytes: ${call.timeoutMs} ms passed after ${bytesDone} bytes`,
        { code: "Timeout", operation: call.operation, bytesDone },
      ),
    );
    this.serve();
  }

  abortCall(call: RecvCall, reason: unknown): void {
    this.#leave(call);
    call.fail(reason);
    this.serve();
  }

  override prepare(writer: OpWriter): boolean {
    const call = this.#calls.head;
    if (call === null || this.#end !== null) {
      this.#unwantFill();
      return false;
    }
    const flags = this.#nonEmpty ? 0 : OP_FLAG_POLL_FIRST;
    if (this.#filling) {
      const length = Math.max(this.#capacity - this.buffer.length, 1);
      writer.recvSelect(this.socket.fd, length, flags);
      return true;
    }
    if (this.#direct.prepare(writer, this.socket.fd, call.remaining, flags)) return true;
    queueMicrotask(() => {
      if (!this.idle || this.#calls.head === null) return;
      if (!this.#retrier.retry("later")) this.#finish(-ERRNO.ENOBUFS);
      this.serve();
    });
    return false;
  }

  override complete(result: number, flags: number): void {
    this.#nonEmpty = (flags & CQE_SOCKET_NONEMPTY) !== 0;
    this.#unwantFill();
    const slot = (flags & CQE_BUFFER) !== 0
      ? (this.#buffers as ProvidedBuffers).take(flags >>> CQE_BUFFER_SHIFT)
      : null;
    if (result > 0) {
      this.bytesReceived += result;
      this.lane.ring.meter.counts[COUNT.inboundBytes] += result;
      this.#retrier.progress();
      if (slot !== null) this.#arrived(slot, result);
      else this.#direct.land(result, this.#calls.head, this.buffer);
    } else {
      if (slot !== null) (this.#buffers as ProvidedBuffers).giveBack(slot);
      else this.#direct.land(0, this.#calls.head, this.buffer);
      this.#finish(result);
    }
    if (this.#end?.kind === "closed") {
      this.#direct.drop();
      this.buffer.clear();
    }
    this.serve();
    if (this.socket.ending) this.socket.landed();
  }

  /** Gives calls what is there, in order, and asks the kernel for what is not. */
  serve(): void {
    for (let call = this.#calls.head; call !== null; call = this.#calls.head) {
      if (!this.#serveCall(call)) break;
    }
    if (this.#calls.head !== null && this.idle && this.#end === null && !this.#retrier.waiting) {
      this.#request(this.#calls.head);
    }
  }

  /** Whether the first call could be settled. */
  #serveCall(call: RecvCall): boolean {
    if (call.result !== null) {
      if (call.remaining > 0) return this.#end !== null && this.#failFirst(call);
      const result = call.result;
      call.result = null;
      this.#succeed(call, result);
      return true;
    }
    const { buffer } = this;
    if (this.#end?.kind !== "closed") {
      if (call.exact && buffer.length >= call.length) {
        this.#succeed(call, buffer.take(call.length));
        return true;
      }
      if (!call.exact && buffer.length > 0) {
        this.#succeed(call, buffer.takeSome(call.length));
        return true;
      }
    }
    return this.#end !== null && this.#failFirst(call);
  }

  #succeed(call: RecvCall, value: unknown): void {
    this.#calls.shift();
    const { ring } = this.lane;
    ring.meter.recvSeconds.observe((ring.now - call.startedMs) / 1_000);
    call.succeed(value);
    this.#spare = call;
  }

  /** A fill brought `length` bytes: to the first call if it wants just those, else buffered. */
  #arrived(slot: Slot, length: number): void {
    const buffers = this.#buffers as ProvidedBuffers;
    const lend = buffers.mayLend(slot);
    const call = this.#calls.head;
    const fits = call !== null && this.buffer.length === 0 && call.result === null &&
      (call.exact ? call.length === length : call.length >= length);
    if (fits && lend) {
      const handle = this.socket.context.pool.handle(slot, 0, length);
      this.#succeed(call, call.exact ? IoBufs.single(handle) : handle);
      return;
    }
    if (lend) {
      if (!this.buffer.push(slot, 0, length)) buffers.giveBack(slot);
      return;
    }
    const copy = this.socket.context.pool.take(length);
    copy.bytes.set(slot.bytes.subarray(0, length));
    buffers.giveBack(slot);
    if (!this.buffer.push(copy, 0, length)) copy.release();
  }

  /** Submits what the first call needs: straight into its result, or a fill. */
  #request(call: RecvCall): void {
    const buffered = this.buffer.length;
    const missing = call.length - buffered;
    const direct = call.result !== null || this.#capacity === 0 ||
      (call.exact && missing >= this.#capacity);
    if (direct && call.result === null) {
      call.result = buffered > 0 ? this.buffer.take(buffered) : new IoBufs();
    }
    this.#filling = !direct;
    if (!direct) (this.#buffers as ProvidedBuffers).wanted++;
    this.lane.ring.submit(this);
  }

  #unwantFill(): void {
    if (!this.#filling) return;
    this.#filling = false;
    (this.#buffers as ProvidedBuffers).wanted--;
  }

  /** Takes a call out; its bytes stay, in order. */
  #leave(call: RecvCall): void {
    const first = this.#calls.head === call;
    this.#calls.remove(call);
    if (!first || call.result === null) return;
    this.#leaveResult(call);
    if (!this.idle) this.lane.ring.meter.counts[COUNT.cancellationsRecv]++;
    if (this.lane.ring.cancel(this)) this.#direct.drop();
  }

  /** The half may end here: what that means for the calls is decided in `serve`. */
  #finish(result: number): void {
    const outcome = outcomeOf(result);
    if (outcome === "zero") {
      this.#end ??= { kind: "eof", shown: false };
      return;
    }
    if (outcome === "canceled") return;
    if (outcome === "again" || outcome === "later") {
      if (this.#end !== null || this.#calls.head === null) return;
      // The kernel had no read buffer left: it gets one with the next turn.
      const starved = result === -ERRNO.ENOBUFS && this.#buffers !== null;
      if (this.#retry(starved ? "again" : outcome)) return;
    }
    this.#end ??= { kind: "error", errno: -result, shown: false };
  }

  #retry(how: "again" | "later"): boolean {
    const call = this.#calls.head as RecvCall;
    if (call.result === null && this.#capacity > 0) {
      this.#filling = true;
      (this.#buffers as ProvidedBuffers).wanted++;
    }
    if (this.#retrier.retry(how)) return true;
    this.#unwantFill();
    return false;
  }

  #failFirst(call: RecvCall): boolean {
    const end = this.#end as RecvEnd;
    if (end.kind === "eof" && !call.exact) {
      end.shown = true;
      this.#succeed(call, null);
      return true;
    }
    this.#leaveResult(call);
    this.#calls.shift();
    call.fail(this.#errorFor(call, end));
    return true;
  }

  /** What a call had received stays readable, and what a flight still brings will be. */
  #leaveResult(call: RecvCall): void {
    const held = call.result;
    if (held === null) return;
    call.result = null;
    for (const chunk of held.moveOut()) {
      const slot = chunk.moveOut();
      if (!this.buffer.push(slot, chunk.start, chunk.start + chunk.span)) slot.release();
    }
    if (this.idle) this.#direct.drop();
    else this.#direct.orphan();
  }

  #errorFor(call: RecvCall, end: RecvEnd): NetworkError {
    const bytesDone = this.buffer.length;
    const { operation, length } = call;
    const wanted = call.exact ? `${length} bytes` : "bytes";
    if (end.kind === "closed") {
      return new NetworkError(`Cannot receive ${wanted}: ${end.error.message}`, {
        code: "Closed",
        operation,
        bytesDone,
        cause: end.error,
      });
    }
    const first = !end.shown;
    end.shown = true;
    const endOfStream = end.kind === "eof";
    const reason = end.kind === "eof" ? "the peer closed" : errnoText(end.errno);
    return new NetworkError(`Cannot receive ${wanted}: ${reason} after ${bytesDone} bytes`, {
      code: first || (endOfStream && bytesDone > 0) ? "RecvFailed" : "Closed",
      operation,
      errno: end.kind === "error" ? end.errno : null,
      bytesDone,
      endOfStream,
    });
  }
}
