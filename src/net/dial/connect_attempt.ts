/**
 * One attempt to connect to one numeric address. The attempt owns the descriptor from the creation
 * of the socket until the descriptor is handed over connected, or closed after the operation has
 * landed.
 *
 *   start -> socket, options, local end -> connect on the ring -> landed -> done(null, fd)
 *               | errno                       | cancel            | errno, or a self connection
 *               +-> done(failure)             +-> cancelled ------+-> closed -> done(failure)
 *
 * @module
 */
import { queueMicrotask } from "../../base/queue_microtask.ts";
import { ERRNO } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { SOCKET_OPTION } from "../../ring/port.ts";
import { isUnix, type SocketAddress, type UnixAddress } from "../address/address.ts";
import { AF_INET, AF_INET6, AF_UNIX, writeSockaddr } from "../address/sockaddr.ts";
import { ConnectOperation } from "./connect_operation.ts";
import { endpoint, LOCAL_END, REMOTE_END } from "../socket/endpoint.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { packedAddress } from "../address/packed_address.ts";
import { type SocketOption, socketOptions } from "../socket/socket_options.ts";

/** Both ends are numeric, or a path. With `local` null the kernel chooses the local end. */
export interface AttemptEnds {
  readonly address: SocketAddress | UnixAddress;
  readonly local: SocketAddress | UnixAddress | null;
}

/** The failure of an attempt. */
export interface AttemptFailure {
  readonly errno: number;
  /**
   * Whether the local end could not be bound, so that the errno concerns the local end and not the
   * peer.
   */
  readonly atLocalEnd: boolean;
  /** An error inside the library. */
  readonly broken: { readonly cause: unknown } | null;
}

/** Without a failure the attempt is connected, and the callee owns the descriptor. */
export type AttemptDone = (failure: AttemptFailure | null, fd: number, family: number) => void;

export class ConnectAttempt {
  readonly #context: NetworkContext;
  readonly #ends: AttemptEnds;
  readonly #options: readonly SocketOption[];
  readonly #family: number;
  #done: AttemptDone | null;
  #operation: ConnectOperation | null = null;
  #fd = -1;
  #atLocalEnd = false;

  constructor(
    context: NetworkContext,
    ends: AttemptEnds,
    options: readonly SocketOption[],
    done: AttemptDone,
  ) {
    this.#context = context;
    this.#ends = ends;
    this.#options = options;
    this.#done = done;
    const { address } = ends;
    // The address is numeric.
    this.#family = isUnix(address) ? AF_UNIX : address.hostname.includes(":") ? AF_INET6 : AF_INET;
  }

  start(): void {
    try {
      this.#begin();
    } catch (cause) {
      this.#broken(cause);
    }
  }

  #begin(): void {
    const { recvRing } = this.#context;
    const opened = this.#open();
    if (opened < 0) {
      queueMicrotask(() => this.#finish(-opened));
      return;
    }
    this.#operation = new ConnectOperation(recvRing, this.#fd, this.#ends.address, {
      landed: (result) => this.#landed(result),
      broken: (cause) => this.#broken(cause),
    });
    this.#operation.submit();
  }

  /** Makes the socket. Returns its descriptor, or -errno. */
  #open(): number {
    const { config, recvRing: { port } } = this.#context;
    const { local } = this.#ends;
    const family = this.#family;
    const fd = this.#context.openSocket(family);
    if (fd < 0) return fd;
    // From here on the attempt closes the descriptor.
    this.#fd = fd;
    let result = socketOptions.apply(port, fd, family, config);
    if (result === 0) result = socketOptions.applyAll(port, fd, family, this.#options);
    if (result === 0 && local !== null) result = this.#bind(fd, local);
    if (result === 0) return fd;
    this.#fd = -1;
    port.closeDescriptor(fd);
    return result;
  }

  #bind(fd: number, local: SocketAddress | UnixAddress): number {
    const { recvRing: { blocks, port } } = this.#context;
    const block = blocks.take();
    if (block < 0) return -ERRNO.ENOBUFS;
    const { length } = writeSockaddr(blocks.bytes(block), local);
    if (this.#family !== AF_UNIX) port.setOption(fd, SOCKET_OPTION.reuseAddress, 1);
    const result = port.bind(fd, block, length);
    blocks.put(block);
    this.#atLocalEnd = result < 0;
    return Math.min(result, 0);
  }

  /** Ends the attempt without a call of `done`. */
  cancel(): void {
    this.#done = null;
    const operation = this.#operation;
    if (operation === null) return;
    const { meter } = this.#context;
    meter.counts[COUNT.cancellationsConnect]++;
    if (operation.cancel()) this.#landed(-ERRNO.ECANCELED);
  }

  #landed(result: number): void {
    const { recvRing } = this.#context;
    if (this.#operation !== null) {
      this.#operation.stop();
      this.#operation.release();
    }
    this.#operation = null;
    const ending = result >= 0 && this.#isSelfConnection() ? -ERRNO.ECONNREFUSED : result;
    if (ending >= 0 && this.#done !== null) {
      this.#finish(0);
      return;
    }
    // A self connection ends with RST: a graceful end would keep the port busy.
    if (ending !== result) recvRing.port.setOption(this.#fd, SOCKET_OPTION.lingerSeconds, 0);
    recvRing.port.closeDescriptor(this.#fd);
    this.#finish(-ending);
  }

  /**
   * For a dial to a free local port, the kernel can choose that same port as the local one. TCP
   * then connects the socket to itself, by a simultaneous open. No listener exists, so the dial
   * counts as refused.
   */
  #isSelfConnection(): boolean {
    const { address } = this.#ends;
    if (isUnix(address)) return false;
    const { recvRing } = this.#context;
    const local = endpoint(recvRing, this.#fd, LOCAL_END);
    if (local === null || packedAddress.port(local) !== address.port) return false;
    const remote = endpoint(recvRing, this.#fd, REMOTE_END);
    return remote !== null && packedAddress.equals(remote, local);
  }

  /** An error inside the library. Closes the descriptor, unless it was handed over before. */
  #broken(cause: unknown): void {
    const { recvRing } = this.#context;
    this.#operation?.release();
    this.#operation = null;
    if (this.#fd >= 0) recvRing.port.closeDescriptor(this.#fd);
    this.#fd = -1;
    const done = this.#done;
    this.#done = null;
    const failure = { errno: ERRNO.ECANCELED, atLocalEnd: false, broken: { cause } };
    done?.(failure, -1, this.#family);
  }

  #finish(errno: number): void {
    const fd = this.#fd;
    this.#fd = -1;
    const failure = errno === 0 ? null : { errno, atLocalEnd: this.#atLocalEnd, broken: null };
    // `done` is dropped after the call, so that `#broken` can report an error that it throws.
    this.#done?.(failure, fd, this.#family);
    this.#done = null;
  }
}
