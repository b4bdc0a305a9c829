/**
 * One connected descriptor and its end.
 *
 * Order of events at the end: operations are cancelled -> each lands, and the peer has everything
 * -> the descriptor is closed -> `closed` resolves. A descriptor number is therefore never free
 * while an operation names it.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { NetworkError } from "../../base/network_error.ts";
import type { Operation } from "../../ring/operation.ts";
import { type RingPort, SHUTDOWN_AGAIN, SHUTDOWN_DISCARD, SOCKET_OPTION } from "../../ring/port.ts";
import {
  AF_UNIX,
  formatAddress,
  type SocketAddress,
  type UnixAddress,
} from "../address/address.ts";
import { refusalCode } from "../config/backend.ts";
import type { KeepAlive } from "../config/config.ts";
import { endpoint, LOCAL_END } from "../address/endpoint.ts";
import { Holder } from "../call/holder.ts";
import type { Lingerer } from "./lingering.ts";
import type { Closeable, NetworkContext } from "./network_context.ts";
import { type PackedAddress, packedAddress } from "../address/packed_address.ts";
import { type SocketOption, socketOptions } from "./socket_options.ts";

/** How the descriptor ends: FIN after what was sent, or RST. */
export type SocketEnd = "graceful" | "reset";

/** Who has the socket: the connection. */
interface SocketOwner extends Closeable {
  readonly remoteAddress: SocketAddress | UnixAddress;
}

/** errno of options and shutdowns that only say that the peer was faster. */
const GONE = [ERRNO.ENOTCONN, ERRNO.EINVAL, ERRNO.ECONNRESET];

export class Socket extends Holder implements Lingerer {
  readonly fd: number;
  readonly family: number;
  /**
   * How the peer ended, as far as is known:
   *
   *   none -> doubtful -> fin
   *     +------------------^
   *
   * "fin": everything before it was received. "doubtful": a send failed or stopped early. The
   * kernel reports the error of a connection once, so that this send may have taken a reset from
   * the receive, which then returns 0 as if FIN had come: see `cutOff`.
   */
  peerEnd: "none" | "doubtful" | "fin" = "none";
  /** One for each half. */
  #sending: Operation | null = null;
  #receiving: Operation | null = null;
  /** What the network forgets when the descriptor is closed, before `closed` resolves. */
  owner: SocketOwner | null = null;
  /** "lingering" is graceful, but for what the peer has yet to take. */
  #end: SocketEnd | "lingering" | null = null;
  #descriptorOpen = true;
  /** Made when somebody waits. */
  #closed: PromiseWithResolvers<void> | null = null;

  constructor(context: NetworkContext, fd: number, family: number) {
    super(context);
    this.fd = fd;
    this.family = family;
  }

