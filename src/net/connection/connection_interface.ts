/**
 * What users know of a connection. The class behind it has private members, so that nothing else
 * would fit its type; this is a shape, which a wrapper or a stand-in can have as well.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../address/address.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { KeepAlive } from "../config/config.ts";
import type { Sink } from "../send/sink.ts";
import type { Stream } from "../recv/stream.ts";

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
   * Resolves once the peer has finished: its FIN or its reset has come. Consumes no byte: what the
   * peer sent before can still be received. Resolves at once when that has happened already.
   *
   * There is no budget unless `timeoutMs` gives one. Rejects with a NetworkError: "Timeout";
   * "Closed" when this end was closed or reset; "RecvFailed" when the kernel cannot watch the
   * socket. Rejects with the signal's reason when aborted, and with TypeError or RangeError for
   * wrong options.
   *
   * ```ts
   * const gone = new AbortController();
   * connection.peerFinished().then(() => gone.abort(), () => {});
   * await connection.sink.send(await answer(gone.signal)); // stops when nobody listens any more
   * ```
   */
  peerFinished(options?: CallOptions): Promise<void>;

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
