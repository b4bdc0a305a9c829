/**
 * The public shape of a connection. The class behind it has private members, so that nothing else
 * would fit its type; this is a shape, which a wrapper or a stand-in can have as well.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../address/address.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { KeepAlive } from "../config/config.ts";
import type { Sink } from "../send/sink.ts";
import type { Stream } from "../recv/stream.ts";
import type { SocketOptions } from "../socket/socket_options.ts";

/** One connection, made by `Network.dial` or `Listener.accept`. */
export interface Connection extends AsyncDisposable {
  /** The sending half. */
  readonly sink: Sink;
  /** The receiving half. */
  readonly stream: Stream;
  /** This end. Read when first asked for, at the latest when the connection ends. */
  readonly localAddress: SocketAddress | UnixAddress;
  /** The peer's end. */
  readonly remoteAddress: SocketAddress | UnixAddress;
  /** The stream as a web stream, made on first use. Cancelling it ends the receiving half. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The sink as a web stream, made on first use. Closing it half-closes; aborting resets. */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Aborted once the connection is over: closed or reset by this end, reset by the peer, failed, or
   * ended in both directions. A peer that has only finished sending does not abort it. The reason
   * is a NetworkError "Closed". Made when first asked for; it does not keep the process alive.
   */
  readonly signal: AbortSignal;

  /**
   * Resolves when the peer has finished sending (FIN) or has reset the connection. No byte is
   * received for it: what comes before stays where it is. Where the peer has sent more than the
   * kernel's receive buffer takes, its end is known only once the program receives.
   *
   * Rejects with a NetworkError "Closed" when this end closes meanwhile, "Timeout", or the signal's
   * reason.
   */
  peerFinished(options?: CallOptions): Promise<void>;

  /**
   * Sets options of the socket. Throws TypeError or RangeError for wrong ones, and then has set
   * none; throws a NetworkError "ConnectionFailed" when the kernel refuses one.
   */
  setOptions(options: SocketOptions): void;

  /** TCP_NODELAY, on unless told otherwise. Throws TypeError for anything but a boolean. */
  setNoDelay(on?: boolean): void;

  /** Keep-alive probing: on, off, or with its times. Throws TypeError or RangeError. */
  setKeepAlive(options: boolean | KeepAlive): void;

  /** Pending calls keep the process alive (the default). */
  ref(): void;

  /** Pending calls do not keep the process alive. */
  unref(): void;

  /**
   * Graceful end: pending sends first, within `shutdownTimeoutMs`, then FIN. Pending receives get
   * "Closed" at once. Resolves when the descriptor is closed. Idempotent.
   */
  close(): Promise<void>;

  /** Abrupt end: pending calls get "Closed", the peer gets RST. */
  reset(): void;
}

/** For the class, which has the interface's name. */
export type { Connection as ConnectionInterface };
