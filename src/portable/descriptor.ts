/**
 * The socket behind a descriptor number of the portable backend.
 *
 *   new --bind--> new --listen--> listener
 *    \--connect--> connecting --> stream            an accepted one begins as a stream
 *
 * Options are kept until the runtime has a socket on which they can be set.
 *
 * @module
 */
import { ERRNO } from "../base/errno.ts";
import type { SocketAddress, UnixAddress } from "../net/address/address.ts";
import { SOCKET_OPTION } from "../ring/port.ts";
import type { PortableListener } from "./portable_listener.ts";
import type { PortableStream } from "./portable_stream.ts";
import type { RuntimeSocket } from "./runtime_sockets.ts";

/** The result for options that this backend does not have. The core reports "Unsupported". */
const UNSUPPORTED = -ERRNO.EOPNOTSUPP;

export class Descriptor {
  readonly family: number;
  /** The address to which it is bound, or the local address of its connection. */
  local: SocketAddress | UnixAddress | null = null;
  remote: SocketAddress | UnixAddress | null = null;
  listener: PortableListener | null = null;
  stream: PortableStream | null = null;
  /** The socket while it connects. */
  connecting: RuntimeSocket | null = null;
  connectSlot = -1;
  connectGeneration = 0;
  /** Whether a close sends RST (SO_LINGER of 0). */
  resets = false;
  ipv6Only = false;
  reusePort = false;
  #noDelay: boolean | null = null;
  #keepAlive: boolean | null = null;
  #keepIdleSeconds = 0;

  constructor(family: number) {
    this.family = family;
  }

  get #socket(): RuntimeSocket | null {
    const socket = this.stream?.socket ?? null;
    return socket === null || socket.destroyed ? null : socket;
  }

  setOption(option: number, value: number): number {
    switch (option) {
      case SOCKET_OPTION.noDelay:
        this.#noDelay = value !== 0;
        this.#socket?.setNoDelay(this.#noDelay);
        return 0;
      case SOCKET_OPTION.lingerSeconds:
        if (value > 0) return UNSUPPORTED;
        this.resets = value === 0;
        return 0;
      case SOCKET_OPTION.keepAlive:
        this.#keepAlive = value !== 0;
        return this.#setKeepAlive();
      case SOCKET_OPTION.keepIdle:
        this.#keepIdleSeconds = value;
        return this.#setKeepAlive();
      // The runtimes set this option on every listener, where the system has it.
      case SOCKET_OPTION.reuseAddress:
        return 0;
      case SOCKET_OPTION.reusePort:
        this.reusePort = value !== 0;
        return 0;
      case SOCKET_OPTION.ipv6Only:
        this.ipv6Only = value !== 0;
        return 0;
      default:
        return UNSUPPORTED;
    }
  }

  /** The value that was set here, because the runtimes cannot ask the system. */
  getOption(option: number): number {
    switch (option) {
      case SOCKET_OPTION.noDelay:
        return this.#noDelay === null ? UNSUPPORTED : Number(this.#noDelay);
      case SOCKET_OPTION.keepAlive:
        return this.#keepAlive === null ? UNSUPPORTED : Number(this.#keepAlive);
      case SOCKET_OPTION.keepIdle:
        return this.#keepIdleSeconds === 0 ? UNSUPPORTED : this.#keepIdleSeconds;
      default:
        return UNSUPPORTED;
    }
  }

  /** Sets the kept options on a new connection. */
  applyTo(socket: RuntimeSocket): void {
    if (this.#noDelay !== null) socket.setNoDelay(this.#noDelay);
    if (this.#keepAlive !== null) {
      socket.setKeepAlive(this.#keepAlive, this.#keepIdleSeconds * 1_000);
    }
  }

  /** Passes the options of this listener to a connection that it has accepted. */
  inheritTo(accepted: Descriptor): void {
    accepted.#noDelay = this.#noDelay;
    accepted.#keepAlive = this.#keepAlive;
    accepted.#keepIdleSeconds = this.#keepIdleSeconds;
    accepted.resets = this.resets;
  }

  #setKeepAlive(): number {
    this.#socket?.setKeepAlive(this.#keepAlive === true, this.#keepIdleSeconds * 1_000);
    return 0;
  }
}
