/**
 * TLS servers of Bun over sockets of this library.
 *
 * Bun expects the `_handle` of a connection under a TLS server to be one of its own, and asks it to
 * become a TLS handle. A connection without a handle is read and written like any stream. So the
 * handle is hidden from the moment when a TLS server takes the connection.
 *
 * The method's key is a registered symbol. Nothing is changed where a version of Bun lacks the
 * method, and then the tests of `node:tls` fail.
 *
 * @module
 */
import { runtimeNet } from "./runtime_net.ts";

type Upgrade = (connection: unknown, ...rest: unknown[]) => unknown;

const UPGRADE = Symbol.for("::bunUpgradeServerTLS::");

let installed = false;

/** Installs the hook, once for each thread. Other runtimes have no such method. */
export function bunTls(hideHandle: (connection: unknown) => void): void {
  if (installed) return;
  installed = true;
  const prototype = runtimeNet.Socket.prototype as unknown as Record<symbol, Upgrade | undefined>;
  const upgrade = prototype[UPGRADE];
  if (typeof upgrade !== "function") return;
  prototype[UPGRADE] = function (connection, ...rest) {
    hideHandle(connection);
    return upgrade.call(this, connection, ...rest);
  };
}
