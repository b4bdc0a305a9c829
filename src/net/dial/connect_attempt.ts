/**
 * One attempt to connect to one numeric address. The attempt owns the descriptor from the moment
 * that the socket is made, until the descriptor is handed over connected, or closed after the
 * operation has landed.
 *
 *   start -> socket, options, local end -> connect on the ring -> landed -> done(0, fd)
 *               | errno                       | expire, cancel      | errno, or a self connection
 *               +-> done(errno)               +-> cancelled --------+-> closed -> done(errno)
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { SOCKET_OPTION } from "../../ring/port.ts";
import type { Deadline } from "../../ring/timing_wheel.ts";
import { isUnix, type SocketAddress, type UnixAddress } from "../address/address.ts";
import { AF_INET, AF_INET6, AF_UNIX, writeSockaddr } from "../address/sockaddr.ts";
import { ConnectOperation } from "./connect_operation.ts";
import { endpoint, LOCAL_END, REMOTE_END } from "../socket/endpoint.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { packedAddress } from "../address/packed_address.ts";
import { socketOptions } from "../socket/socket_options.ts";

/**
 * With `errno` 0 the attempt is connected, and the callee owns the descriptor. With a `cause`, an
 * error inside the library has ended the attempt.
 */
export type AttemptDone = (
  errno: number,
  fd: number,
  family: number,
  cause?: { cause: unknown },
) => void;

export class ConnectAttempt implements Deadline {
  deadlineNext: Deadline | null = null;
  deadlinePrevious: Deadline | null = null;
  deadlineMs = 0;
  deadlineTick = -1;
  readonly #context: NetworkContext;
  readonly #address: SocketAddress | UnixAddress;
  /** The local end to bind; null to leave the choice to the kernel. */
  readonly #local: SocketAddress | null;
  readonly #family: number;
  #done: AttemptDone | null;
  #operation: ConnectOperation | null = null;
  #fd = -1;
  #isExpired = false;
  /** The local end could not be bound: the errno is about the local end, and not about the peer. */
  bindFailed = false;

  constructor(
    context: NetworkContext,
    address: SocketAddress | UnixAddress,
    done: AttemptDone,
    local: SocketAddress | null = null,
  ) {
    this.#context = context;
    this.#address = address;
    this.#done = done;
    this.#local = local;
    // The address is numeric.
    this.#family = isUnix(address) ? AF_UNIX : address.hostname.includes(":") ? AF_INET6 : AF_INET;
  }

  /** Begins the attempt, which ends after `timeoutMs` at the latest, unless that is null. */
  start(timeoutMs: number | null): void {
    const { recvRing, wheel } = this.#context;
    const opened = this.#open();
    if (opened < 0) {
      queueMicrotask(() => this.#finish(-opened));
      return;
    }
    this.#operation = new ConnectOperation(recvRing, this.#fd, this.#address, {
      landed: (result) => this.#landed(result),
      broken: (cause) => this.#broken(cause),
    });
    if (timeoutMs !== null) wheel.add(this, timeoutMs);
    this.#operation.submit();
  }

  /** Makes the socket. Returns its descriptor, or -errno. */
  #open(): number {
    const { config, recvRing: { port } } = this.#context;
    const fd = port.socket(this.#family);
    let result = fd < 0 ? fd : socketOptions.apply(port, fd, this.#family, config);
    if (result === 0 && this.#local !== null) result = this.#bind(fd, this.#local);
    if (result === 0) return this.#fd = fd;
    if (fd >= 0) port.closeDescriptor(fd);
    return result;
  }

  #bind(fd: number, local: SocketAddress): number {
    const { recvRing: { blocks, port } } = this.#context;
    const block = blocks.take();
    if (block < 0) return -ERRNO.ENOBUFS;
    const { length } = writeSockaddr(blocks.bytes(block), local);
    port.setOption(fd, SOCKET_OPTION.reuseAddress, 1);
    const result = port.bind(fd, block, length);
    blocks.put(block);
    this.bindFailed = result < 0;
    return Math.min(result, 0);
  }

  /** This address's share of the budget ran out. */
  expire(): void {
    this.#isExpired = true;
    this.#withdraw();
  }

  /** Ends the attempt without a call of `done`. */
  cancel(): void {
    this.#done = null;
    this.#withdraw();
  }

  #withdraw(): void {
    const operation = this.#operation;
    if (operation === null) return;
    const { meter } = this.#context;
    meter.counts[COUNT.cancellationsConnect]++;
    if (operation.cancel()) this.#landed(-ERRNO.ECANCELED);
  }

  #landed(result: number): void {
    const { recvRing, wheel } = this.#context;
    wheel.remove(this);
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
    this.#finish(this.#isExpired ? ERRNO.ETIMEDOUT : -ending);
  }

  /**
   * A dial to a free local port can be given that very port as its own: TCP then connects the
   * socket to itself, by a simultaneous open. No listener exists, so the dial counts as refused.
   */
  #isSelfConnection(): boolean {
    if (isUnix(this.#address)) return false;
    const { recvRing } = this.#context;
    const local = endpoint(recvRing, this.#fd, LOCAL_END);
    if (local === null || packedAddress.port(local) !== this.#address.port) return false;
    const remote = endpoint(recvRing, this.#fd, REMOTE_END);
    return remote !== null && packedAddress.equals(remote, local);
  }

  /** An error inside the library. Closes the descriptor, unless it was handed over before. */
  #broken(cause: unknown): void {
    const { recvRing, wheel } = this.#context;
    wheel.remove(this);
    this.#operation?.release();
    this.#operation = null;
    if (this.#fd >= 0) recvRing.port.closeDescriptor(this.#fd);
    this.#fd = -1;
    const done = this.#done;
    this.#done = null;
    done?.(ERRNO.ECANCELED, -1, this.#family, { cause });
  }

  #finish(errno: number): void {
    const fd = this.#fd;
    this.#fd = -1;
    // `done` is dropped after its call: when the call throws, `#broken` reports the error to it.
    this.#done?.(errno, fd, this.#family);
    this.#done = null;
  }
}
