/**
 * One connect to one numeric address, of the push interface: the result goes to a callback instead
 * of a promise. Adapters try the addresses of a name by their own rules.
 *
 *   new --start()--> inFlight --the attempt ends--> ready --deliver(), after the turn--> over
 *    |                  |                             |      connected() or failed()       ^
 *    +---- cancel() ----+-----------------------------+------------------------------------+
 *
 * A connect that is in flight or ready keeps the process alive, unless `loopReference.unref()` is
 * called.
 *
 * @module
 */
import { formatAddress, type SocketAddress, type UnixAddress } from "../address/address.ts";
import type { Deliverable } from "../socket/delivery_queue.ts";
import { type AttemptFailure, ConnectAttempt } from "./connect_attempt.ts";
import type { SocketConnection } from "../connection/socket_connection.ts";
import { dialedConnection } from "./dialed_connection.ts";
import { LoopReference } from "../call/loop_reference.ts";
import type { Dialing, NetworkContext } from "../socket/network_context.ts";

/** The receiver of the result: one of its methods is called once, unless `cancel` came first. */
export interface Connected {
  connected(connection: SocketConnection): void;
  /** `bindFailed`: the local end could not be bound, and `errno` is the reason. */
  failed(errno: number, bindFailed: boolean): void;
}

export class PushConnect implements Deliverable, Dialing {
  rosterIndex = -1;
  readonly name: string;
  readonly loopReference: LoopReference;
  readonly #context: NetworkContext;
  readonly #attempt: ConnectAttempt;
  readonly #receiver: Connected;
  #failure: AttemptFailure | null = null;
  #connection: SocketConnection | null = null;
  #state: "new" | "inFlight" | "ready" | "over" = "new";

  /** The address is numeric or a path. The local end is numeric; its port may be 0. */
  constructor(
    context: NetworkContext,
    address: SocketAddress | UnixAddress,
    local: SocketAddress | null,
    receiver: Connected,
  ) {
    this.#context = context;
    this.#receiver = receiver;
    this.name = formatAddress(address);
    this.loopReference = new LoopReference(context);
    this.#attempt = new ConnectAttempt(context, { address, local }, [], (failure, fd, family) => {
      this.#done(failure, fd, family, address);
    });
  }

  start(): void {
    this.#state = "inFlight";
    this.loopReference.addCall();
    this.#context.dials.add(this);
    this.#attempt.start();
  }

  /** Ends the connect without a callback. A connection that still arrives is closed. */
  cancel(): void {
    const before = this.#state;
    this.#state = "over";
    if (before === "new" || before === "over") return;
    this.loopReference.removeCall();
    if (before === "inFlight") {
      this.#context.dials.delete(this);
      this.#attempt.cancel();
    }
    void this.#connection?.close();
  }

  /** Called when the network closes. */
  giveUp(_reason: unknown): void {
    this.cancel();
  }

  deliver(): void {
    if (this.#state !== "ready") return;
    this.#state = "over";
    this.loopReference.removeCall();
    const connection = this.#connection;
    this.#connection = null;
    const failure = this.#failure;
    if (failure !== null) this.#receiver.failed(failure.errno, failure.atLocalEnd);
    else if (connection !== null) this.#receiver.connected(connection);
  }

  #done(
    failure: AttemptFailure | null,
    fd: number,
    family: number,
    address: SocketAddress | UnixAddress,
  ): void {
    this.#context.dials.delete(this);
    this.#state = "ready";
    this.#failure = failure;
    if (failure === null) {
      this.#connection = dialedConnection(this.#context, fd, family, address);
    }
    this.#context.deliveries.add(this);
  }
}
