/**
 * TLS sockets of Bun over sockets of this library.
 *
 * Bun expects the `_handle` of a connection under a TLS server to be one of its own, and asks it to
 * become a TLS handle. A connection without a handle is read and written like any stream. So the
 * handle is hidden from the moment when TLS takes the connection.
 *
 * The keys of the two methods are symbols. In a version of Bun without these methods nothing is
 * changed, and the tests of `node:tls` fail.
 *
 * @module
 */
import { runtimeNet } from "./runtime_net.ts";

type Upgrade = (connection: unknown, ...rest: unknown[]) => unknown;

const DESCRIPTIONS = ["::bunUpgradeServerTLS::", "kUpgradeClientTLS"];

let installed = false;

/**
 * Installs the hook, once for each thread. `taken` is called with each connection that a
 * `TLSSocket` is made over. Other runtimes have no such methods.
 */
export function bunTls(taken: (connection: unknown) => void): void {
  if (installed) return;
  installed = true;
  const prototype = runtimeNet.Socket.prototype as unknown as Record<symbol, Upgrade>;
  for (const key of Object.getOwnPropertySymbols(prototype)) {
    if (!DESCRIPTIONS.includes(key.description ?? "")) continue;
    const upgrade = prototype[key];
    prototype[key] = function (connection, ...rest) {
      taken(connection);
      return upgrade.call(this, connection, ...rest);
    };
  }
}
