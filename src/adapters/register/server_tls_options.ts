/**
 * The options of the TLS sockets of an https server in Bun. They are chosen as `tls.Server` does in
 * Node: the server's own options also concern streams (`encoding`, `signal`), or mean something
 * else for a socket, which does not refuse a client by default.
 *
 * @module
 */
import type { Exports, Fields } from "./node_modules.ts";

/** Throws for a wrong key, certificate or cipher. */
export function serverTlsOptions(tls: Exports, given: Fields): Fields {
  const { SNICallback, ALPNProtocols, ALPNCallback } = given;
  const requestCert = given.requestCert === true;
  const rejectUnauthorized = given.rejectUnauthorized !== false;
  const honorCipherOrder = given.honorCipherOrder !== false;
  const chosen = { ...given, requestCert, rejectUnauthorized, honorCipherOrder };
  return {
    isServer: true,
    secureContext: tls.createSecureContext(chosen),
    requestCert,
    rejectUnauthorized,
    SNICallback,
    ALPNProtocols,
    ALPNCallback,
  };
}
