/**
 * The accepting half of one listener: a queue of `accept()` calls, and one operation in flight.
 *
 * Where one connection has arrived, others often wait. The calls behind the first one therefore
 * take connections directly from the backlog, without a turn of the ring for each, until the
 * backlog is empty or the burst has reached its limit.
 *
 *     call -> operation on the ring -> connection -> call -> from the backlog -> ... -> ring
 *
 * A drain accepts the whole backlog, with or without calls, and then ends the queue:
 *
 *     drain -> the operation comes back -> from the backlog -> ... -> none is left -> done
 *
 * Invariants
 * - No connection is accepted while no call waits, except by a drain.
 * - A call that times out or is aborted does not cancel the operation. A connection that still
 *   arrives goes to the next call, or waits in `#ready`, so that no connection is lost.
 * - A socket that other processes share loses no connection when it is closed here: the calls wait
 *   until the operation has landed, and get the connection that it brings.
 * - Connections of such a socket are accepted on the ring only, because another process may take
 *   the connection for which a direct accept was about to be made.
 * - EMFILE and the other errors of exhaustion do not end calls: accepting pauses, with growing
 *   pauses, and the peers wait in the backlog until descriptors are free again.
 *
 * @module
 */
import { queueMicrotask } from "../../base/queue_microtask.ts";
import { Fifo } from "../../base/fifo.ts";
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { COUNT } from "../../base/meter.ts";
import { NetworkError } from "../../base/network_error.ts";
import type { PackedAddress } from "../address/packed_address.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { LoopReference } from "../call/loop_reference.ts";
import type { SocketConnection } from "../connection/socket_connection.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { AcceptCall, type AcceptCallOwner } from "./accept_call.ts";
import { acceptErrors } from "./accept_errors.ts";
import { BacklogDrain } from "./backlog_drain.ts";
import type { BacklogTaker } from "./backlog_taker.ts";
import type { BoundSocket } from "./bound_socket.ts";
import { type Accepted, AcceptOperation } from "./accept_operation.ts";

export type ConnectionMaker = (fd: number, peer: PackedAddress) => SocketConnection;

export class AcceptQueue implements AcceptCallOwner {
  readonly #context: NetworkContext;
  readonly #isShared: boolean;
  readonly #name: string;
  readonly #make: ConnectionMaker;
  /** Called after `close`, when the operation has landed. */
  readonly #landed: () => void;
  readonly #operation: AcceptOperation;
  readonly #calls = new Fifo<AcceptCall>();
  /** The last step of a `for await`, which serves the next step once it has settled. */
  #step: AcceptCall | null = null;
  /** At most one connection, because none is accepted while no call waits. */
  readonly #ready: SocketConnection[] = [];
  #closed: NetworkError | null = null;
  #drain: BacklogDrain | null = null;
  #pauseMs: number = LIMITS.acceptBackOffFirstMs;
  #pause: HostTimer | null = null;
  #failures = 0;
  /** An error inside the library that no call has received yet. */
  #unreported: NetworkError | null = null;
  /** Connections that this burst may still take; 0 while the operation is in flight. */
  #burst = 0;

