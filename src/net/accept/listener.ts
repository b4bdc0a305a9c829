/**
 * A bound and listening socket.
 *
 * @module
 */
import { brand } from "../../base/brand.ts";
import { AcceptQueue } from "./accept_queue.ts";
import type { BacklogTaker } from "./backlog_taker.ts";
import { formatAddress, type SocketAddress, type UnixAddress } from "../address/address.ts";
import type { BoundSocket } from "./bound_socket.ts";
import type { CallOptions } from "../call/call_options.ts";
import { SocketConnection } from "../connection/socket_connection.ts";
import type { Connection } from "../connection/connection.ts";
import { LoopReference } from "../call/loop_reference.ts";
import type { Closeable, NetworkContext } from "../socket/network_context.ts";
import { ANSWER_GIVEN } from "../socket/answer_state.ts";
import type { SocketFile } from "./socket_file.ts";
import { socketOrigin } from "../socket/socket_origin.ts";

/**
 * A listener over a socket that listens. The listener closes the socket.
 * @internal
 */
export let openListener: (context: NetworkContext, bound: BoundSocket) => Listener;

/**
 * The network of a listener, for servers.
 * @internal
 */
export let listenerContext: (listener: Listener) => NetworkContext;

/**
 * The reference of a listener's calls, for servers.
 * @internal
 */
export let listenerReference: (listener: Listener) => LoopReference;

/**
 * Resolves when a listener is closed, by a server or by the program.
 * @internal
 */
export let listenerEnd: (listener: Listener) => Promise<void>;

/**
 * Gives what waits in the backlog to `taker`, and then closes the listener, at once: a handshake
 * that ends between the two is lost. Resolves when the descriptor is closed.
 * @internal
 */
export let drainListener: (listener: Listener, taker: BacklogTaker) => Promise<void>;

/**
 * The listener in the roster of open things: hides what only the network may call.
 * @internal
 */
class OpenListener implements Closeable {
  rosterIndex = -1;
  readonly #listener: Listener;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** A server that drains closes its listener itself. */
  close(): Promise<void> {
    return closeUnlessDraining(this.#listener);
  }

  resetSoon(): void {
    void closeListener(this.#listener);
  }
}

/**
 * Closes a listener, whatever the program has put in the place of its `close`.
 * @internal
 */
export let closeListener: (listener: Listener) => Promise<void>;

let closeUnlessDraining: (listener: Listener) => Promise<void>;

/**
 * The iteration over a listener. An async generator would make six more objects for each
 * connection, a sixth of what an idle connection takes.
 */
class Arrivals implements AsyncIterableIterator<Connection> {
  readonly #step: () => Promise<IteratorResult<Connection>>;
  #isOver = false;

  constructor(step: () => Promise<IteratorResult<Connection>>) {
    this.#step = step;
  }

  next(): Promise<IteratorResult<Connection>> {
    return this.#isOver ? this.return() : this.#step();
  }

  return(): Promise<IteratorResult<Connection>> {
    this.#isOver = true;
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
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
    brand(this, "Listener");
    openListener = (context, bound) => new Listener(context, bound);
    listenerContext = (listener) => listener.#context;
    listenerReference = (listener) => listener.#loopReference;
    listenerEnd = (listener) => listener.#ended.promise;
    drainListener = (listener, taker) => listener.#drain(taker);
    closeUnlessDraining = (listener) =>
      listener.#queue.draining ? listener.#ended.promise : listener.#close();
    closeListener = (listener) => listener.#close();
  }

  /** The address where connections arrive, with the port that the kernel chose for port 0. */
  readonly localAddress: SocketAddress | UnixAddress;
  readonly #entry: OpenListener;
  readonly #context: NetworkContext;
  readonly #fd: number;
  readonly #isShared: boolean;
  readonly #file: SocketFile | null;
  readonly #loopReference: LoopReference;
  readonly #queue: AcceptQueue;
  readonly #ended = Promise.withResolvers<void>();

  private constructor(context: NetworkContext, bound: BoundSocket) {
    const { fd, family, localAddress, file, isShared } = bound;
    this.#context = context;
    this.#fd = fd;
    this.#isShared = isShared;
    this.#file = file;
    this.localAddress = localAddress;
    this.#loopReference = new LoopReference(context);
    const name = formatAddress(localAddress);
    // A shared socket may be a transparent proxy's, which accepts for any address.
    const origin = isShared
      ? socketOrigin.ofFamily(family)
      : socketOrigin.ofListener(family, localAddress);
    this.#queue = new AcceptQueue(
      context,
      bound,
      name,
      (accepted, peer) => SocketConnection.adopt(context, accepted, origin, peer, ANSWER_GIVEN),
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
      return this.#queue.accept(options, this.#loopReference);
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
  [Symbol.asyncIterator](): AsyncIterableIterator<Connection> {
    return new Arrivals(() => this.#queue.step(this.#loopReference));
  }

  /** Lets pending `accept` calls keep the process alive. This is the default. */
  ref(): void {
    this.#loopReference.ref();
  }

  /** Lets the process end although `accept` calls are pending. */
  unref(): void {
    this.#loopReference.unref();
  }

  /**
   * Stops listening. Pending calls get `"Closed"`. Accepted connections stay open. Idempotent.
   * Resolves when the descriptor is closed, and never rejects.
   *
   * An adopted socket goes on listening in the processes that share the socket, and its backlog is
   * theirs. A connection that arrives in this moment goes to a pending call.
   */
  close(): Promise<void> {
    return this.#close();
  }

  #close(): Promise<void> {
    if (!this.#queue.closed) {
      this.#queue.close();
      // New peers are refused, and the port or the path is free at once, before the accept
      // operation has landed.
      if (!this.#isShared) this.#context.recvRing.port.shutdown(this.#fd, 2);
      // The file is removed while the socket is open, because the open socket identifies the file.
      this.#file?.remove();
      if (this.#queue.idle) this.#finish();
    }
    return this.#ended.promise;
  }

  /** Closes the listener, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #drain({ take, done }: BacklogTaker): Promise<void> {
    if (this.#queue.closed || this.#queue.draining) return this.#ended.promise;
    this.#queue.drain({
      take,
      done: (failure) => {
        void this.#close();
        done(failure);
      },
    });
    return this.#ended.promise;
  }

  #finish(): void {
    if (!this.#context.open.delete(this.#entry)) return;
    this.#context.recvRing.port.closeDescriptor(this.#fd);
    this.#queue.release();
    this.#ended.resolve();
  }
}
