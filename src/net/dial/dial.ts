/**
 * Connecting: name lookup, then one address after the other, all within one budget.
 *
 * Each address gets an equal share of what is left of the budget, so that one that does not answer
 * leaves time for the next.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";
import {
  connectedAddress,
  formatAddress,
  type SocketAddress,
  type UnixAddress,
} from "../address/address.ts";
import { Call } from "../call/call.ts";
import { refusalCode } from "../config/backend.ts";
import { ConnectAttempt } from "./connect_attempt.ts";
import { Connection } from "../connection/connection.ts";
import { endpoint, REMOTE_END } from "../address/endpoint.ts";
import { Holder } from "../call/holder.ts";
import { lookUpError } from "../address/look_up_error.ts";
import type { Dialing, NetworkContext } from "../socket/network_context.ts";

/** They say that this machine has no such addresses, not what became of the connection. */
const NO_WAY = [ERRNO.EADDRNOTAVAIL, ERRNO.EAFNOSUPPORT, ERRNO.ENETUNREACH];

export class Dial extends Call implements Dialing {
  place = -1;
  readonly name: string;
  override readonly holder: Holder;
  readonly #context: NetworkContext;
  readonly #address: SocketAddress | UnixAddress;
  #candidates: (SocketAddress | UnixAddress)[] = [];
  #attempt: ConnectAttempt | null = null;
  /** Of the last address that could have been reached. */
  #telling: NetworkError | null = null;

  constructor(context: NetworkContext, address: SocketAddress | UnixAddress) {
    super();
    this.#context = context;
    this.#address = address;
    this.name = formatAddress(address);
    this.holder = new Holder(context);
  }

  /** The connection, or a NetworkError: "ConnectionFailed", "Timeout", "Closed". */
  start(): Promise<Connection> {
    const promise = this.promise<Connection>();
    this.begin();
    this.#context.dials.add(this);
    this.#context.lookUp(this.#address).then(
      (candidates) => {
        this.#candidates = candidates;
        if (!this.settled) this.#next();
      },
      (cause) => this.giveUp(lookUpError("ConnectionFailed", this.name, cause)),
    );
    return promise;
  }

  override expire(): void {
    this.#context.meter.counts[COUNT.timeoutsConnect]++;
    this.giveUp(
      new NetworkError(`Cannot connect to ${this.name}: ${this.timeoutMs} ms passed`, {
        code: "Timeout",
        operation: "dial",
        cause: this.#telling ?? undefined,
      }),
    );
  }

  override abort(reason: unknown): void {
    this.giveUp(reason);
  }

  /** Ends the dial; the kernel's part is cancelled and its descriptor closed when it lands. */
  giveUp(reason: unknown): void {
    if (this.settled) return;
    this.#context.dials.delete(this);
    this.fail(reason);
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  /** Starts the next attempt, or fails with the error that tells most. */
  #next(): void {
    const address = this.#candidates.shift();
    if (address === undefined) {
      this.giveUp(this.#telling ?? this.#error(ERRNO.EADDRNOTAVAIL, this.#address));
      return;
    }
    this.#attempt = new ConnectAttempt(this.#context, address, (errno, fd, family, broken) => {
      this.#attempt = null;
      if (broken !== undefined) return this.giveUp(this.#internalError(broken.cause));
      if (errno === 0) {
        this.#connected(fd, family, address);
        return;
      }
      if (this.#telling === null || !NO_WAY.includes(errno)) {
        this.#telling = this.#error(errno, address);
      }
      this.#next();
    });
    const several = this.#candidates.length > 0 && this.timeoutMs !== null;
    this.#attempt.start(several ? this.leftMs / (this.#candidates.length + 1) : null);
  }

  #connected(fd: number, family: number, address: SocketAddress | UnixAddress): void {
    // The kernel has no peer to name any more when it was reset in between.
    const peer = endpoint(this.#context.recvRing, fd, REMOTE_END) ?? connectedAddress(address);
    const connection = Connection.adopt(this.#context, fd, family, peer);
    this.#context.dials.delete(this);
    this.#context.meter.counts[COUNT.outboundConnections]++;
    this.succeed(connection);
  }

  #internalError(cause: unknown): NetworkError {
    return new NetworkError(`Cannot connect to ${this.name}: ${internalReason(cause)}`, {
      code: "ConnectionFailed",
      operation: "dial",
      cause,
    });
  }

  #error(errno: number, address: SocketAddress | UnixAddress): NetworkError {
    const numeric = formatAddress(address);
    const subject = numeric === this.name ? numeric : `${this.name} (${numeric})`;
    return new NetworkError(`Cannot connect to ${subject}: ${errnoText(errno)}`, {
      code: refusalCode(errno, "ConnectionFailed"),
      operation: "dial",
      errno,
    });
  }
}
