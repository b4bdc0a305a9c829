/**
 * One connect to one numeric address, for whoever wants no promise: adapters try addresses by their
 * own rules.
 *
 *   start() -> attempt on the ring -> deliver(), after the turn -> connected(), or failed()
 *
 * While it lasts it keeps the process alive, unless its holder is told not to.
 *
 * @module
 */
import { COUNT } from "../../base/meter.ts";
import {
  connectedAddress,
  formatAddress,
  type SocketAddress,
  type UnixAddress,
} from "../address/address.ts";
import type { Deliverable } from "../socket/after_turn.ts";
import { ConnectAttempt } from "./connect_attempt.ts";
import { SocketConnection } from "../connection/connection.ts";
import { endpoint, REMOTE_END } from "../address/endpoint.ts";
import { Holder } from "../call/holder.ts";
import type { Dialing, NetworkContext } from "../socket/network_context.ts";

/** Called once, one of both, unless the connect was cancelled. */
export interface Connected {
  connected(connection: SocketConnection): void;
  /** `bindFailed`: it is the local end that could not be had. */
  failed(errno: number, bindFailed: boolean): void;
}

export class PushConnect implements Deliverable, Dialing {
  place = -1;
  readonly name: string;
  readonly holder: Holder;
  readonly #context: NetworkContext;
  readonly #attempt: ConnectAttempt;
  readonly #told: Connected;
  #errno = 0;
  #connection: SocketConnection | null = null;
  #state: "new" | "flying" | "ready" | "over" = "new";

  /** The address is numeric, or a path; so is the local end, whose port may be 0. */
  constructor(
    context: NetworkContext,
    address: SocketAddress | UnixAddress,
    local: SocketAddress | null,
    told: Connected,
  ) {
    this.#context = context;
    this.#told = told;
    this.name = formatAddress(address);
    this.holder = new Holder(context);
    const done = (errno: number, fd: number, family: number) => {
      this.#done(errno, fd, family, address);
    };
    this.#attempt = new ConnectAttempt(context, address, done, local);
  }

  start(): void {
    this.#state = "flying";
    this.holder.hold();
    this.#context.dials.add(this);
    this.#attempt.start(null);
  }

  /** Nothing is told any more; a connection that comes is closed. */
  cancel(): void {
    const before = this.#state;
    this.#state = "over";
    if (before === "new" || before === "over") return;
    this.holder.unhold();
    if (before === "flying") {
      this.#context.dials.delete(this);
      this.#attempt.cancel();
    }
    void this.#connection?.close();
  }

  /** The network is closed. */
  giveUp(_reason: unknown): void {
    this.cancel();
  }

  deliver(): void {
    if (this.#state !== "ready") return;
    this.#state = "over";
    this.holder.unhold();
    const connection = this.#connection;
    this.#connection = null;
    if (connection === null) this.#told.failed(this.#errno, this.#attempt.bindFailed);
    else this.#told.connected(connection);
  }

  #done(errno: number, fd: number, family: number, address: SocketAddress | UnixAddress): void {
    this.#context.dials.delete(this);
    this.#state = "ready";
    this.#errno = errno;
    if (errno === 0) {
      this.#context.meter.counts[COUNT.outboundConnections]++;
      const peer = endpoint(this.#context.recvRing, fd, REMOTE_END) ?? connectedAddress(address);
      this.#connection = SocketConnection.adopt(this.#context, fd, family, peer);
    }
    this.#context.afterTurn.add(this);
  }
}
