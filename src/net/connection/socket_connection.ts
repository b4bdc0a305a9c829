/**
 * The connection over one socket: a sink, a stream, and the end of both.
 *
 * @module
 */
import { brand } from "../../base/brand.ts";
import { check } from "../../base/check.ts";
import { COUNT } from "../../base/meter.ts";
import type { SocketAddress, UnixAddress } from "../address/address.ts";
import { AF_UNIX, unknownAddress } from "../address/sockaddr.ts";
import type { CallOptions } from "../call/call_options.ts";
import { CloseReason } from "../call/close_reason.ts";
import type { Telling } from "../call/ended_calls.ts";
import { checkKeepAlive, type KeepAlive } from "../config/config.ts";
import type { Connection } from "./connection.ts";
import type { Closeable, NetworkContext } from "../socket/network_context.ts";
import { type PackedAddress, packedAddress } from "../address/packed_address.ts";
import { abandonSink, closeSinkWithoutFin, openSink, type Sink, sinkGaveUp } from "../send/sink.ts";
import { ANSWER_NEVER, ANSWER_OWED, type AnswerState } from "../socket/answer_state.ts";
import { Socket } from "../socket/socket.ts";
import type { SocketOrigin } from "../socket/socket_origin.ts";
import { abandonStream, isReceiving, openStream, type Stream, tellEnded } from "../recv/stream.ts";
import type { SocketOptions } from "../config/socket_options.ts";
import { socketOptions } from "../socket/socket_options.ts";
import { PeerWatch } from "./peer_watch.ts";
import { webStreams } from "./web_streams.ts";

/** State that few connections need. An open connection without it is half as large. */
interface Extras {
  localAddress: PackedAddress | null;
  readable: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  writable: WritableStream<Uint8Array> | null;
  watch: PeerWatch | null;
  closing: Promise<void> | null;
}

/**
 * The debt of a connection to its peer. "answer": the program works on the bytes that it has
 * received. "unknown": the program has received bytes, has sent no answer since, and waits for more
 * bytes.
 */
export type Debt = "none" | "unknown" | "answer";

export class SocketConnection implements Connection, Closeable {
  static {
    brand(this, "Connection");
  }

  /** The sending half. */
  readonly sink: Sink;
  /** The receiving half. */
  readonly stream: Stream;
  /** The index among the open objects of the network. */
  rosterIndex = -1;
  readonly #socket: Socket;
  #remoteAddress: PackedAddress;
  #extras: Extras | null = null;

  private constructor(socket: Socket, peer: PackedAddress) {
    this.#socket = socket;
    this.sink = openSink(socket);
    this.stream = openStream(socket);
    this.#remoteAddress = peer;
  }

  /**
   * Takes over a connected descriptor whose options are set, and closes the descriptor on a
   * failure. The address of the peer comes from the accept or the dial, because the kernel forgets
   * it when the peer resets the connection.
   */
  static adopt(
    context: NetworkContext,
    fd: number,
    origin: SocketOrigin,
    peer: PackedAddress,
    answer: AnswerState,
  ): SocketConnection {
    try {
      const socket = new Socket(context, fd, origin);
      socket.answer = answer;
      const connection = new SocketConnection(socket, peer);
      context.open.add(connection);
      socket.owner = connection;
      context.meter.counts[COUNT.connections]++;
      return connection;
    } catch (error) {
      context.recvRing.port.closeDescriptor(fd);
      throw error;
    }
  }

  /** The descriptor and its end, for the adapters. */
  get socket(): Socket {
    return this.#socket;
  }