  constructor(
    context: NetworkContext,
    bound: BoundSocket,
    name: string,
    make: ConnectionMaker,
    landed: () => void,
  ) {
    this.#context = context;
    this.#isShared = bound.isShared;
    this.#name = name;
    this.#make = make;
    this.#landed = landed;
    this.#operation = new AcceptOperation(context.recvRing, bound, {
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

  get draining(): boolean {
    return this.#drain !== null;
  }

  /** A connection for the next call. Throws for wrong options and when the listener is closed. */
  accept(
    options: CallOptions | undefined,
    loopReference: LoopReference,
  ): Promise<SocketConnection> {
    const call = new AcceptCall(this, loopReference, "accept");
    call.prepare(options, null);
    if (this.#closed !== null) throw acceptErrors.closed(this.#name, this.#closed);
    const ready = this.#ready.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return call.start<SocketConnection>();
  }

  /** The next connection as the result of an iterator, which ends when the listener is closed. */
  step(loopReference: LoopReference): Promise<IteratorResult<SocketConnection>> {
    if (this.#closed !== null) return Promise.resolve({ value: undefined, done: true });
    const ready = this.#ready.shift();
    if (ready !== undefined) return Promise.resolve({ value: ready, done: false });
    const isFree = this.#step !== null && this.#step.settled;
    const call = isFree ? this.#step as AcceptCall : new AcceptCall(this, loopReference, "step");
    this.#step = call;
    return call.start<IteratorResult<SocketConnection>>();
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
    this.#operation.cancel();
    if (!this.#isShared || this.#operation.isIdle) this.#failCalls();
    for (const connection of this.#ready.splice(0)) connection.reset();
    this.#endDrain(null);
  }

  #endDrain(failure: NetworkError | null): void {
    const drain = this.#drain;
    this.#drain = null;
    drain?.done(failure);
  }

  #failCalls(): void {
    for (let call = this.#calls.shift(); call !== null; call = this.#calls.shift()) {
      call.fail(acceptErrors.closed(this.#name, this.#closed));
    }
  }

  /** The operation is back after `close`. */
  #land(): void {
    this.#failCalls();
    this.#landed();
  }

  /** Accepts the connections of the backlog: first for the waiting calls, then for `taker`. */
  drain(taker: BacklogTaker): void {
    this.#pause?.cancel();
    this.#pause = null;
    this.#burst = 0;
    this.#drain = new BacklogDrain(taker);
    this.#operation.cancel();
    if (this.#operation.isIdle) queueMicrotask(this.#drainStep);
  }

  /** Gives the idle operation back to the ring. */
  release(): void {
    this.#operation.release();
  }

  expireCall(call: AcceptCall): void {
    this.#calls.remove(call);
    this.#context.meter.counts[COUNT.timeoutsAccept]++;
    call.fail(acceptErrors.timeout(this.#name, call.timeoutMs));
  }

  abortCall(call: AcceptCall, reason: unknown): void {
    this.#calls.remove(call);
    call.fail(reason);
  }

  get #wantsConnection(): boolean {
    const isOpen = this.#closed === null && this.#drain === null;
    return isOpen && this.#calls.head !== null && this.#pause === null;
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
    const wasLook = this.#operation.isLook;
    this.#take(accepted);
    if (this.#closed !== null) {
      const mayMiss = this.#calls.head !== null && accepted.peer === null && !wasLook;
      return mayMiss && this.#look() ? undefined : this.#land();
    }
    if (this.#drain !== null) {
      this.#drain.note(accepted.result, wasLook);
      return queueMicrotask(this.#drainStep);
    }
    if (accepted.result >= 0 && !this.#isShared) this.#burst = LIMITS.acceptBurstCountMax;
    this.#request();
  };

  /**
   * Takes connections while this round of the event loop has time. Never inside a turn: the taker
   * runs user code. An error leaves the remaining peers to the end of the listener.
   */
  readonly #drainStep = (): void => {
    const drain = this.#drain;
    if (drain === null || this.#closed !== null || !this.#operation.isIdle) return;
    const endMs = this.#context.host.now() + LIMITS.endStepMs;
    try {
      do {
        for (const connection of this.#ready.splice(0)) drain.take(connection);
        // The handler of a connection may have closed the listener.
        if (this.closed) return;
        if (this.#isShared) return this.#lookOn(drain);
        const accepted = drain.count() ? this.#operation.takeWaiting() : null;
        if (accepted === null) return this.#endDrain(null);
        if (acceptErrors.exhausted.has(-accepted.result) && !this.#context.ends.endSome()) {
          return this.#endDrain(acceptErrors.failed(this.#name, -accepted.result));
        }
        this.#take(accepted);
      } while (this.#context.host.now() < endMs);
    } catch (cause) {
      return this.#endDrain(acceptErrors.broken(this.#name, cause));
    }
    this.#context.host.setMacrotask(this.#drainStep);
  };

  /** The error goes to the first call, or to the next one that is made. The listener goes on. */
  readonly #broken = (cause: unknown): void => {
    const error = acceptErrors.broken(this.#name, cause);
    const call = this.#calls.shift();
    if (call === null) this.#unreported ??= error;
    else call.fail(error);
    if (this.#closed !== null) return this.#land();
    if (this.#drain !== null) return queueMicrotask(this.#drainStep);
    this.#burst = 0;
    this.#request();
  };

  /** Goes on with the drain of a shared backlog. */
  #lookOn(drain: BacklogDrain): void {
    if (drain.errno !== 0 && !this.#context.ends.endSome()) {
      this.#endDrain(acceptErrors.failed(this.#name, drain.errno));
    } else if (!drain.count() || !this.#look()) {
      this.#endDrain(null);
    }
  }

  /**
   * The kernel wakes one process for each connection. Where it woke this one, whose operation was
   * cancelled before it could accept, no other process would look into the backlog. Returns false
   * when the ring is closed.
   */
  #look(): boolean {
    if (this.#context.recvRing.pump.isClosed) return false;
    this.#operation.look();
    return true;
  }

  #take({ result, peer }: Accepted): void {
    if (peer !== null) this.#accepted(result, peer);
    else if (this.#closed === null && this.#drain === null) this.#failed(-result);
  }

  #accepted(fd: number, peer: PackedAddress): void {
    this.#operation.isClaimed = true;
    this.#pauseMs = LIMITS.acceptBackOffFirstMs;
    this.#failures = 0;
    const call = this.#calls.shift();
    if (call === null && this.#closed !== null) {
      this.#context.recvRing.port.closeDescriptor(fd);
      return;
    }
    this.#context.meter.counts[COUNT.inboundConnections]++;
    const connection = this.#make(fd, peer);
    if (call === null) this.#ready.push(connection);
    else call.succeed(connection);
  }

  #failed(errno: number): void {
    if (acceptErrors.transient.has(errno) && ++this.#failures <= LIMITS.retryCountMax) {
      this.#context.meter.counts[COUNT.retriesAccept]++;
      return;
    }
    if (acceptErrors.exhausted.has(errno)) {
      this.#context.meter.counts[COUNT.retriesAccept]++;
      this.#pause = this.#context.host.setTimer(() => {
        this.#pause = null;
        this.#request();
      }, this.#pauseMs);
      this.#pauseMs = Math.min(this.#pauseMs * 2, LIMITS.acceptBackOffLastMs);
      return;
    }
    this.#failures = 0;
    this.#calls.shift()?.fail(acceptErrors.failed(this.#name, errno));
  }
}
