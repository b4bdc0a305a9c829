/**
 * The accepting machine of one listener: a queue of `accept()` calls, one operation in flight.
 *
 * Where one connection came, others wait: calls that follow take them straight from the backlog,
 * without a turn of the ring for each, until it is empty or the burst is over.
 *
 *     call -> operation on the ring -> connection -> call -> from the backlog -> ... -> ring
 *
 * Invariants
 * - Nothing is taken while no call waits.
 * - A call that gives up does not cancel the operation: the connection that it may still bring goes
 *   to the next call, or waits in `#ready`, so that none is lost.
 * - EMFILE and its kin pause accepting, with growing pauses, and do not end calls: the peers wait
 *   in the backlog until descriptors are free again.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { Fifo } from "../../base/fifo.ts";
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { COUNT } from "../../base/meter.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";
import { AcceptCall, type AcceptCallOwner } from "./accept_call.ts";
import { type Accepted, AcceptOperation } from "./accept_operation.ts";
import type { SocketConnection } from "../connection/connection.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import type { PackedAddress } from "../address/packed_address.ts";

/** The peer went away before it was accepted, or the network had a hiccup: accept(2), "errors". */
const TRANSIENT = new Set(
  ["EAGAIN", "EINTR", "ECONNABORTED", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"]
    .concat("EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "EPERM", "ETIMEDOUT")
    .map((name) => ERRNO[name]),
);

/** The process or the system ran out of something that comes back. */
const EXHAUSTED = new Set([ERRNO.EMFILE, ERRNO.ENFILE, ERRNO.ENOBUFS, ERRNO.ENOMEM]);

export type ConnectionMaker = (fd: number, peer: PackedAddress) => SocketConnection;

export class AcceptQueue implements AcceptCallOwner {
  readonly #context: NetworkContext;
  readonly #name: string;
  readonly #make: ConnectionMaker;
  readonly #landed: () => void;
  readonly #operation: AcceptOperation;
  readonly #calls = new Fifo<AcceptCall>();
  /** One at the most: nothing is asked of the kernel while no call waits. */
  readonly #ready: SocketConnection[] = [];
  #closed: NetworkError | null = null;
  #pauseMs: number = LIMITS.acceptBackOffFirstMs;
  #pause: HostTimer | null = null;
  #failures = 0;
  /** An error inside the library while no call waited. */
  #untold: NetworkError | null = null;
  /** Connections that may still be taken past the ring; 0 while the operation is with it. */
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
    this.#operation = new AcceptOperation(context.recvRing.recvLane, fd, {
      accepted: this.#done,
      broken: this.#broken,
    });
  }

  get idle(): boolean {
    return this.#operation.idle;
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  closedError(): NetworkError {
    return new NetworkError(`Cannot accept on ${this.#name}: the listener is closed`, {
      code: "Closed",
      operation: "accept",
      cause: this.#closed ?? undefined,
    });
  }

  /** A connection that came for a call which had given up. */
  takeReady(): SocketConnection | null {
    return this.#ready.shift() ?? null;
  }

  push(call: AcceptCall): void {
    call.begin();
    const untold = this.#untold;
    if (untold !== null) {
      this.#untold = null;
      call.fail(untold);
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
      call.fail(this.closedError());
    }
    for (const connection of this.#ready.splice(0)) connection.reset();
    this.#operation.lane.ring.cancel(this.#operation);
  }

  /** Frees the operation's slot; only when idle. */
  retire(): void {
    this.#operation.lane.ring.retire(this.#operation);
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

  get #wanted(): boolean {
    return this.#calls.count > 0 && this.#closed === null && this.#pause === null;
  }

  #request(): void {
    while (this.#burst > 0 && this.#wanted) {
      const accepted = this.#operation.takeWaiting();
      this.#burst = accepted === null ? 0 : this.#burst - 1;
      if (accepted !== null) this.#settle(accepted);
    }
    if (this.#wanted && this.#operation.idle) {
      this.#burst = 0;
      this.#operation.lane.ring.submit(this.#operation);
    }
  }

  readonly #done = (accepted: Accepted): void => {
    this.#settle(accepted);
    if (this.#closed !== null) {
      this.#landed();
      return;
    }
    if (accepted.result >= 0) this.#burst = LIMITS.acceptBurstCountMax;
    this.#request();
  };

  /** The first call is told, or the next one that comes; the listener goes on. */
  readonly #broken = (cause: unknown): void => {
    const error = new NetworkError(`Cannot accept on ${this.#name}: ${internalReason(cause)}`, {
      code: "AcceptFailed",
      operation: "accept",
      cause,
    });
    const call = this.#calls.shift();
    if (call === null) this.#untold ??= error;
    else call.fail(error);
    if (this.#closed !== null) return this.#landed();
    this.#burst = 0;
    this.#request();
  };

  #settle({ result, peer }: Accepted): void {
    if (peer !== null) this.#accepted(result, peer);
    else if (this.#closed === null) this.#failed(-result);
  }

  #accepted(fd: number, peer: PackedAddress): void {
    this.#operation.claimed = true;
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
