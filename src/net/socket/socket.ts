/**
 * One connected descriptor and its end.
 *
 *   open --end("graceful")--> graceful ----------+--the last operation lands--> descriptor closed,
 *    |       | bytes are unsent                   |                             `closed` resolves
 *    |       +-> lingering --all taken, or late---+
 *    +--end("reset"), refuseFin()--> reset -------+      reset overtakes graceful and lingering
 *
 * Order of events at the end: the operations are cancelled, each operation lands, the peer has
 * everything, the descriptor is closed, `closed` resolves. A descriptor number is therefore never
 * free while an operation names it.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { NetworkError } from "../../base/network_error.ts";
import { type RingPort, SHUTDOWN_AGAIN, SHUTDOWN_DISCARD, SOCKET_OPTION } from "../../ring/port.ts";
import { formatAddress, type SocketAddress, type UnixAddress } from "../address/address.ts";
import { AF_UNIX } from "../address/sockaddr.ts";
import { refusalCode } from "../config/backend.ts";
import type { KeepAlive } from "../config/config.ts";
import { ANSWER_GIVEN, ANSWER_OWED } from "./answer_state.ts";
import type { PacedEnd } from "./end_pace.ts";
import type { Lingerer } from "./lingering.ts";
import type { Closeable, NetworkContext } from "./network_context.ts";
import { type PackedAddress, packedAddress } from "../address/packed_address.ts";
import type { SocketDirection, SocketHalf } from "./socket_half.ts";
import { type SocketOrigin, socketOrigin } from "./socket_origin.ts";
import { isUnfinished, type SocketEnd } from "./socket_end.ts";
import { type SocketOption, socketOptions } from "./socket_options.ts";
import { SocketState } from "./socket_state.ts";

/** The owner of the socket: the connection. */
interface SocketOwner extends Closeable {
  readonly remoteAddress: SocketAddress | UnixAddress;
  /** Notices the peer's end. Made when first needed, for few connections. */
  readonly watch: SocketHalf | null;
}

/** Errnos of setting an option that only report that the peer has ended first. */
const PEER_GONE_ERRNOS = [ERRNO.ENOTCONN, ERRNO.EINVAL, ERRNO.ECONNRESET];

/**
 * The promise of each end that took place at once. Programs get it, so it is frozen: what one of
 * them would write into it, all would find.
 */
const CLOSED: Promise<void> = Object.freeze(Promise.resolve());

export class Socket extends SocketState implements Lingerer, PacedEnd {
  /** The descriptor; -1 once it is closed, because another socket may have its number then. */
  fd: number;
  readonly #origin: SocketOrigin;
  #sending: SocketDirection | null = null;
  #receiving: SocketDirection | null = null;
  /** Leaves the network's roster when the descriptor is closed, before `closed` resolves. */
  owner: SocketOwner | null = null;
  /** Called when the end begins to wait for the peer to take bytes that the kernel has. */
  whenLingering: (() => void) | null = null;
  /** Made when a caller first asks for it. */
  #closed: PromiseWithResolvers<void> | null = null;

  constructor(context: NetworkContext, fd: number, origin: SocketOrigin) {
    super(context);
    this.fd = fd;
    this.#origin = origin;
  }

  get family(): number {
    return this.#origin.family;
  }

