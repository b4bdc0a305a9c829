/**
 * The part of a socket's handle that programs use: they call, and replace, `setNoDelay`,
 * `setKeepAlive`, `ref` and `unref`, and read `fd`. So the socket itself calls these methods as
 * well.
 *
 * Numbers that are returned are 0, or -errno, as in libuv.
 *
 * @module
 */
import { AsyncResource } from "node:async_hooks";
import { nowMs } from "../base/now_ms.ts";
import { ERRNO } from "../base/errno.ts";
import { hasCode } from "../base/network_error.ts";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import type { SocketConnection } from "../net/connection/socket_connection.ts";
import type { NetworkContext } from "../net/socket/network_context.ts";
import type { PushReceive } from "../net/recv/push_receive.ts";
import { SOCKET_OPTION } from "../ring/port.ts";
import { nodeNetwork } from "./node_network.ts";
import { type AsyncScope, asyncScope } from "./async_scope.ts";
import { type SocketName, socketName } from "./socket_name.ts";

/**
 * Seconds between Node's probes, and the number of unanswered probes after which a connection is
 * dead.
 */
const PROBE_SECONDS = 1;
const PROBE_COUNT = 10;

/** The kernel refuses longer times. */
const IDLE_SECONDS_MAX = 32_767;

/** A connect that has not finished. */
export interface Connecting {
  cancel(): void;
  ref(): void;
  unref(): void;
}

export abstract class ConnectionHandle {
  connecting: Connecting | null = null;
  /** Whether the connection is, or will be, one of unix sockets. */
  hasPath = false;
  protected connection: SocketConnection | null = null;
  protected receive: PushReceive | null = null;
  /** The context that the program's functions run in. */
  protected readonly scope: AsyncScope = asyncScope.capture();
  protected referenced = true;
  #remote: SocketAddress | UnixAddress | null = null;
  #local: SocketAddress | UnixAddress | null = null;
  /** Made when its number is first asked for. */
  #resource: AsyncResource | null = null;

  /** The network of the connection, or of `uringnet/net` while there is no connection. */
  get context(): NetworkContext {
    return this.connection?.socket.context ?? nodeNetwork.get();
  }

  /**
   * Milliseconds, from the network's clock while there is a connection, else from
   * `performance.now()`.
   */
  get now(): number {
    return this.connection?.socket.context.now ?? nowMs();
  }

  get connected(): boolean {
    return this.connection !== null;
  }

  /** The descriptor; -1 where there is none that the system knows. */
  get fd(): number {
    const socket = this.connection?.socket;
    return socket === undefined || socket.port.ownDescriptors ? -1 : socket.fd;
  }

  getAsyncId(): number {
    this.#resource ??= new AsyncResource("TCPWRAP");
    return this.#resource.asyncId();
  }

  /** Called by agents that reuse a connection; nothing is to be reset here. */
  asyncReset(): void {}

  getProviderType(): number {
    return 0;
  }

  setNoDelay(on: boolean): number {
    this.connection?.setNoDelay(on);
    return 0;
  }

  setKeepAlive(on: boolean, idleSeconds: number): number {
    // As in Node, a time that the kernel refuses leaves the system's, and the probes are turned on.
    if (on && idleSeconds > 0 && idleSeconds <= IDLE_SECONDS_MAX) this.#probeAfter(idleSeconds);
    else this.connection?.setKeepAlive(on);
    return 0;
  }

  /** The portable backend sets the idle time, and the runtime sets the interval and the count. */
  #probeAfter(idleSeconds: number): void {
    try {
      const intervalSeconds = PROBE_SECONDS;
      this.connection?.setKeepAlive({ idleSeconds, intervalSeconds, count: PROBE_COUNT });
    } catch (error) {
      if (!hasCode(error, "Unsupported")) throw error;
      this.connection?.setKeepAlive({ idleSeconds });
    }
  }

  /** 0, or -errno, as for `getTypeOfService`. */
  setTypeOfService(value: number): number {
    const socket = this.connection?.socket;
    if (socket === undefined) return -ERRNO.EBADF;
    return socket.port.setOption(socket.fd, SOCKET_OPTION.trafficClass, value);
  }

  getTypeOfService(): number {
    const socket = this.connection?.socket;
    if (socket === undefined) return -ERRNO.EBADF;
    return socket.port.getOption(socket.fd, SOCKET_OPTION.trafficClass);
  }

  ref(): void {
    this.referenced = true;
    this.connecting?.ref();
    this.receive?.ref();
  }

  /** As in Node, what was written keeps the process alive nevertheless, until it is sent. */
  unref(): void {
    this.referenced = false;
    this.connecting?.unref();
    this.receive?.unref();
  }

  hasRef(): boolean {
    return this.referenced;
  }

  /**
   * The name of one end, kept from when it was first read, because a closed connection has none.
   */
  name(which: "local" | "remote"): SocketName | null {
    const connection = this.connection;
    return which === "local"
      ? socketName(this.#local ??= connection?.localAddress ?? null)
      : socketName(this.#remote ??= connection?.remoteAddress ?? null);
  }

  getsockname(target: Partial<SocketName>): number {
    Object.assign(target, this.name("local"));
    return 0;
  }

  getpeername(target: Partial<SocketName>): number {
    Object.assign(target, this.name("remote"));
    return 0;
  }
}
