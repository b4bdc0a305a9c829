/**
 * One attempt to connect to one address: owns the descriptor from its creation until it is either
 * handed over connected or closed after the operation has landed.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { COUNT } from "../../base/meter.ts";
import { SOCKET_OPTION } from "../../ring/port.ts";
import type { Deadline } from "../../ring/timing_wheel.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  isUnix,
  type SocketAddress,
  type UnixAddress,
  writeSockaddr,
} from "../address/address.ts";
import { ConnectOperation } from "./connect_operation.ts";
import { endpoint, LOCAL_END, REMOTE_END } from "../address/endpoint.ts";
import type { NetworkContext } from "../socket/network_context.ts";
import { packedAddress } from "../address/packed_address.ts";
import { socketOptions } from "../socket/socket_options.ts";

/**
 * `errno` 0: connected, and the descriptor is the callee's now. With a `cause` an error inside the
 * library ended the attempt.
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
  /** Where the connection is to begin; null for wherever the kernel likes. */
  readonly #local: SocketAddress | null;
  readonly #family: number;
  #done: AttemptDone | null;
  #operation: ConnectOperation | null = null;
  #fd = -1;
  #expired = false;
  /** The local end could not be had: that, and no peer, is what the errno is about. */
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

  /** Begins; ends by itself after `timeoutMs`, if given. */
  start(timeoutMs: number | null): void {
    try {
      this.#begin(timeoutMs);
    } catch (cause) {
      this.#broken(cause);
    }
  }

  #begin(timeoutMs: number | null): void {
    const { recvRing, wheel } = this.#context;
    const opened = this.#open();
    if (opened < 0) {
      queueMicrotask(() => this.#finish(-opened));
      return;
    }
    this.#operation = new ConnectOperation(recvRing.recvLane, this.#fd, this.#address, {
      landed: (result) => this.#landed(result),
      broken: (cause) => this.#broken(cause),
    });
    if (timeoutMs !== null) wheel.add(this, timeoutMs);
    recvRing.submit(this.#operation);
  }

  /** Makes the socket. Returns its descriptor, or -errno. */
  #open(): number {
    const { config, recvRing: { port } } = this.#context;
    const fd = port.socket(this.#family);
    if (fd < 0) return fd;
    // From here on it is closed with the attempt.
    this.#fd = fd;
    let result = socketOptions.apply(port, fd, this.#family, config);
    if (result === 0 && this.#local !== null) result = this.#bind(fd, this.#local);
    if (result === 0) return fd;
    this.#fd = -1;
    port.closeDescriptor(fd);
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

  /** The share of the budget ran out. */
  expire(): void {
    this.#expired = true;
    this.#withdraw();
  }

  /** Gives up; `done` is not called any more. */
  cancel(): void {
    this.#done = null;
    this.#withdraw();
  }

  #withdraw(): void {
    const operation = this.#operation;
    if (operation === null) return;
    const { recvRing, meter } = this.#context;
    meter.counts[COUNT.cancellationsConnect]++;
    if (recvRing.cancel(operation)) this.#landed(-ERRNO.ECANCELED);
  }

  #landed(result: number): void {
    const { recvRing, wheel } = this.#context;
    wheel.remove(this);
    if (this.#operation !== null) {
      this.#operation.stop();
      recvRing.retire(this.#operation);
    }
    this.#operation = null;
    const ending = result >= 0 && this.#metItself() ? -ERRNO.ECONNREFUSED : result;
    if (ending >= 0 && this.#done !== null) {
      this.#finish(0);
      return;
    }
    // RST where it met itself: a graceful end would keep the port busy.
    if (ending !== result) recvRing.port.setOption(this.#fd, SOCKET_OPTION.lingerSeconds, 0);
    recvRing.port.closeDescriptor(this.#fd);
    this.#finish(this.#expired ? ERRNO.ETIMEDOUT : -ending);
  }

  /**
   * Where nobody listens on a local port of the range that the kernel chooses from, it may choose
   * that port, and TCP connects the socket with itself: a simultaneous open. Nobody is there.
   */
  #metItself(): boolean {
    if (isUnix(this.#address)) return false;
    const { recvRing } = this.#context;
    const local = endpoint(recvRing, this.#fd, LOCAL_END);
    if (local === null || packedAddress.port(local) !== this.#address.port) return false;
    const remote = endpoint(recvRing, this.#fd, REMOTE_END);
    return remote !== null && packedAddress.equals(remote, local);
  }

  /** An error inside the library: the descriptor is closed, unless it was handed over before. */
  #broken(cause: unknown): void {
    const { recvRing, wheel } = this.#context;
    wheel.remove(this);
    if (this.#operation !== null) recvRing.retire(this.#operation);
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
    // Forgotten only behind the call: when it throws, it is told of the error.
    this.#done?.(errno, fd, this.#family);
    this.#done = null;
  }
}