  /** Resolves when the descriptor is closed. */
  get closed(): Promise<void> {
    if (this.isClosed) return CLOSED;
    return (this.#closed ??= Promise.withResolvers<void>()).promise;
  }

  get isClosed(): boolean {
    return this.fd < 0;
  }

  get port(): RingPort {
    return this.context.recvRing.port;
  }

  /** Registers a half: the end of the socket waits for it. The first send makes the sending one. */
  attach(half: SocketDirection, direction: "sending" | "receiving"): void {
    if (direction === "sending") this.#sending = half;
    else this.#receiving = half;
  }

  /**
   * The name of the peer in error messages. A peer without a name, such as most peers that dial a
   * unix socket, is named by the path at which it was accepted.
   */
  get peerName(): string {
    const peer = this.owner === null ? "unix:" : formatAddress(this.owner.remoteAddress);
    if (peer !== "unix:") return peer;
    if (this.family !== AF_UNIX) return "an unknown address";
    const local = this.localAddress;
    const name = local === null ? "unix:" : formatAddress(packedAddress.unpack(local));
    return name === "unix:" ? "an unnamed unix socket" : name;
  }

  noteReceived(): void {
    if (this.answer === ANSWER_GIVEN) this.answer = ANSWER_OWED;
  }

  noteSent(): void {
    if (this.answer === ANSWER_OWED) this.answer = ANSWER_GIVEN;
  }

  setNoDelay(on: boolean): void {
    this.set([{ name: "tcpNoDelay", option: SOCKET_OPTION.noDelay, value: on ? 1 : 0 }]);
  }

  setKeepAlive(keepAlive: KeepAlive | null): void {
    this.set(socketOptions.keepAlive(keepAlive));
  }

  /** Sets options one after the other. Those of TCP have no effect on a unix socket. */
  set(options: readonly SocketOption[]): void {
    for (const option of options) this.#set(option);
  }

  #set({ name, option, value }: SocketOption): void {
    if (this.isClosed || !socketOptions.suits(option, this.family)) return;
    const result = this.port.setOption(this.fd, option, value);
    if (result >= 0 || PEER_GONE_ERRNOS.includes(-result)) return;
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

  /**
   * Notes that a send failed or stopped early. The kernel does not report the cause, perhaps a
   * reset, again.
   */
  noteBrokenSend(): void {
    if (this.peerEnd === "none") this.peerEnd = "doubtful";
  }

  /**
   * Whether the receive that returned 0 met another end than FIN. The kernel is asked only when a
   * send may have consumed the report of a reset. When the kernel does not answer, the end counts
   * as a reset: a stream that was cut off must not look complete.
   */
  cutOff(): boolean {
    const suspect = this.peerEnd === "doubtful" || this.#sending?.isIdle === false;
    if (!suspect || this.ending || this.family === AF_UNIX) return false;
    return this.port.cutOff(this.fd) !== 0;
  }

  /** Null when the descriptor is closed. */
  get localAddress(): PackedAddress | null {
    if (this.isClosed) return null;
    return socketOrigin.localAddress(this.#origin, this.context.recvRing, this.fd);
  }

  /** Sends FIN, unless RST is to follow. Bytes that the peer sent stay readable. */
  shutdownSend(): void {
    if (this.lastEnd === "reset" || this.lastEnd === "resetSoon") return;
    if (!this.isClosed) this.port.shutdown(this.fd, 1);
  }

  /**
   * Keeps a half close from sending FIN before a reset. The reset drops the queued bytes that the
   * half close waits for, and FIN, which hides the RST behind it, would look like a clean end.
   */
  refuseFin(): void {
    this.lastEnd ??= "reset";
  }

  /**
   * Ends the socket. The first end decides, except that a reset overtakes a graceful end. A
   * graceful end waits until the peer has taken all bytes, until `untilMs` of the host's clock at
   * the latest. Many graceful ends at a time take turns with the event loop: see `EndPace`.
   */
  end(how: SocketEnd, untilMs = 0): Promise<void> {
    if (this.lastEnd === null && how === "graceful") {
      this.lastEnd = "gracefulSoon";
      this.context.ends.end(this, untilMs);
    } else if (how === "reset" && !this.isClosed) {
      this.#leaveQueues();
      this.lastEnd = "resetSoon";
      this.endNow(0);
    }
    return this.closed;
  }

  /**
   * As `end("reset")`, in turns with the event loop. Graceful ends that wait for their turn or
   * linger stay what they are: RST would drop bytes that their peers have yet to read.
   */
  resetSoon(): void {
    if (isUnfinished(this.lastEnd) || this.isClosed) return;
    this.lastEnd = "resetSoon";
    this.context.ends.end(this, 0);
  }

  endNow(untilMs: number): void {
    const how = this.lastEnd === "resetSoon" ? "reset" : "graceful";
    this.lastEnd = how;
    const { soLinger } = this.context.config;
    // The kernel never refuses SO_LINGER. A refusal would make the end graceful, which is harmless.
    if (how === "reset" && soLinger !== 0) this.#setLinger(0);
    const isAbrupt = how === "reset" || soLinger === 0;
    // No FIN may precede RST. A graceful end sends FIN here, also when a forked process has a copy
    // of the descriptor. The shutdown also ends a receive without a cancel: Linux 6.11 can fail to
    // find a multishot receive that is to be cancelled. Behind the peer's FIN, nothing is unread.
    const both = this.peerEnd === "fin" ? 2 : SHUTDOWN_DISCARD;
    const unsent = this.port.shutdown(this.fd, isAbrupt ? 0 : both);
    const lingers = unsent > 0 && untilMs > this.context.host.now();
    if (lingers) this.#linger(untilMs);
    else if (unsent > 0) this.port.shutdown(this.fd, 2);
    this.#sending?.cancel();
    lingers ? this.#receiving?.cancel() : this.#receiving?.expectEnd();
    this.owner?.watch?.cancel();
    this.landed();
  }

  #leaveQueues(): void {
    if (this.lastEnd === "lingering") this.context.lingering.delete(this);
    else if (isUnfinished(this.lastEnd)) this.context.ends.delete(this);
  }

  #linger(untilMs: number): void {
    this.lastEnd = "lingering";
    this.context.lingering.add(this, untilMs);
    this.whenLingering?.();
  }

  checkUnsent(): number {
    return Math.max(this.port.shutdown(this.fd, SHUTDOWN_AGAIN), 0);
  }

  endLingering(): void {
    this.lastEnd = "graceful";
    // When the budget has ended, this ends a receive that no cancel has found.
    this.port.shutdown(this.fd, 0);
    this.landed();
  }

  #setLinger(seconds: number): void {
    this.port.setOption(this.fd, SOCKET_OPTION.lingerSeconds, seconds);
  }

  /** An operation has landed: closes the descriptor when it was the last one of an ended socket. */
  landed(): void {
    const end = this.lastEnd;
    if (end === null || isUnfinished(end) || this.isClosed) return;
    const sending = this.#sending;
    const receiving = this.#receiving;
    if (sending?.isIdle === false || receiving?.isIdle === false) return;
    const watch = this.owner === null ? null : this.owner.watch;
    if (watch !== null && !watch.isIdle) return;
    this.#closeDescriptor(end);
    sending?.release();
    receiving?.release();
    this.context.meter.counts[COUNT.connections]--;
    if (this.owner !== null) this.context.open.delete(this.owner);
    watch?.release();
    this.#closed?.resolve();
  }

  #closeDescriptor(end: SocketEnd): void {
    const { soLinger } = this.context.config;
    // With a positive linger time close(2) would block the thread; -1 lets the kernel send alone.
    if (end === "graceful" && soLinger !== null && soLinger !== 0) this.#setLinger(-1);
    this.port.closeDescriptor(this.fd);
    this.fd = -1;
  }
}
