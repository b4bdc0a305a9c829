/**
 * A server as users know it.
 *
 * @module
 */
import type { Connection } from "../net/connection/connection.ts";

/** Tells a handler about its server. */
export interface ServeContext {
  /** Aborted when the server drains: the handler should finish what it is at, and return. */
  readonly signal: AbortSignal;
}

/** Serves one connection, which is closed when the handler ends. */
export type ConnectionHandler = (
  connection: Connection,
  context: ServeContext,
) => void | Promise<void>;

/** A running server, made by {@link serve}. */
export interface Server extends AsyncDisposable {
  /** Connections that are not closed yet. */
  readonly connections: number;
  /** True once the server takes no more connections. */
  readonly draining: boolean;
  /** Resolves when the server has ended and its last connection is closed. Never rejects. */
  readonly finished: Promise<void>;
  /**
   * Stops accepting, aborts the context's signal, lets handlers finish within the budget, resets
   * the rest. Resolves with `finished`. A later call can only shorten the budget.
   */
  close(options?: { drainTimeoutMs?: number | null }): Promise<void>;
}
