/**
 * TLS servers of Bun over sockets of this library.
 *
 * Bun takes the `_handle` of the connection under a TLS server for one of its own, and asks it to
 * become a TLS one. Where there is none, it reads and writes the connection as any stream. So the
 * handle is hidden from the moment on in which a connection becomes a TLS server's.
 *
 * The method has a symbol that everybody can have, and no name. Where a version of Bun has none,
 * nothing is changed, and the tests of `node:tls` say so.
 *
 * @module
 */
import { runtimeNet } from "./runtime_net.ts";

type Upgrade = (connection: unknown, ...rest: unknown[]) => unknown;

const UPGRADE = Symbol.for("::bunUpgradeServerTLS::");

let installed = false;

/** Once for each thread; does nothing in other runtimes. */
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
