/**
 * From a connection of the library to Deno's interface.
 *
 * @module
 */
import type { Connection } from "../../net/connection/connection.ts";
import type { UnixAddr } from "./addr.ts";
import { DenoConn } from "./deno_conn.ts";
import { DenoTcpConn } from "./deno_tcp_conn.ts";

/**
 * `connection` with the interface of `Deno.TcpConn`, or of `Deno.UnixConn` for a unix socket. The
 * result owns the connection from then on: closing the result closes the connection.
 */
export function toDenoConn(connection: Connection): DenoTcpConn {
  if ("path" in connection.localAddress) {
    // The static type is the common case; a unix connection lacks setNoDelay and setKeepAlive.
    return new DenoConn<UnixAddr>(connection) as unknown as DenoTcpConn;
  }
  return new DenoTcpConn(connection);
}
