/**
 * The connection over one socket: a sink, a stream, and the end of both.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { COUNT } from "../../base/meter.ts";
import {
  AF_UNIX,
  type SocketAddress,
  type UnixAddress,
  unknownAddress,
} from "../address/address.ts";
import { CloseReason } from "../call/close_reason.ts";
import { checkKeepAlive, type KeepAlive } from "../config/config.ts";
import type { Connection } from "./connection_interface.ts";
import type { Closeable, NetworkContext } from "../socket/network_context.ts";
import { type PackedAddress, packedAddress } from "../address/packed_address.ts";
import { abandonSink, closeSinkWithoutFin, openSink, type Sink, sinkGaveUp } from "../send/sink.ts";
import { Socket } from "../socket/socket.ts";
import { abandonStream, openStream, type Stream } from "../recv/stream.ts";
import { webStreams } from "./web_streams.ts";

/** State that few connections need. An open connection without it is half as large. */
interface Extras {
  localAddress: PackedAddress | null;
  readable: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  writable: WritableStream<Uint8Array> | null;
  closing: Promise<void> | null;
}

export class SocketConnection implements Connection, Closeable {
  /** The sending half. */
  readonly sink: Sink;
  /** The receiving half. */
  readonly stream: Stream;
  place = -1;
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
   * Takes over a connected descriptor that has its options, and closes the descriptor when that
   * fails. The accept or the dial knows the peer's address. The kernel forgets the address when the
   * peer resets the connection.
   */
  static adopt(
    context: NetworkContext,
    fd: number,
    family: number,
    peer: PackedAddress,
  ): SocketConnection {
    try {
      const socket = new Socket(context, fd, family);
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

  /** The peer's end, also when the peer is gone. */
  get remoteAddress(): SocketAddress | UnixAddress {
    const address = packedAddress.unpack(this.#remoteAddress);
    this.#remoteAddress = address;
    return address;
  }

  /** Read when first asked for, or at the end: it costs a system call. */
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
   * Graceful end: pending sends first, within `shutdownTimeoutMs`, then FIN. Pending receives get
   * "Closed" at once. Resolves when the descriptor is closed. Idempotent.
   */
  close(): Promise<void> {
    const { closing } = this.#extra;
    if (closing !== null) return closing;
    const { context, family } = this.#socket;
    if (context.config.soLinger === 0 && family !== AF_UNIX) this.reset();
    return this.#extra.closing ??= this.#close();
  }

  /** Abrupt end: pending calls get "Closed", the peer gets RST. */
  reset(): void {
    const reason = new CloseReason("the connection was reset");
    this.#readLocalAddress();
    this.#socket.refuseFin();
    abandonStream(this.stream, reason);
    abandonSink(this.sink, reason);
    void this.#socket.end("reset");
    this.#extra.closing ??= this.#socket.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Runs before the descriptor is closed: afterwards another connection may have its number. */
  #readLocalAddress(): PackedAddress {
    const socket = this.#socket;
    return this.#extra.localAddress ??= socket.localAddress ?? unknownAddress(socket.family);
  }

  get #extra(): Extras {
    if (this.#extras !== null) return this.#extras;
    return this.#extras = { localAddress: null, readable: null, writable: null, closing: null };
  }

  async #close(): Promise<void> {
    const reason = new CloseReason("the connection was closed");
    const { context } = this.#socket;
    const untilMs = context.now + (context.config.shutdownTimeoutMs ?? Infinity);
    this.#readLocalAddress();
    abandonStream(this.stream, reason);
    await closeSinkWithoutFin(this.sink, reason);
    abandonSink(this.sink, reason);
    // A FIN after a part of the queued bytes would look like a clean end to the peer.
    await this.#socket.end(sinkGaveUp(this.sink) ? "reset" : "graceful", untilMs);
  }
}
