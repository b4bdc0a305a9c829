/**
 * Serving the connections of a listener.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { Listener } from "../net/accept/listener.ts";
import type { Connection } from "../net/connection/connection_interface.ts";
import { RunningServer } from "./running_server.ts";
import { checkServeOptions, type ServeOptions } from "./serve_options.ts";

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

/**
 * Runs `handler` for each connection of `listener`, which belongs to the server from now on.
 *
 * The connection is closed when its handler returns or its promise resolves; it is reset, and
 * `onError` told, when the handler fails. `network.close()` drains its servers first.
 *
 * Throws TypeError or RangeError for wrong arguments.
 *
 * @example
 * ```ts
 * const server = serve(await network.bind("127.0.0.1:7000"), async ({ stream, sink }) => {
 *   for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
 * });
 * process.once("SIGTERM", () => server.close());
 * await server.finished;
 * ```
 */
export function serve(
  listener: Listener,
  handler: ConnectionHandler,
  options?: ServeOptions,
): Server {
  if (!(listener instanceof Listener)) check.fail("listener", "a Listener", listener);
  if (typeof handler !== "function") check.fail("handler", "a function", handler);
  return new RunningServer(listener, handler, checkServeOptions(options));
}
