/**
 * Connections that waited in the backlog when their server began to drain. Their peers were
 * connected before the listener closed, and have most likely sent their first request.
 *
 *   backlog -> held, above `maxConnections` -> handler -> first request answered
 *           \---------------------------------^   \        -> signal of the context aborted
 *                                                  \-> `LIMITS.lateRequestMs` passed -^
 *
 * The signal of such a connection is its own: the server's signal has been aborted, and would end
 * the handler before it has read the request.
 *
 * @module
 */
import type { Host, HostTimer } from "../base/host.ts";
import { LIMITS } from "../base/limits.ts";
import type { Connection } from "../net/connection/connection.ts";
import { SocketConnection } from "../net/connection/socket_connection.ts";
import type { ServeContext } from "./server.ts";
import { serveErrors } from "./serve_errors.ts";

/** Whether the connection has received bytes and sent nothing since. */
export function owesAnswer(connection: Connection): boolean {
  return connection instanceof SocketConnection && connection.debt !== "none";
}

/** Whether the program has taken bytes and sent some, a greeting before its first request aside. */
function hasRequest({ stream, sink }: Connection): boolean {
  return stream.bytesReceived > stream.buffered && sink.bytesSent > 0;
}

interface Late {
  readonly abort: AbortController;
  /** The latest time at which the signal is aborted. */
  readonly untilMs: number;
}

export class LateConnections {
  readonly #host: Host;
  /** The reason of every signal that is aborted. */
  readonly #reason: unknown;
  readonly #held: SocketConnection[] = [];
  readonly #watched = new Map<Connection, Late>();
  #timer: HostTimer | null = null;

  constructor(host: Host, reason: unknown) {
    this.#host = host;
    this.#reason = reason;
  }

  /** The number of connections whose handlers have not started. */
  get heldCount(): number {
    return this.#held.length;
  }

  /** Keeps a connection until `take`. */
  hold(connection: SocketConnection): void {
    this.#held.push(connection);
  }

  /** Takes the connection that was held the longest. */
  take(): SocketConnection | null {
    return this.#held.shift() ?? null;
  }

  /** The context for the handler of a connection, whose signal is aborted soon. */
  watch(connection: Connection): ServeContext {
    const abort = new AbortController();
    const untilMs = this.#host.now() + LIMITS.lateRequestMs;
    this.#watched.set(connection, { abort, untilMs });
    this.#timer ??= this.#host.setTimer(this.#look, LIMITS.lateLookMs);
    return Object.freeze({ signal: abort.signal });
  }

  /** Forgets a connection that has ended. */
  forget(connection: Connection): void {
    this.#watched.delete(connection);
    if (this.#watched.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Called at the end of the budget. Resets the held connections. */
  end(): void {
    for (const connection of this.#held.splice(0)) connection.resetSoon();
  }

  readonly #look = (): void => {
    this.#timer = null;
    const nowMs = this.#host.now();
    for (const [connection, { abort, untilMs }] of this.#watched) {
      const isAnswered = hasRequest(connection) && !owesAnswer(connection);
      if (!isAnswered && nowMs < untilMs) continue;
      this.#watched.delete(connection);
      serveErrors.abort(abort, this.#reason);
    }
    if (this.#watched.size === 0) return;
    this.#timer ??= this.#host.setTimer(this.#look, LIMITS.lateLookMs);
  };
}
