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
 * Runs a handler for each connection of a listener. The listener belongs to the server from then
 * on.
 *
 * A connection is closed when its handler returns, or when the handler's promise resolves. When the
 * handler fails, the connection is reset and `onError` is called. `network.close()` drains its
 * servers first.
 *
 * When the server drains, `context.signal` is aborted. A handler passes the signal to the call that
 * waits for the next request. A handler that ends with the signal's reason has finished, and its
 * connection is closed, or reset if it has received a request without an answer. A handler that
 * ignores the signal may run until the budget ends.
 *
 * @param listener The source of the connections.
 * @param handler Serves one connection.
 * @param options See {@link ServeOptions}.
 * @returns The running server.
 * @throws {TypeError} An argument has a wrong type, or an option is unknown.
 * @throws {RangeError} An option is out of range.
 *
 * @example
 * ```ts
 * import { Network, serve } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * const listener = await network.bind("127.0.0.1:0");
 * const server = serve(listener, async ({ stream, sink }) => {
 *   for (let data; (data = await stream.recvSome()) !== null;) await sink.send(data);
 * });
 * const client = await network.dial(listener.localAddress);
 * await client.sink.send("echo");
 * console.log((await client.stream.recv(4)).text()); // echo
 * await client.close();
 * await server.close();
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
