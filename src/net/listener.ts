/**
 * A bound and listening socket.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { ERRNO, errnoText } from "../base/errno.ts";
import { NetworkError } from "../base/network_error.ts";
import { SOCKET_OPTION } from "../ring/port.ts";
import { AcceptCall } from "./accept_call.ts";
import { AcceptQueue } from "./accept_queue.ts";
import {
  AF_UNIX,
  formatAddress,
  readSockaddr,
  type SocketAddress,
  type UnixAddress,
  writeSockaddr,
} from "./address.ts";
import type { CallOptions } from "./call_options.ts";
import { Connection as AcceptedConnection } from "./connection.ts";
import type { Connection } from "./connection_interface.ts";
import { LOCAL_END } from "./endpoint.ts";
import { Holder } from "./holder.ts";
import type { Closeable, NetworkContext } from "./network_context.ts";
import { socketOptions } from "./socket_options.ts";

export interface BindOptions {
  /** Connections that may wait to be accepted. @default {1024} */
  backlog?: number;
  /** Several listeners, in any process of this user, share the port. @default {false} */
  reusePort?: boolean;
  /** An IPv6 listener takes no IPv4 connections. @default {false} */
  ipv6Only?: boolean;
}

/** Checks bind options. Throws TypeError or RangeError. */
export function checkBindOptions(options: unknown): Required<BindOptions> {
  const known = ["backlog", "reusePort", "ipv6Only"];
  // The defaults stand for undefined only: null is a wrong value.
  const { backlog = 1024, reusePort = false, ipv6Only = false } = check.options(
    "options",
    options,
    known,
  );
  return {
    backlog: check.integer("options.backlog", backlog, 0, 0x7fff_ffff),
    reusePort: check.boolean("options.reusePort", reusePort),
    ipv6Only: check.boolean("options.ipv6Only", ipv6Only),
  };
}

export class Listener implements AsyncIterable<Connection>, AsyncDisposable, Closeable {
  /** Where connections arrive; the port is the real one when 0 was asked for. */
  readonly localAddress: SocketAddress | UnixAddress;
  /** @internal Among what is open on the network. */
  place = -1;
  readonly #context: NetworkContext;
  readonly #fd: number;
  readonly #holder: Holder;
  readonly #queue: AcceptQueue;
  readonly #ended = Promise.withResolvers<void>();

  /** @internal */
  constructor(
    context: NetworkContext,
    fd: number,
    family: number,
    localAddress: SocketAddress | UnixAddress,
  ) {
    this.#context = context;
    this.#fd = fd;
    this.localAddress = localAddress;
    this.#holder = new Holder(context);
    const name = formatAddress(localAddress);
    this.#queue = new AcceptQueue(
      context,
      fd,
      name,
      (accepted, peer) => AcceptedConnection.adopt(context, accepted, family, peer),
      () => this.#finish(),
    );
    context.open.add(this);
  }

  /** @internal Binds and listens. The address is numeric or a path. */
  static bind(
    context: NetworkContext,
    address: SocketAddress | UnixAddress,
    options: Required<BindOptions>,
  ): Listener {
    const { port, blocks } = context.recvRing;
    const block = blocks.take();
    let fd = -1;
    const must = (result: number): number => {
      if (result >= 0) return result;
      if (fd >= 0) port.closeDescriptor(fd);
      throw new NetworkError(`Cannot bind ${formatAddress(address)}: ${errnoText(-result)}`, {
        code: "BindFailed",
        operation: "bind",
        errno: -result,
      });
    };
    must(block < 0 ? -ERRNO.ENOBUFS : 0);
    try {
      const { family, length } = writeSockaddr(blocks.bytes(block), address);
      fd = must(port.socket(family));
      if (family !== AF_UNIX) must(port.setOption(fd, SOCKET_OPTION.reuseAddress, 1));
      if (options.reusePort) must(port.setOption(fd, SOCKET_OPTION.reusePort, 1));
      must(socketOptions.apply(port, fd, family, context.config));
      if (options.ipv6Only) must(port.setOption(fd, SOCKET_OPTION.ipv6Only, 1));
      must(port.bind(fd, block, length));
      must(port.listen(fd, options.backlog));
      const localLength = must(port.address(fd, LOCAL_END, block));
      return new Listener(context, fd, family, readSockaddr(blocks.bytes(block), localLength));
    } finally {
      blocks.put(block);
    }
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
      if (this.#queue.closed) throw this.#queue.closedError();
      const call = new AcceptCall(this.#queue);
      call.prepare(options, null);
      // A getter of the options may have closed it.
      if (this.#queue.closed) throw this.#queue.closedError();
      const ready = this.#queue.takeReady();
      if (ready !== null) return Promise.resolve(ready);
      const promise = call.promise<Connection>();
      this.#queue.push(call, this.#holder);
      return promise;
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
    this.#holder.ref();
  }

  /** Pending `accept` calls do not keep the process alive. */
  unref(): void {
    this.#holder.unref();
  }

  /** Stops listening; pending calls get "Closed". Idempotent. Accepted connections go on. */
  close(): Promise<void> {
    if (!this.#queue.closed) {
      this.#queue.close();
      // Who comes from now on is refused, and the port is free, before the accept has landed.
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
    this.#context.recvRing.port.closeDescriptor(this.#fd);
    this.#queue.retire();
    this.#unlink();
    this.#ended.resolve();
  }

  /** A socket file outlives its socket unless somebody removes it. */
  #unlink(): void {
    const address = this.localAddress;
    if (!("path" in address) || address.path === "" || address.path.startsWith("\0")) return;
    const { port, blocks } = this.#context.recvRing;
    blocks.withText(address.path, (block, length) => port.unlink(block, length));
  }
}