  /** The address of the peer, even when the peer has gone. */
  get remoteAddress(): SocketAddress | UnixAddress {
    const address = packedAddress.unpack(this.#remoteAddress);
    this.#remoteAddress = address;
    return address;
  }

  /** Read at the first access, or at the end, because it costs a system call. */
  get localAddress(): SocketAddress | UnixAddress {
    const address = packedAddress.unpack(this.#readLocalAddress());
    this.#extra.localAddress = address;
    return address;
  }

  /** The stream as a web stream, made on first use. Cancelling it ends the receiving half. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#extra.readable ??= webStreams.readable(this.stream);
  }

  /** The sink as a web stream, made on first use. Closing it half-closes; aborting resets. */
  get writable(): WritableStream<Uint8Array> {
    return this.#extra.writable ??= webStreams.writable(this.sink, () => this.reset());
  }

  /** Aborted once the connection is over. Made on first use. */
  get signal(): AbortSignal {
    return this.#madeWatch.signal;
  }

  /** Resolves on the peer's FIN or reset, without receiving a byte. */
  peerFinished(options?: CallOptions): Promise<void> {
    try {
      return this.#madeWatch.finished(options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sets the given options of the socket, or none of them when one is wrong. */
  setOptions(options: SocketOptions): void {
    if (options === undefined) check.fail("options", "an object", options);
    this.#socket.set(socketOptions.read(check.options("options", options, socketOptions.names)));
  }

  /** TCP_NODELAY. Throws TypeError for anything but a boolean. */
  setNoDelay(on = true): void {
    this.#socket.setNoDelay(check.boolean("on", on));
  }

  /** Keep-alive probing: on, off, or with its times. */
  setKeepAlive(options: boolean | KeepAlive): void {
    if (options === null || options === undefined) {
      check.fail("options", "a boolean or an object", options);
    }
    this.#socket.setKeepAlive(checkKeepAlive("options", options));
  }

  /** Lets pending calls keep the process alive. This is the default. */
  ref(): void {
    this.#socket.ref();
  }

  /** Lets the process end although calls are pending. */
  unref(): void {
    this.#socket.unref();
  }

  /**
   * Ends gracefully: pending sends first, within `shutdownTimeoutMs`, then FIN. Pending receives
   * get "Closed" at once. Resolves when the descriptor is closed. Idempotent.
   */
  close(): Promise<void> {
    const { closing } = this.#extra;
    if (closing === null) return this.#beginClose("atOnce");
    tellEnded(this.stream);
    return closing;
  }

  /**
   * As `close`, for many connections at a time: the callers of receives are told in turns with the
   * event loop.
   */
  closeSoon(): Promise<void> {
    return this.#extra.closing ?? this.#beginClose("inRounds");
  }

  /** The watch of the peer's end; null until it is first used. */
  get watch(): PeerWatch | null {
    return this.#extras === null ? null : this.#extras.watch;
  }

  /** Whether a listener accepted the connection, or the program adopted it. */
  get isAccepted(): boolean {
    return this.#socket.answer !== ANSWER_NEVER;
  }

  /** The debt, for the end of the network: see `drain_network.ts`. */
  get debt(): Debt {
    const owes = this.#socket.answer === ANSWER_OWED && !this.sink.closed;
    if (!owes || this.#socket.ending || (this.#extras?.closing ?? null) !== null) return "none";
    return isReceiving(this.stream) ? "unknown" : "answer";
  }

  /** Abrupt end: pending calls get "Closed", the peer gets RST. */
  reset(): void {
    this.#reset("atOnce");
  }

  /**
   * The part of `close` that ends calls which wait for the peer, for many connections at a time:
   * callers are told in turns with the event loop. `close` follows.
   */
  endReceives(reason: CloseReason): void {
    if (this.watch === null && !isReceiving(this.stream)) return;
    this.watch?.abandon(reason);
    abandonStream(this.stream, reason, "endsWithSocket", "inRounds");
  }

  /**
   * As `reset`, for many connections at a time: RST takes turns with the event loop, and so do the
   * callers of receives.
   */
  resetSoon(): void {
    this.#abandon("inRounds");
    this.#socket.resetSoon();
    this.#extra.closing ??= this.#socket.closed;
  }

  #reset(telling: Telling): void {
    this.#abandon(telling);
    void this.#socket.end("reset");
    this.#extra.closing ??= this.#socket.closed;
  }

  /** Before a reset. */
  #abandon(telling: Telling): void {
    const reason = new CloseReason("the connection was reset");
    this.#readLocalAddress();
    this.#socket.refuseFin();
    this.watch?.abandon(reason);
    abandonStream(this.stream, reason, "endsWithSocket", telling);
    abandonSink(this.sink, reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Runs before the descriptor is closed, because afterwards another connection may have its
   * number.
   */
  #readLocalAddress(): PackedAddress {
    const socket = this.#socket;
    return this.#extra.localAddress ??= socket.localAddress ?? unknownAddress(socket.family);
  }

  get #extra(): Extras {
    if (this.#extras !== null) return this.#extras;
    return this.#extras = {
      localAddress: null,
      readable: null,
      writable: null,
      watch: null,
      closing: null,
    };
  }

  get #madeWatch(): PeerWatch {
    const extra = this.#extra;
    if (extra.watch !== null) return extra.watch;
    extra.watch = new PeerWatch(this.#socket);
    if (extra.closing !== null) extra.watch.abandon(new CloseReason("the connection was closed"));
    return extra.watch;
  }

  #beginClose(telling: Telling): Promise<void> {
    const { context, family } = this.#socket;
    if (context.config.soLinger === 0 && family !== AF_UNIX) this.#reset(telling);
    return this.#extra.closing ??= this.#close(telling);
  }

  #close(telling: Telling): Promise<void> {
    const reason = new CloseReason("the connection was closed");
    const { context } = this.#socket;
    // The ring's clock may stand still since before the program slept or computed.
    const untilMs = context.host.now() + (context.config.shutdownTimeoutMs ?? Infinity);
    this.#readLocalAddress();
    this.watch?.abandon(reason);
    const flight = this.sink.bytesQueued === 0 ? "endsWithSocket" : "cancelled";
    abandonStream(this.stream, reason, flight, telling);
    const sent = closeSinkWithoutFin(this.sink, reason);
    if (sent === null) return this.#endSocket(reason, untilMs);
    return sent.then(() => this.#endSocket(reason, untilMs));
  }

  #endSocket(reason: CloseReason, untilMs: number): Promise<void> {
    abandonSink(this.sink, reason);
    // A FIN after a part of the queued bytes would look like a clean end to the peer.
    return this.#socket.end(sinkGaveUp(this.sink) ? "reset" : "graceful", untilMs);
  }
}
