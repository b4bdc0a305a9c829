/**
 * The listening part of a server: a listener of the network, whose connections are passed on in one
 * microtask each.
 *
 * @module
 */
import { nextTick } from "node:process";
import { queueMicrotask } from "../base/queue_microtask.ts";
import { ERRNO } from "../base/errno.ts";
import { hasCode } from "../base/network_error.ts";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import { checkBindOptions } from "../net/accept/bind_options.ts";
import { bindSocketSoon, type BoundSocket } from "../net/accept/bound_socket.ts";
import type { SocketConnection } from "../net/connection/socket_connection.ts";
import type { NetworkContext } from "../net/socket/network_context.ts";
import { type Listener, openListener } from "../net/accept/listener.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import { SocketHandle } from "./socket_handle.ts";

export interface ListenOptions {
  backlog: number;
  ipv6Only: boolean;
  reusePort: boolean;
  /** Permissions of a socket file; by default those that the umask leaves. */
  mode?: number | undefined;
}

/**
 * A listener that is bound and listens, or the positive errno. A promise of it where the backend
 * listens later.
 */
export function tryListen(
  address: SocketAddress | UnixAddress,
  options: ListenOptions,
): Listener | number | Promise<Listener | number> {
  const context = nodeNetwork.get();
  const numeric = nodeNetwork.numeric(context, address);
  if (numeric === null) return ERRNO.EINVAL;
  const { backlog, reusePort, mode } = options;
  // As in Node, the option says nothing about IPv4, where the kernel would refuse it.
  const ipv6Only = options.ipv6Only && "hostname" in numeric && numeric.hostname.includes(":");
  const checked = checkBindOptions({ backlog, ipv6Only, reusePort, mode });
  try {
    const bound = bindSocketSoon(context, numeric, checked, () => {});
    return bound instanceof Promise ? listenLater(context, bound) : openListener(context, bound);
  } catch (error) {
    return bindErrno(error);
  }
}

async function listenLater(
  context: NetworkContext,
  bound: Promise<BoundSocket>,
): Promise<Listener | number> {
  context.addReference();
  try {
    return openListener(context, await bound);
  } catch (error) {
    return bindErrno(error);
  } finally {
    context.removeReference();
  }
}

/** The positive errno of a bind that was refused. Throws any other error. */
function bindErrno(error: unknown): number {
  if (!hasCode(error, "BindFailed") && !hasCode(error, "Unsupported")) throw error;
  return nodeError.errnoOf(error, ERRNO.EINVAL);
}

export class Listening {
  readonly listener: Listener;
  #closed = false;
  /**
   * Called for each connection, with 0 as the first argument, as programs that replace this
   * function expect.
   */
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
    if (this.#closed) {
      connection.reset();
      return;
    }
    // Asked for before the program gets this connection, whatever it does with it.
    this.#next();
    const handle = new SocketHandle();
    handle.open(connection);
    // Outside the promise, so that an error of the program is an uncaught exception.
    queueMicrotask(() => {
      // The program may have closed the server since, when it got the connection before this one.
      if (this.#closed) handle.finalize(true, () => {});
      else this.onconnection(0, handle);
    });
  };

  /**
   * The listener was closed, or a connection was lost before it was accepted. Node does not report
   * either.
   */
  readonly #failed = (error: unknown): void => {
    if (this.#closed) return;
    if (hasCode(error, "AcceptFailed")) nextTick(() => this.#next());
  };
}
