/**
 * A TCP connection with the interface of `Deno.TcpConn`.
 *
 * @module
 */
import type { NetAddr } from "./addr.ts";
import { DenoConn } from "./deno_conn.ts";

/** A TCP connection. As in Deno, a connection of a unix socket lacks these members. */
export class DenoTcpConn extends DenoConn<NetAddr> {
  /** Sets TCP_NODELAY, which disables Nagle's algorithm. */
  setNoDelay(noDelay = true): void {
    this.throwClosed();
    this.connection.setNoDelay(Boolean(noDelay));
  }

  /** Sets keep-alive probing, with the system's intervals. */
  setKeepAlive(keepAlive = true): void {
    this.throwClosed();
    this.connection.setKeepAlive(Boolean(keepAlive));
  }
}
