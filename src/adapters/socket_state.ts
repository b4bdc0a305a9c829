/**
 * What a socket of `node:net` keeps to itself, in one object: the socket has Node's own properties
 * and this.
 *
 *   fresh -> connecting (`connector`) -> connected (`link`) -> gone
 *
 * @module
 */
import type { Connection } from "../net/connection.ts";
import type { SocketAddress, UnixAddress } from "../net/address.ts";
import type { IdleTimer } from "./idle_timer.ts";
import type { Link, OnRead } from "./link.ts";

/** What can be cancelled until there is a connection. */
export interface Connecting {
  cancel(): void;
  ref(): void;
  unref(): void;
}

/** Options that are set before there is a connection to set them on. */
export interface PendingOptions {
  noDelay: boolean | null;
  keepAlive: { on: boolean; idleSeconds: number } | null;
}

type End = SocketAddress | UnixAddress;

export class SocketState {
  link: Link | null = null;
  connecting: Connecting | null = null;
  onread: OnRead | null = null;
  idle: IdleTimer | null = null;
  referenced = true;
  /** The stream asked for bytes before there was a connection. */
  wantsRead = false;
  /** The end is RST. */
  resets = false;
  bytesRead = 0;
  bytesWritten = 0;
  readonly pending: PendingOptions = { noDelay: null, keepAlive: null };
  #remote: End | null = null;
  #local: End | null = null;

  /** The ends as they were last seen: a connection that is over has none. */
  end(which: "local" | "remote"): End | null {
    const connection = this.link?.connection ?? null;
    if (which === "remote") return this.#remote ??= connection?.remoteAddress ?? null;
    return this.#local ??= connection?.localAddress ?? null;
  }

  /** The connection is the link's alone from here on. */
  detach(): void {
    if (this.link === null) return;
    this.bytesRead = this.link.bytesRead;
    this.bytesWritten = this.link.bytesWritten;
    this.link = null;
  }

  /** A socket may be connected again. */
  forgetEnds(): void {
    this.#remote = this.#local = null;
  }

  /** Sets what was asked for before there was a connection. */
  applyPending(connection: Connection): void {
    const { noDelay, keepAlive } = this.pending;
    if (noDelay !== null) connection.setNoDelay(noDelay);
    if (keepAlive !== null) setKeepAlive(connection, keepAlive.on, keepAlive.idleSeconds);
    if (!this.referenced) connection.unref();
  }
}

/** Node's probes: one each second, ten before the connection is dead. */
export function setKeepAlive(connection: Connection, on: boolean, idleSeconds: number): void {
  if (!on) connection.setKeepAlive(false);
  else if (idleSeconds <= 0) connection.setKeepAlive(true);
  else connection.setKeepAlive({ idleSeconds, intervalSeconds: 1, count: 10 });
}