  /** Resolves when the descriptor is closed. */
  get closed(): Promise<void> {
    this.#closed ??= Promise.withResolvers<void>();
    if (!this.#descriptorOpen) this.#closed.resolve();
    return this.#closed.promise;
  }

  get ending(): boolean {
    return this.#end !== null;
  }

  get port(): RingPort {
    return this.context.recvRing.port;
  }

  /** Operations that the end has to wait for: one for each half. */
  attach(operation: Operation): void {
    if (this.#sending === null) this.#sending = operation;
    else this.#receiving = operation;
  }

  /**
   * The peer, for messages; read when something has failed. Where a peer has no name, as most that
   * dial a unix socket, it is known by the path at which it was accepted.
   */
  get peerName(): string {
    const peer = this.owner === null ? "unix:" : formatAddress(this.owner.remoteAddress);
    if (peer !== "unix:") return peer;
    if (this.family !== AF_UNIX) return "an unknown address";
    const local = this.localAddress;
    const name = local === null ? "unix:" : formatAddress(packedAddress.unpack(local));
    return name === "unix:" ? "an unnamed unix socket" : name;
  }

  setNoDelay(on: boolean): void {
    if (this.family === AF_UNIX) return;
    this.#set({ name: "tcpNoDelay", option: SOCKET_OPTION.noDelay, value: on ? 1 : 0 });
  }

  setKeepAlive(keepAlive: KeepAlive | null): void {
    if (this.family === AF_UNIX) return;
    for (const option of socketOptions.keepAlive(keepAlive)) this.#set(option);
  }

  #set({ name, option, value }: SocketOption): void {
    if (!this.#descriptorOpen) return;
    const result = this.port.setOption(this.fd, option, value);
    if (result >= 0 || GONE.includes(-result)) return;
    const what = `Cannot set ${name} to ${value} on the connection to ${this.peerName}`;
    throw new NetworkError(`${what}: ${errnoText(-result)}`, {
      code: refusalCode(-result, "ConnectionFailed"),
      operation: "option",
      errno: -result,
    });
  }

  noteShortSend(): void {
    this.context.meter.counts[COUNT.shortSends]++;
    this.noteBrokenSend();
  }

  /** A send failed or stopped early: its error, a reset perhaps, is not reported again. */
  noteBrokenSend(): void {
    if (this.peerEnd === "none") this.peerEnd = "doubtful";
  }

  /**
   * Whether a receive that returned 0 met something else than FIN. The kernel is asked only when a
   * send may have taken the error. A failed question counts as a reset: a stream that was cut off
   * must not look complete.
   */
  cutOff(): boolean {
    const suspect = this.peerEnd === "doubtful" || this.#sending?.idle === false;
    if (!suspect || this.ending || this.family === AF_UNIX) return false;
    return this.port.cutOff(this.fd) !== 0;
  }

  /** Null when the descriptor is closed. */
  get localAddress(): PackedAddress | null {
    if (!this.#descriptorOpen) return null;
    return endpoint(this.context.recvRing, this.fd, LOCAL_END);
  }

  /** Sends FIN, unless RST is to follow. What the peer sent stays readable. */
  shutdownSend(): void {
    if (this.#descriptorOpen && this.#end !== "reset") this.port.shutdown(this.fd, 1);
  }

  /**
   * A reset is about to drop what is queued, which a half close may be waiting for: the peer would
   * take FIN for a clean end, as it hides the RST behind it.
   */
  refuseFin(): void {
    this.#end ??= "reset";
  }

  /**
   * Ends the socket; the first end decides, but a reset overtakes a graceful one. A graceful one
   * waits for the peer to take what was sent, until `untilMs` of the host's clock at the latest.
   */
  end(how: SocketEnd, untilMs = 0): Promise<void> {
    if (this.#end === null || (how === "reset" && this.#descriptorOpen)) {
      if (this.#end === "lingering") this.context.lingering.delete(this);
      this.#end = how;
      const { soLinger } = this.context.config;
      // Were it refused, which SO_LINGER never is, the end would be graceful: but an end it is.
      if (how === "reset" && soLinger !== 0) this.#setLinger(0);
      const abrupt = how === "reset" || soLinger === 0;
      // Where RST follows, no FIN may go before it. Elsewhere this sends it, also when a forked
      // process has a copy of the descriptor. And it ends a receive by itself: Linux 6.11 can fail
      // to find a multishot one that is cancelled. Behind the peer's FIN nothing is unread.
      const both = this.peerEnd === "fin" ? 2 : SHUTDOWN_DISCARD;
      const left = this.port.shutdown(this.fd, abrupt ? 0 : both);
      if (left > 0 && untilMs > this.context.host.now()) this.#linger(untilMs);
      else if (left > 0) this.port.shutdown(this.fd, 2);
      this.#sending?.lane.ring.cancel(this.#sending);
      this.#receiving?.lane.ring.cancel(this.#receiving);
      this.landed();
    }
    return this.closed;
  }

  #linger(untilMs: number): void {
    this.#end = "lingering";
    this.context.lingering.add(this, untilMs);
  }

  lookAgain(): number {
    return Math.max(this.port.shutdown(this.fd, SHUTDOWN_AGAIN), 0);
  }

  endLingering(): void {
    this.#end = "graceful";
    // Where the budget has ended: this ends a receive that no cancel has found.
    this.port.shutdown(this.fd, 0);
    this.landed();
  }

  #setLinger(seconds: number): void {
    this.port.setOption(this.fd, SOCKET_OPTION.lingerSeconds, seconds);
  }

  /** An operation came back: closes the descriptor when it was the last one of an ended socket. */
  landed(): void {
    if (this.#end === null || this.#end === "lingering" || !this.#descriptorOpen) return;
    const sending = this.#sending;
    const receiving = this.#receiving;
    if (sending?.idle === false || receiving?.idle === false) return;
    this.#descriptorOpen = false;
    this.#closeDescriptor(this.#end);
    sending?.lane.ring.retire(sending);
    receiving?.lane.ring.retire(receiving);
    this.context.meter.counts[COUNT.connections]--;
    if (this.owner !== null) this.context.open.delete(this.owner);
    this.#closed?.resolve();
  }

  #closeDescriptor(end: SocketEnd): void {
    const { soLinger } = this.context.config;
    const graceful = end === "graceful" && soLinger !== 0;
    // With a positive linger time close(2) would block the thread; the kernel goes on without it.
    if (graceful && soLinger !== null) this.#setLinger(-1);
    this.port.closeDescriptor(this.fd);
  }
}
