/**
 * The private state of a socket of `node:net`, in one object: the socket has Node's own properties
 * and this.
 *
 *   fresh -> connect(): `handle` -> connected -> destroyed: no handle, and what it had counted
 *
 * @module
 */
import type { IdleTimer } from "./idle_timer.ts";
import type { OnRead } from "./on_read_buffers.ts";
import type { SocketHandle } from "./socket_handle.ts";
import type { SocketName } from "./socket_name.ts";

export class SocketState {
  handle: SocketHandle | null = null;
  /** Streams that are made of a connection show no handle: see `toDuplex`. */
  hidesHandle = false;
  onread: OnRead | null = null;
  idle: IdleTimer | null = null;
  /** Once it is aborted, the socket is over for good. */
  signal: AbortSignal | null = null;
  /** The stream asked for bytes before there was a handle. */
  wantsRead = false;
  /** The end is RST. */
  resets = false;
  /** As they were last set, or are to be set once there is a connection. */
  noDelay: boolean | undefined;
  keepAlive: boolean | undefined;
  keepAliveSeconds: number | undefined;
  typeOfService: number | undefined;
  /** The state of `node:http` at a socket, in Deno. */
  parser: unknown = undefined;
  /** Of the handle that is gone. */
  bytesRead = 0;
  bytesWritten = 0;
  remote: SocketName | null = null;
  local: SocketName | null = null;

  /** The handle's last words; it is no longer the socket's. */
  detach(): SocketHandle | null {
    const { handle } = this;
    if (handle === null) return null;
    this.bytesRead = handle.bytesRead;
    this.bytesWritten = handle.bytesWritten;
    this.handle = null;
    return handle;
  }

  /** For a socket that is connected again. */
  forget(): void {
    this.remote = this.local = null;
    this.wantsRead = this.resets = false;
    this.bytesRead = this.bytesWritten = 0;
  }

  /** One end, as it was first seen: a connection that is over has none. */
  end(which: "local" | "remote"): SocketName | null {
    return this[which] ??= this.handle?.name(which) ?? null;
  }
}

/** Whole seconds before the first probe; nonsense counts as 0, which leaves the system's. */
export function probeDelay(delayMs: unknown): number {
  return Math.max(0, Math.trunc(Number(delayMs ?? 0) / 1_000) || 0);
}
