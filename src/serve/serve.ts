/**
 * Serving the connections of a listener.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { Listener } from "../net/accept/listener.ts";
import { RunningServer } from "./running_server.ts";
import type { ConnectionHandler, Server } from "./server.ts";
import { checkServeOptions, type ServeOptions } from "./serve_options.ts";

/**
 * Runs `handler` for each connection of `listener`, which belongs to the server from now on.
 *
 * The connection is closed when its handler returns or its promise resolves; it is reset, and
 * `onError` told, when the handler fails. `network.close()` drains its servers first.
 *
 * When the server drains, `context.signal` is aborted. A handler that waits for the next request
 * passes the signal to that call: a handler that ends with the signal's reason has finished, and
 * its connection is closed; it is reset if it has received a request without an answer. A handler
 * that does not look at the signal has until the budget ends.
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
