/**
 * One drain of the backlog of a listener: its taker, its limit, and the findings of looks into the
 * backlog of a shared socket.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { LIMITS } from "../../base/limits.ts";
import type { NetworkError } from "../../base/network_error.ts";
import type { SocketConnection } from "../connection/socket_connection.ts";
import { acceptErrors } from "./accept_errors.ts";
import type { BacklogTaker } from "./backlog_taker.ts";

export class BacklogDrain {
  readonly #taker: BacklogTaker;
  /** Connections that the drain may still take. */
  #left: number = LIMITS.backlogDrainCountMax;
  #errno = 0;

  constructor(taker: BacklogTaker) {
    this.#taker = taker;
  }

  /** Counts a connection. Returns false at the limit, and when a look found none. */
  count(): boolean {
    return this.#left-- > 0;
  }

  /** Notes the result of an accept on a shared socket. A look is cancelled when none waits. */
  note(result: number, wasLook: boolean): void {
    if (wasLook && result === -ERRNO.ECANCELED) this.#left = 0;
    this.#errno = acceptErrors.exhausted.has(-result) ? -result : 0;
  }

  /** The errno of the last accept when a resource was exhausted, or 0. */
  get errno(): number {
    return this.#errno;
  }

  take(connection: SocketConnection): void {
    this.#taker.take(connection);
  }

  done(failure: NetworkError | null): void {
    this.#taker.done(failure);
  }
}
