/**
 * Connecting one socket: addresses are tried one after the other, each for a limited time, as in
 * Node.
 *
 *   start(targets) -> attempt -> connected
 *                       | failed, or not the last and out of time: 'connectionAttemptFailed',
 *                       v                                         'connectionAttemptTimeout'
 *                     next attempt -> ... -> none left: an error, or one with all of them in it
 *
 * As in Node, an attempt ends when its time is over. RFC 8305 would let it run on.
 *
 * @module
 */
import { clearTimeout, setTimeout } from "node:timers";
import { ERRNO } from "../base/errno.ts";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import type { SocketConnection } from "../net/connection/socket_connection.ts";
import { type Connected, PushConnect } from "../net/dial/push_connect.ts";
import { nodeError } from "./node_error.ts";
import { nodeNetwork } from "./node_network.ts";
import type { SocketStream } from "./socket_stream.ts";
import { type AsyncScope, asyncScope } from "./async_scope.ts";
import type { Connecting } from "./connection_handle.ts";

/** One address to connect to, and the local address to bind first. */
export interface Target {
  to: SocketAddress | UnixAddress;
  /** The address or the path as the program wrote it, for error messages. */
  name: string;
  /** 4, 6, or undefined for a path. */
  family: 4 | 6 | undefined;
  from: SocketAddress | null;
}

/** Receives the result of a connect: one of the two methods is called, once. */
export interface ConnectorOwner {
  connected(connection: SocketConnection): void;
  failed(error: Error): void;
}

export class Connector implements Connecting, Connected {
  readonly #socket: SocketStream;
  readonly #owner: ConnectorOwner;
  readonly #targets: Target[];
  /** The time limit of one attempt; null where a single attempt has no limit of its own. */
  readonly #attemptMs: number | null;
  readonly #errors: Error[] = [];
  /**
   * The addresses that were tried, which the program can read; null where the program named one
   * address.
   */
  readonly #tried: string[] | null;
  /**
   * The context that the results are reported in. Without it, the connects that end in one turn
   * would all have the context of the one that woke the network.
   */
  readonly #scope: AsyncScope = asyncScope.capture();
  #current: PushConnect | null = null;
  #target: Target;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #referenced = true;

  constructor(
    socket: SocketStream,
    targets: readonly Target[],
    attemptMs: number | null,
    owner: ConnectorOwner,
    tried: string[] | null,
  ) {
    this.#tried = tried;
    this.#socket = socket;
    this.#targets = [...targets];
    this.#target = targets[0];
    this.#attemptMs = attemptMs;
    this.#owner = owner;
  }

  start(referenced: boolean): void {
    this.#referenced = referenced;
    this.#next();
  }

  ref(): void {
    this.#referenced = true;
    this.#current?.loopReference.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#current?.loopReference.unref();
  }

  cancel(): void {
    this.#stopTimer();
    this.#current?.cancel();
    this.#current = null;
    this.#targets.length = 0;
  }

  connected(connection: SocketConnection): void {
    this.#stopTimer();
    this.#current = null;
    this.#scope.run(this.#owner.connected, this.#owner, connection);
  }

  failed(errno: number, bindFailed: boolean): void {
    this.#stopTimer();
    this.#current = null;
    this.#scope.run(this.#attemptFailed, this, this.#error(errno, bindFailed));
  }

  get #several(): boolean {
    return this.#attemptMs !== null;
  }

  #next(): void {
    const target = this.#targets.shift();
    if (target === undefined) {
      this.#giveUp();
      return;
    }
    this.#target = target;
    if ("port" in target.to) {
      const { hostname, port } = target.to;
      this.#tried?.push(`${hostname}:${port}`);
      this.#socket.emit("connectionAttempt", hostname, port, target.family);
      const blocked = this.#socket.blockList?.check(hostname, `ipv${target.family ?? 4}`);
      if (blocked) {
        this.#attemptFailed(nodeError.ipBlocked(hostname));
        return;
      }
    } else {
      this.#socket.emit("connectionAttempt", target.name, undefined, undefined);
    }
    if (this.#socket.destroyed) return;
    const context = nodeNetwork.get();
    const to = nodeNetwork.numeric(context, target.to);
    if (to === null) {
      this.failed(ERRNO.EINVAL, false);
      return;
    }
    const connect = new PushConnect(context, to, target.from, this);
    this.#current = connect;
    if (!this.#referenced) connect.loopReference.unref();
    if (this.#attemptMs !== null && this.#targets.length > 0) {
      this.#timer = setTimeout(this.#timedOut, this.#attemptMs);
    }
    connect.start();
  }

  #attemptFailed(error: Error): void {
    this.#errors.push(error);
    // As in Node, a local end that cannot be bound is no failure of an attempt.
    if ((error as { syscall?: string }).syscall !== "bind") {
      const { to, name, family } = this.#target;
      const [address, port] = "port" in to ? [to.hostname, to.port] : [name, undefined];
      this.#socket.emit("connectionAttemptFailed", address, port, family, error);
    }
    if (this.#socket.connecting) this.#next();
  }

  readonly #timedOut = (): void => {
    this.#timer = null;
    this.#current?.cancel();
    this.#current = null;
    const { to, family } = this.#target;
    this.#errors.push(this.#error(ERRNO.ETIMEDOUT, false));
    if ("port" in to) {
      this.#socket.emit("connectionAttemptTimeout", to.hostname, to.port, family);
    }
    if (this.#socket.connecting) this.#next();
  };

  #giveUp(): void {
    const [first] = this.#errors;
    if (!this.#several || this.#errors.length === 1) {
      this.#owner.failed(first ?? nodeError.fixed("ERR_SOCKET_CONNECTION_TIMEOUT"));
      return;
    }
    const { code } = first as Error & { code?: string };
    this.#owner.failed(Object.assign(new AggregateError(this.#errors, ""), { code }));
  }

  #error(errno: number, bindFailed: boolean): Error {
    const { to, name, from } = this.#target;
    // As in libuv, an address in use is reported by the connect and not by the bind.
    if (bindFailed && from !== null && errno !== ERRNO.EADDRINUSE) {
      return nodeError.system(errno, "bind", { address: from.hostname, port: from.port });
    }
    const port = "port" in to ? to.port : undefined;
    if (from === null) return nodeError.system(errno, "connect", { address: name, port });
    const more = ` - Local (${from.hostname}:${from.port})`;
    const error = nodeError.system(errno, "connect", { address: name, port }, more);
    error.localAddress = from.hostname;
    error.localPort = from.port;
    return error;
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
