/**
 * The private state of a socket of `node:net`, in one object beside Node's own properties.
 *
 *   fresh -> connect(): `handle` -> connected -> destroyed: no handle, but its counts
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { IdleTimer } from "./idle_timer.ts";
import type { OnRead } from "./on_read.ts";
import type { SocketHandle } from "./socket_handle.ts";
import type { SocketName } from "./socket_name.ts";
import type { SocketRelay } from "./socket_relay.ts";
import type { TlsTransport } from "./tls_transport.ts";

export class SocketState {
  handle: SocketHandle | null = null;
  /** Whether `_handle` reads as null, as for the streams of `toDuplex`. */
  hidesHandle = false;
  onread: OnRead | null = null;
  idle: IdleTimer | null = null;
  /** Once the signal is aborted, the socket cannot be used for another connection. */
  signal: AbortSignal | null = null;
  /** The way to the socket that this one was piped into last. */
  relay: SocketRelay | null = null;
  /** The stream that TLS has got in the place of this one. */
  transport: TlsTransport | null = null;
  /** Called once the socket is closed, for a server that does not depend on a listener. */
  left: ((socket: Duplex) => void) | null = null;
  /** Called once "close" was emitted, by the TLS socket above; null before and afterwards. */
  afterClose: (() => void) | null = null;
  toldClose = false;
  /** Whether the stream has asked for bytes before there was a handle. */
  wantsRead = false;
  /** Whether the socket ends with RST. */
  resets = false;
  /** Options as they were last set, or are to be set once the socket is connected. */
  noDelay: boolean | undefined;
  keepAlive: boolean | undefined;
  keepAliveSeconds: number | undefined;
  typeOfService: number | undefined;
  /** The parser that `node:http` keeps at a socket, in Deno. */
  parser: unknown = undefined;
  /** Bytes that were queued when the idle timeout last passed. */
  queuedBytes = 0;
  /** Counts of the handle that the socket had. */
  bytesRead = 0;
  bytesWritten = 0;
  remote: SocketName | null = null;
  local: SocketName | null = null;

  /** Takes the handle away from the socket and keeps its counts. */
  detach(): SocketHandle | null {
    const { handle } = this;
    if (handle === null) return null;
    this.bytesRead = handle.bytesRead;
    this.bytesWritten = handle.bytesWritten;
    // As in Node, what the stream has asked for before a failed connect holds for the next one.
    this.wantsRead = handle.wantsRead;
    this.handle = null;
    return handle;
  }

  /** Prepares for another connection. */
  forget(): void {
    this.remote = this.local = this.transport = null;
    this.afterClose = null;
    this.resets = this.toldClose = false;
    this.bytesRead = this.bytesWritten = 0;
  }

  /** One end, kept from when it was first read, because a closed connection has none. */
  end(which: "local" | "remote"): SocketName | null {
    return this[which] ??= this.handle?.name(which) ?? null;
  }
}

/**
 * Whole seconds before the first probe. An invalid value counts as 0, which leaves the system's.
 */
export function probeDelay(delayMs: unknown): number {
  return Math.max(0, Math.trunc(Number(delayMs ?? 0) / 1_000) || 0);
}
