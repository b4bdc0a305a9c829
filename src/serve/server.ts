/**
 * The public interface of a server.
 *
 * @module
 */
import type { Connection } from "../net/connection/connection.ts";

/** The part of the server that a handler sees. */
export interface ServeContext {
  /** Aborted when the server drains: the handler should finish its work and return. */
  readonly signal: AbortSignal;
}

/** Serves one connection, which is closed when the handler ends. */
export type ConnectionHandler = (
  connection: Connection,
  context: ServeContext,
) => void | Promise<void>;

/** A running server, made by {@link serve}. */
export interface Server extends AsyncDisposable {
  /**
   * Connections whose handlers have not ended, or that are not closed yet. A handler that closes
   * its connection and goes on counts.
   */
  readonly connections: number;
  /** True once the server accepts no more connections. */
  readonly draining: boolean;
  /** Resolves when the server has ended and its last connection is closed. Never rejects. */
  readonly finished: Promise<void>;
  /**
   * Stops accepting, aborts the signal of the context, lets handlers finish within the budget, and
   * resets the remaining connections. Resolves with `finished`. A later call can only shorten the
   * budget.
   *
   * @param options The budget in milliseconds, null for none. Defaults to that of {@link
   * ServeOptions}.
   */
  close(options?: { drainTimeoutMs?: number | null }): Promise<void>;
}
