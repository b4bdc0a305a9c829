/**
 * The accepting half of one listener: a queue of `accept()` calls, and one operation in flight.
 *
 * Where one connection has arrived, others often wait. The calls behind the first one therefore
 * take connections straight from the backlog, without a turn of the ring for each, until the
 * backlog is empty or the burst has reached its limit.
 *
 *     call -> operation on the ring -> connection -> call -> from the backlog -> ... -> ring
 *
 * Invariants
 * - Nothing is accepted while no call waits.
 * - A call that gives up does not cancel the operation. The connection that the operation may still
 *   bring goes to the next call, or waits in `#ready`, so that no connection is lost.
 * - EMFILE and the other errors of exhaustion do not end calls: accepting pauses, with growing
 *   pauses, and the peers wait in the backlog until descriptors are free again.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { Fifo, type Linked } from "../../base/fifo.ts";
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { COUNT } from "../../base/meter.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";
import type { PackedAddress } from "../address/packed_address.ts";
import { Call } from "../call/call.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { LoopReference } from "../call/loop_reference.ts";
import type { SocketConnection } from "../connection/socket_connection.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { type Accepted, AcceptOperation } from "./accept_operation.ts";

/**
 * The peer left before it was accepted, or the network failed for a moment: accept(2), "errors".
 */
