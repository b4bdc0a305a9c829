/**
 * The parts of a listening server: a listener of the network, and the connections that it brings,
 * each handed on in a microtask of its own.
 *
 * @module
 */
import { nextTick } from "node:process";
import { ERRNO } from "../base/errno.ts";
import { NetworkError } from "../base/network_error.ts";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import { checkBindOptions } from "../net/accept/bind_options.ts";
import { bindSocket } from "../net/accept/bound_socket.ts";
import type { SocketConnection } from "../net/connection/socket_connection.ts";
import { type Listener, openListener } from "../net/accept/listener.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { SocketHandle } from "./socket_handle.ts";

export interface ListenOptions {
  backlog: number;
  ipv6Only: boolean;
  reusePort: boolean;
  /** Permissions of a socket file; what the umask says unless given. */
  mode?: number | undefined;
}

/** Bound and listening, or the positive errno. */
export function tryListen(
  address: SocketAddress | UnixAddress,
  options: ListenOptions,
): Listener | number {
  const context = nodeNetwork.get();
  const numeric = nodeNetwork.numeric(context, address);
  if (numeric === null) return ERRNO.EINVAL;
  try {
    const { backlog, ipv6Only, reusePort, mode } = options;
    const checked = checkBindOptions({ backlog, ipv6Only, reusePort, mode });
    return openListener(context, bindSocket(context, numeric, checked));
  } catch (error) {
    if (!(error instanceof NetworkError) || error.code !== "BindFailed") throw error;
    return nodeError.errnoOf(error, ERRNO.EINVAL);
  }
}

export class Listening {
  readonly listener: Listener;
  #closed = false;
  /** Called for each connection, with the error 0 before it, as programs that replace it expect. */
  onconnection: (error: number, handle: SocketHandle) => void;

  constructor(listener: Listener, accepted: (handle: SocketHandle) => void) {
    this.listener = listener;
    this.onconnection = (_, handle) => accepted(handle);
    this.#next();
  }

  get localAddress(): SocketAddress | UnixAddress {
    return this.listener.localAddress;
  }

  ref(): void {
    this.listener.ref();
  }

  unref(): void {
    this.listener.unref();
  }

  close(): void {
    this.#closed = true;
    void this.listener.close();
  }

  #next(): void {
    this.listener.accept().then(this.#arrived, this.#failed);
  }

  readonly #arrived = (accepted: unknown): void => {
    const connection = accepted as SocketConnection;
    // The next one is asked for first: whatever the program does with this one.
    if (this.#closed) {
      connection.reset();
      return;
    }
    this.#next();
    const handle = new SocketHandle();
    handle.open(connection);
    // Outside of the promise: an error of the program is an uncaught one.
    queueMicrotask(() => this.onconnection(0, handle));
  };

  /** Closed, or a connection that was lost before it was one: Node does not report it either. */
  readonly #failed = (error: unknown): void => {
    if (this.#closed) return;
    if (error instanceof NetworkError && error.code === "AcceptFailed") {
      nextTick(() => this.#next());
    }
  };
}
