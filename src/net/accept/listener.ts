/**
 * A bound and listening socket.
 *
 * @module
 */
import { NetworkError } from "../../base/network_error.ts";
import { AcceptCall } from "./accept_call.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { formatAddress, type SocketAddress, type UnixAddress } from "../address/address.ts";
import type { BoundSocket } from "./bound_socket.ts";
import type { CallOptions } from "../call/call_options.ts";
import { SocketConnection } from "../connection/connection.ts";
import type { Connection } from "../connection/connection_interface.ts";
import { Holder } from "../call/holder.ts";
import type { Closeable, NetworkContext } from "../socket/network_context.ts";
import type { SocketFile } from "./socket_file.ts";

/**
 * A listener over a socket that listens. The listener closes the socket.
 * @internal
 */
export let openListener: (context: NetworkContext, bound: BoundSocket) => Listener;

/**
 * The listener in the roster of open things: hides what only the network may call.
 * @internal
 */
class OpenListener implements Closeable {
  place = -1;
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  close(): Promise<void> {
    return this.#listener.close();
  }

  reset(): void {
    void this.#listener.close();
  }
}

/**
 * A bound and listening socket, made by {@link Network.bind}.
 *
 * The listener accepts a connection when the program asks for one. A program that stops calling
 * `accept` stops taking connections, and the backlog fills.
 *
 * @example
 * ```ts
 * import { Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * const listener = await network.bind("127.0.0.1:0");
 * const client = network.dial(listener.localAddress);
 * for await (const connection of listener) {
 *   await connection.sink.send("bye");
 *   await connection.close();
 *   await listener.close();
 * }
 * console.log((await (await client).stream.recv(3)).text()); // bye
 * ```
 */
export class Listener implements AsyncIterable<Connection>, AsyncDisposable {
  static {
    openListener = (context, bound) => new Listener(context, bound);
  }

  /** The address where connections arrive, with the port that the kernel chose for port 0. */
  readonly localAddress: SocketAddress | UnixAddress;
  readonly #entry: OpenListener;
  readonly #context: NetworkContext;
  readonly #fd: number;
  readonly #file: SocketFile | null;
  readonly #holder: Holder;
  readonly #queue: AcceptQueue;
  readonly #ended = Promise.withResolvers<void>();

  private constructor(context: NetworkContext, { fd, family, localAddress, file }: BoundSocket) {
    this.#context = context;
    this.#fd = fd;
    this.#file = file;
    this.localAddress = localAddress;
    this.#holder = new Holder(context);
    const name = formatAddress(localAddress);
    this.#queue = new AcceptQueue(
      context,
      fd,
      name,
      (accepted, peer) => SocketConnection.adopt(context, accepted, family, peer),
      () => this.#finish(),
    );
    this.#entry = new OpenListener(this);
    context.open.add(this.#entry);
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#queue.closed;
  }

  /**
   * Waits for a connection. Calls are served in order. A call that times out or is aborted loses no
   * connection.
   *
   * @param options A signal, and a budget. There is no budget by default.
   * @returns A connection.
   * @throws {NetworkError} `"AcceptFailed"`: the kernel reports an errno. `"Timeout"`: the budget
   * ran out. `"Closed"`: the listener or the network is closed.
   * @throws {TypeError} An option is unknown or has a wrong type.
   * @throws {RangeError} `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  accept(options?: CallOptions): Promise<Connection> {
    try {
      if (this.#queue.closed) throw this.#queue.closedError();
      const call = new AcceptCall(this.#queue, this.#holder);
      call.prepare(options, null);
      // A getter of the options may have closed the listener.
      if (this.#queue.closed) throw this.#queue.closedError();
      const ready = this.#queue.takeReady();
      if (ready !== null) return Promise.resolve(ready);
      const promise = call.promise<Connection>();
      this.#queue.push(call);
      return promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Accepts until the listener is closed, for `for await`. The iteration throws as `accept` does,
   * except for `"Closed"`, which ends it.
   *
   * @returns An iterator over connections.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
    while (!this.#queue.closed) {
      let connection: Connection;
      try {
        connection = await this.accept();
      } catch (error) {
        if (error instanceof NetworkError && error.code === "Closed") return;
        throw error;
      }
      yield connection;
    }
  }

  /** Lets pending `accept` calls keep the process alive. This is the default. */
  ref(): void {
    this.#holder.ref();
  }

  /** Lets the process end although `accept` calls are pending. */
  unref(): void {
    this.#holder.unref();
  }

  /**
   * Stops listening. Pending calls get `"Closed"`. Accepted connections stay open. Idempotent.
   * Resolves when the descriptor is closed, and never rejects.
   */
  close(): Promise<void> {
    if (!this.#queue.closed) {
      this.#queue.close();
      // The kernel refuses peers from now on, and the port is free, before the pending accept
      // operation completes.
      this.#context.recvRing.port.shutdown(this.#fd, 2);
      if (this.#queue.idle) this.#finish();
    }
    return this.#ended.promise;
  }

  /** Closes the listener, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #finish(): void {
    if (!this.#context.open.delete(this.#entry)) return;
    // The file outlives the socket unless it is removed. Its identity is certain until the socket
    // is closed.
    this.#file?.remove();
    this.#context.recvRing.port.closeDescriptor(this.#fd);
    this.#queue.retire();
    this.#ended.resolve();
  }
}