const TRANSIENT = new Set(
  ["EAGAIN", "EINTR", "ECONNABORTED", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"]
    .concat("EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "EPERM", "ETIMEDOUT")
    .map((name) => ERRNO[name]),
);

/** The process or the system is out of a resource that becomes free again. */
const EXHAUSTED = new Set([ERRNO.EMFILE, ERRNO.ENFILE, ERRNO.ENOBUFS, ERRNO.ENOMEM]);

export type ConnectionMaker = (fd: number, peer: PackedAddress) => SocketConnection;

/** One `accept()`. */
class AcceptCall extends Call implements Linked<AcceptCall> {
  next: AcceptCall | null = null;
  previous: AcceptCall | null = null;
  override readonly loopReference: LoopReference;
  readonly #queue: AcceptQueue;

  constructor(queue: AcceptQueue, loopReference: LoopReference) {
    super();
    this.#queue = queue;
    this.loopReference = loopReference;
  }

  override expire(): void {
    this.#queue.expireCall(this);
  }

  override abort(reason: unknown): void {
    this.#queue.abortCall(this, reason);
  }

  protected override enqueue(): void {
    this.#queue.push(this);
  }
}

export class AcceptQueue {
  readonly #context: NetworkContext;
  readonly #name: string;
  readonly #make: ConnectionMaker;
  /** Called after `close`, when the operation is back from the kernel. */
  readonly #landed: () => void;
  readonly #operation: AcceptOperation;
  readonly #calls = new Fifo<AcceptCall>();
  /** At most one connection: nothing is accepted while no call waits. */
  readonly #ready: SocketConnection[] = [];
  #closed: NetworkError | null = null;
  #pauseMs: number = LIMITS.acceptBackOffFirstMs;
  #pause: HostTimer | null = null;
  #failures = 0;
  /** An error inside the library that no call has received yet. */
  #unreported: NetworkError | null = null;
  /**
   * Connections that this burst may still take past the ring; 0 while the operation is in flight.
   */
  #burst = 0;

  constructor(
    context: NetworkContext,
    fd: number,
    name: string,
    make: ConnectionMaker,
    landed: () => void,
  ) {
    this.#context = context;
    this.#name = name;
    this.#make = make;
    this.#landed = landed;
    this.#operation = new AcceptOperation(context.recvRing, fd, {
      accepted: this.#done,
      broken: this.#broken,
    });
  }

  get idle(): boolean {
    return this.#operation.isIdle;
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  /** The connection for the next call. Throws for wrong options and when the listener is closed. */
  accept(
    options: CallOptions | undefined,
    loopReference: LoopReference,
  ): Promise<SocketConnection> {
    this.#throwClosed();
    const call = new AcceptCall(this, loopReference);
    call.prepare(options, null);
    // A getter of the options may have closed the listener.
    this.#throwClosed();
    const ready = this.#ready.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return call.start<SocketConnection>();
  }

  #throwClosed(): void {
    if (this.#closed !== null) throw this.#closedError();
  }

  #closedError(): NetworkError {
    return new NetworkError(`Cannot accept on ${this.#name}: the listener is closed`, {
      code: "Closed",
      operation: "accept",
      cause: this.#closed ?? undefined,
    });
  }

  push(call: AcceptCall): void {
    const unreported = this.#unreported;
    if (unreported !== null) {
      this.#unreported = null;
      call.fail(unreported);
      return;
    }
    this.#calls.push(call);
    this.#request();
  }

  close(): void {
    this.#closed = new NetworkError(`Cannot accept on ${this.#name}: the listener was closed`, {
      code: "Closed",
      operation: "close",
    });
    this.#pause?.cancel();
    this.#pause = null;
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.fail(this.#closedError());
    }
    for (const connection of this.#ready.splice(0)) connection.reset();
    this.#operation.cancel();
  }

  /** Gives the idle operation back to the ring. */
  release(): void {
    this.#operation.release();
  }

  expireCall(call: AcceptCall): void {
    this.#calls.remove(call);
    this.#context.meter.counts[COUNT.timeoutsAccept]++;
    call.fail(
      new NetworkError(`Cannot accept on ${this.#name}: ${call.timeoutMs} ms passed`, {
        code: "Timeout",
        operation: "accept",
      }),
    );
  }

  abortCall(call: AcceptCall, reason: unknown): void {
    this.#calls.remove(call);
    call.fail(reason);
  }

  get #wantsConnection(): boolean {
    return this.#calls.count > 0 && this.#closed === null && this.#pause === null;
  }

  #request(): void {
    while (this.#burst > 0 && this.#wantsConnection) {
      const accepted = this.#operation.takeWaiting();
      this.#burst = accepted === null ? 0 : this.#burst - 1;
      if (accepted !== null) this.#take(accepted);
    }
    if (this.#wantsConnection && this.#operation.isIdle) {
      this.#burst = 0;
      this.#operation.submit();
    }
  }

  readonly #done = (accepted: Accepted): void => {
    this.#take(accepted);
    if (this.#closed !== null) {
      this.#landed();
      return;
    }
    if (accepted.result >= 0) this.#burst = LIMITS.acceptBurstCountMax;
    this.#request();
  };

  /** The error goes to the first call, or to the next one that comes; the listener goes on. */
  readonly #broken = (cause: unknown): void => {
    const error = new NetworkError(`Cannot accept on ${this.#name}: ${internalReason(cause)}`, {
      code: "AcceptFailed",
      operation: "accept",
      cause,
    });
    const call = this.#calls.shift();
    if (call === null) this.#unreported ??= error;
    else call.fail(error);
    if (this.#closed !== null) return this.#landed();
    this.#burst = 0;
    this.#request();
  };

  #take({ result, peer }: Accepted): void {
    if (peer !== null) this.#accepted(result, peer);
    else if (this.#closed === null) this.#failed(-result);
  }

  #accepted(fd: number, peer: PackedAddress): void {
    this.#operation.isClaimed = true;
    this.#pauseMs = LIMITS.acceptBackOffFirstMs;
    this.#failures = 0;
    if (this.#closed !== null) {
      this.#context.recvRing.port.closeDescriptor(fd);
      return;
    }
    this.#context.meter.counts[COUNT.inboundConnections]++;
    const connection = this.#make(fd, peer);
    const call = this.#calls.shift();
    if (call === null) this.#ready.push(connection);
    else call.succeed(connection);
  }

  #failed(errno: number): void {
    if (TRANSIENT.has(errno) && ++this.#failures <= LIMITS.retryCountMax) {
      this.#context.meter.counts[COUNT.retriesAccept]++;
      return;
    }
    if (EXHAUSTED.has(errno)) {
      this.#context.meter.counts[COUNT.retriesAccept]++;
      this.#pause = this.#context.host.setTimer(() => {
        this.#pause = null;
        this.#request();
      }, this.#pauseMs);
      this.#pauseMs = Math.min(this.#pauseMs * 2, LIMITS.acceptBackOffLastMs);
      return;
    }
    this.#failures = 0;
    this.#calls.shift()?.fail(
      new NetworkError(`Cannot accept on ${this.#name}: ${errnoText(errno)}`, {
        code: "AcceptFailed",
        operation: "accept",
        errno,
      }),
    );
  }
}
