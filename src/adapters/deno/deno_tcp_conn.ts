/**
 * A TCP connection with the interface of `Deno.TcpConn`.
 *
 * @module
 */
import type { NetAddr } from "./addr.ts";
import { DenoConn } from "./deno_conn.ts";

/** A connection of a unix socket lacks what is here, as in Deno. */
export class DenoTcpConn extends DenoConn<NetAddr> {
  /** TCP_NODELAY, on unless told otherwise. */
  setNoDelay(noDelay = true): void {
    this.throwClosed();
    this.connection.setNoDelay(Boolean(noDelay));
  }

  /** Keep-alive probing with the times of the system, on unless told otherwise. */
  setKeepAlive(keepAlive = true): void {
    this.throwClosed();
    this.connection.setKeepAlive(Boolean(keepAlive));
  }
}
