/**
 * The interface of a connection. The class that implements it has private fields, so no other
 * object would fit the type of the class. Any wrapper or substitute can implement the interface.
 *
 * @module
 */
import type { SocketAddress, UnixAddress } from "../address/address.ts";
import type { CallOptions } from "../call/call_options.ts";
import type { KeepAlive } from "../config/config.ts";
import type { Stream } from "../recv/stream.ts";
import type { Sink } from "../send/sink.ts";
import type { SocketOptions } from "../config/socket_options.ts";

/**
 * One connection, made by {@link Network.dial} or {@link Listener.accept}. An object that has these
 * members can stand in for a connection.
 *
 * @example
 * ```ts
 * import { type Connection, Network } from "@uringnet/uringnet";
 *
 * async function echo(connection: Connection): Promise<void> {
 *   await using _closed = connection;
 *   for (let data; (data = await connection.stream.recvSome()) !== null;) {
 *     await connection.sink.send(data);
 *   }
 * }
 *
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0");
 * const accepting = listener.accept().then(echo);
 * const client = await network.dial(listener.localAddress);
 * await client.sink.send("ping");
 * console.log((await client.stream.recv(4)).text()); // ping
 * await client.close();
 * await accepting;
 * ```
 */
export interface Connection extends AsyncDisposable {
  /** The sending half. */
  readonly sink: Sink;
  /** The receiving half. */
  readonly stream: Stream;
  /** The address of this end. Read at the first access, or when the connection ends. */
  readonly localAddress: SocketAddress | UnixAddress;
  /** The address of the peer, even when the peer has gone. */
  readonly remoteAddress: SocketAddress | UnixAddress;
  /**
   * The receiving half as a web stream, made at the first access. The web stream is a byte stream,
   * and its chunks are copies. Cancelling it ends the receiving half. Do not mix it with calls on
   * `stream`.
   */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * The sending half as a web stream, made at the first access. Closing it closes the half.
   * Aborting it resets the connection. Do not mix it with calls on `sink`.
   */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Aborted once the connection is over: closed or reset by this end, reset by the peer, failed, or
   * ended in both directions. A peer that has only finished sending does not abort the signal. The
   * reason is a NetworkError `"Closed"`. Made at the first access. Does not keep the process alive.
   */
  readonly signal: AbortSignal;

  /**
   * Resolves when the peer has finished sending (FIN) or has reset the connection. Receives no
   * byte: bytes before the end stay in the kernel or in the read buffer. Where the peer has sent
   * more than the kernel's receive buffer takes, the end is known only once the program receives.
   *
   * @param options A signal, and a budget. There is no budget by default.
   * @throws {NetworkError} `"Closed"`: this end closed meanwhile. `"Timeout"`: the budget ran out.
   * @throws {TypeError} An option is unknown or has a wrong type.
   * @throws {RangeError} `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  peerFinished(options?: CallOptions): Promise<void>;

  /**
   * Sets options of the socket. A wrong option sets none of them.
   *
   * @param options See {@link SocketOptions}.
   * @throws {TypeError} An option is unknown or has a wrong type.
   * @throws {RangeError} A value is out of range.
   * @throws {NetworkError} `"ConnectionFailed"`: the kernel refuses an option.
   */
  setOptions(options: SocketOptions): void;

  /**
   * Sets TCP_NODELAY: small sends leave at once, even while earlier bytes are unacknowledged. No
   * effect on unix sockets, and none once the connection is closed.
   *
   * @param on Defaults to true.
   * @throws {TypeError} `on` is not a boolean.
   * @throws {NetworkError} `"ConnectionFailed"`: the kernel refuses the option.
   */
  setNoDelay(on?: boolean): void;

  /**
   * Sets keep-alive probing. No effect on unix sockets, and none once the connection is closed.
   *
   * @param options True or false, or the times of the probes.
   * @throws {TypeError} A field is unknown or has a wrong type.
   * @throws {RangeError} A time or a count is out of range.
   * @throws {NetworkError} `"ConnectionFailed"`: the kernel refuses the option.
   */
  setKeepAlive(options: boolean | KeepAlive): void;

  /** Lets pending calls keep the process alive. This is the default. */
  ref(): void;

  /** Lets the process end although calls are pending. */
  unref(): void;

  /**
   * Ends the connection gracefully: queued bytes are sent within `shutdownTimeoutMs`, then FIN.
   * Pending receives get `"Closed"` at once. Idempotent. Resolves when the descriptor is closed,
   * and never rejects.
   */
  close(): Promise<void>;

  /** Ends the connection abruptly: pending calls get `"Closed"`, and the peer gets RST. */
  reset(): void;
}
