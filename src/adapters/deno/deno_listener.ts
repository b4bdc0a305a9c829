/**
 * A listener with the interface of `Deno.Listener`, over the ring.
 *
 *   open --close(), dispose, return()--> closed
 *
 * @module
 */
import { hasCode } from "../../base/network_error.ts";
import type { Listener } from "../../net/accept/listener.ts";
import { type Addr, denoAddr } from "./addr.ts";
import type { DenoTcpConn } from "./deno_tcp_conn.ts";
import { badResource, denoError, errors, listenerClosed } from "./errors.ts";
import { toDenoConn } from "./to_deno_conn.ts";

/** A listener with the members of `Deno.Listener`. */
export class DenoListener<C extends Disposable = DenoTcpConn, A extends Addr = Addr>
  implements AsyncIterable<C>, Disposable {
  /** The address of the listener. */
  readonly addr: A;
  readonly #listener: Listener;
  #closed = false;

  /** @internal Use `toDenoListener`. */
  constructor(listener: Listener) {
    this.#listener = listener;
    this.addr = denoAddr(listener.localAddress) as A;
  }

  /**
   * Waits for a connection. Concurrent calls are served in order, whereas Deno refuses a second
   * one. Rejects with "BadResource" when the listener is closed or becomes closed.
   */
  async accept(): Promise<C> {
    if (this.#closed) throw listenerClosed();
    try {
      return toDenoConn(await this.#listener.accept()) as unknown as C;
    } catch (error) {
      throw this.#closed || hasCode(error, "Closed") ? listenerClosed() : denoError(error);
    }
  }

  /** The next connection of an iteration, which is done once the listener is closed. */
  async next(): Promise<IteratorResult<C>> {
    try {
      return { value: await this.accept(), done: false };
    } catch (error) {
      if (error instanceof errors.BadResource) return { value: undefined, done: true };
      throw error;
    }
  }

  /** Ends an iteration, and the listener with it. */
  // deno-lint-ignore require-await -- an iterator's method rejects, it does not throw
  async return(value?: C): Promise<IteratorResult<C>> {
    this.close();
    return { value, done: true };
  }

  /** Stops listening. Throws "BadResource" when the listener is closed. */
  close(): void {
    if (this.#closed) throw badResource();
    this[Symbol.dispose]();
  }

  /** Pending `accept` calls keep the process alive (the default). */
  ref(): void {
    this.#listener.ref();
  }

  /** Pending `accept` calls do not keep the process alive. */
  unref(): void {
    this.#listener.unref();
  }

  /** The listener itself: one iteration at a time. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Closes the listener unless it is closed. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#listener.close();
  }
}
