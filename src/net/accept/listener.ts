/**
 * A bound and listening socket.
 *
 * @module
 */
import { NetworkError } from "../../base/network_error.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { formatAddress, type SocketAddress, type UnixAddress } from "../address/address.ts";
import type { BoundSocket } from "./bound_socket.ts";
import type { CallOptions } from "../call/call_options.ts";
import { Connection as AcceptedConnection } from "../connection/connection.ts";
import type { Connection } from "../connection/connection_interface.ts";
import { LoopReference } from "../call/loop_reference.ts";
import type { Closeable, NetworkContext } from "../socket/network_context.ts";
import { ANSWER_GIVEN } from "../socket/socket.ts";
import type { SocketFile } from "./socket_file.ts";

/** The network of a listener, for servers. */
export let listenerContext: (listener: Listener) => NetworkContext;

export class Listener implements AsyncIterable<Connection>, AsyncDisposable, Closeable {
  /** Where connections arrive; the port is the real one when 0 was asked for. */
  readonly localAddress: SocketAddress | UnixAddress;
  /** @internal The index among the open objects of the network. */
  rosterIndex = -1;
  readonly #context: NetworkContext;
  readonly #fd: number;
  readonly #file: SocketFile | null;
  readonly #loopReference: LoopReference;
  readonly #queue: AcceptQueue;
  readonly #ended = Promise.withResolvers<void>();

  static {
    listenerContext = (listener) => listener.#context;
  }

  /** @internal Takes over a listening socket. */
  constructor(context: NetworkContext, { fd, family, localAddress, file }: BoundSocket) {
    this.#context = context;
    this.#fd = fd;
    this.#file = file;
    this.localAddress = localAddress;
    this.#loopReference = new LoopReference(context);
    const name = formatAddress(localAddress);
    this.#queue = new AcceptQueue(
      context,
      fd,
      name,
      (accepted, peer) => AcceptedConnection.adopt(context, accepted, family, peer, ANSWER_GIVEN),
      () => this.#finish(),
    );
    context.open.add(this);
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#queue.closed;
  }

  /**
   * Waits for a connection. Calls are served in order; no connection is lost when one times out or
   * is aborted. Rejects with a NetworkError: "AcceptFailed", "Timeout", "Closed".
   */
  accept(options?: CallOptions): Promise<Connection> {
    try {
      return this.#queue.accept(options, this.#loopReference);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Yields connections until the listener is closed. */
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

  /** Pending `accept` calls keep the process alive (the default). */
  ref(): void {
    this.#loopReference.ref();
  }

  /** Pending `accept` calls do not keep the process alive. */
  unref(): void {
    this.#loopReference.unref();
  }

  /** Stops listening; pending calls get "Closed". Idempotent. Accepted connections go on. */
  close(): Promise<void> {
    if (!this.#queue.closed) {
      this.#queue.close();
      // New peers are refused and the port is free at once, before the accept operation has landed.
      this.#context.recvRing.port.shutdown(this.#fd, 2);
      if (this.#queue.idle) this.#finish();
    }
    return this.#ended.promise;
  }

  /** @internal */
  reset(): void {
    void this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #finish(): void {
    if (!this.#context.open.delete(this)) return;
    // The file is removed while the socket is open, because the open socket identifies the file.
    this.#file?.remove();
    this.#context.recvRing.port.closeDescriptor(this.#fd);
    this.#queue.release();
    this.#ended.resolve();
  }
}
