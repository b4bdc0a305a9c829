/**
 * One `dial()`: name lookup, then one address after the other, all within one budget.
 *
 *   lookUp -> attempt on the first address -> connected
 *                    | refused, or its share of the budget is over
 *                    v
 *             attempt on the next address ... -> no address is left: ConnectionFailed
 *
 * Each address gets an equal share of the remaining budget, so that an address that does not answer
 * leaves time for the next one.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";
import { formatAddress, type SocketAddress, type UnixAddress } from "../address/address.ts";
import { connectedAddress } from "../address/sockaddr.ts";
import { Call } from "../call/call.ts";
import { ConnectAttempt } from "./connect_attempt.ts";
import { Connection } from "../connection/connection.ts";
import { endpoint, REMOTE_END } from "../socket/endpoint.ts";
import { LoopReference } from "../call/loop_reference.ts";
import { lookUpError } from "../address/look_up.ts";
import type { Dialing, NetworkContext } from "../socket/network_context.ts";

/** Errnos that speak of this machine's addresses and routes, and not of the peer. */
const UNREACHABLE_ERRNOS = [ERRNO.EADDRNOTAVAIL, ERRNO.EAFNOSUPPORT, ERRNO.ENETUNREACH];

export class Dial extends Call implements Dialing {
  rosterIndex = -1;
  readonly name: string;
  override readonly loopReference: LoopReference;
  readonly #context: NetworkContext;
  readonly #address: SocketAddress | UnixAddress;
  #candidates: (SocketAddress | UnixAddress)[] = [];
  #attempt: ConnectAttempt | null = null;
  /** The failure of the last address that this machine can reach; of the first one otherwise. */
  #lastError: NetworkError | null = null;

  constructor(context: NetworkContext, address: SocketAddress | UnixAddress) {
    super();
    this.#context = context;
    this.#address = address;
    this.name = formatAddress(address);
    this.loopReference = new LoopReference(context);
  }

  protected override enqueue(): void {
    this.#context.dials.add(this);
    this.#context.lookUp(this.#address).then(
      (candidates) => {
        this.#candidates = candidates;
        if (!this.settled) this.#next();
      },
      (cause) => this.giveUp(lookUpError("ConnectionFailed", this.name, cause)),
    );
  }

  override expire(): void {
    this.#context.meter.counts[COUNT.timeoutsConnect]++;
    this.giveUp(
      new NetworkError(`Cannot connect to ${this.name}: ${this.timeoutMs} ms passed`, {
        code: "Timeout",
        operation: "dial",
        cause: this.#lastError ?? undefined,
      }),
    );
  }

  override abort(reason: unknown): void {
    this.giveUp(reason);
  }

  /** Ends the dial. The attempt is cancelled, and closes its descriptor once it has landed. */
  giveUp(reason: unknown): void {
    if (this.settled) return;
    this.#context.dials.delete(this);
    this.fail(reason);
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  /** Starts the next attempt, or fails with the most telling error. */
  #next(): void {
    const address = this.#candidates.shift();
    if (address === undefined) {
      this.giveUp(this.#lastError ?? this.#error(ERRNO.EADDRNOTAVAIL, this.#address));
      return;
    }
    this.#attempt = new ConnectAttempt(this.#context, address, (errno, fd, family, broken) => {
      this.#attempt = null;
      if (broken !== undefined) return this.giveUp(this.#internalError(broken.cause));
      if (errno === 0) {
        this.#connected(fd, family, address);
        return;
      }
      if (this.#lastError === null || !UNREACHABLE_ERRNOS.includes(errno)) {
        this.#lastError = this.#error(errno, address);
      }
      this.#next();
    });
    const several = this.#candidates.length > 0 && this.timeoutMs !== null;
    this.#attempt.start(several ? this.leftMs / (this.#candidates.length + 1) : null);
  }

  #connected(fd: number, family: number, address: SocketAddress | UnixAddress): void {
    // The kernel cannot name the peer of a connection that was reset in between.
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
      code: "ConnectionFailed",
      operation: "dial",
      errno,
    });
  }
}
