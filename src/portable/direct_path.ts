/**
 * The direct way of bytes where the handle of a socket takes a part of what it is offered, as in
 * Bun.
 *
 *   kernel -> push(chunk)              instead of push -> stream -> 'data'
 *   memory of the core -> write()      without a copy; the rest goes the plain way, as a window
 *
 * @module
 */
import type { BytePath, OnBytes } from "./byte_path.ts";
import type { RuntimeSocket } from "./runtime_sockets.ts";

/** The handle beneath a socket. */
interface OfferingHandle {
  /** Returns the number of bytes that the kernel took, or a negative number. */
  write(bytes: Uint8Array, from: number, count: number): number;
}

interface PushedSocket {
  _handle: OfferingHandle | null;
  /** Called by the runtime with each chunk, and with null at the end of the stream. */
  push(chunk: Uint8Array | null): boolean;
}

/** Null when the handle has another form. `plain` takes what the kernel does not take at once. */
export function directPath(
  socket: RuntimeSocket,
  plain: BytePath,
  onBytes: OnBytes,
): BytePath | null {
  const pushed = socket as unknown as PushedSocket;
  const handle = pushed._handle as Partial<OfferingHandle> | null | undefined;
  if (typeof handle?.write !== "function" || typeof pushed.push !== "function") return null;
  return new DirectPath(pushed, plain, onBytes);
}

class DirectPath implements BytePath {
  readonly readsOn = false;
  readonly #socket: PushedSocket;
  readonly #plain: BytePath;
  #paused = false;

  constructor(socket: PushedSocket, plain: BytePath, onBytes: OnBytes) {
    this.#socket = socket;
    this.#plain = plain;
    const { push } = socket;
    socket.push = (chunk) => {
      if (chunk === null) return Reflect.apply(push, socket, [null]);
      onBytes(chunk, false);
      return !this.#paused;
    };
  }

  resume(): void {
    this.#paused = false;
    this.#plain.resume();
  }

  pause(): void {
    this.#paused = true;
    this.#plain.pause();
  }

  /** A handle that has failed takes nothing, and the plain way finds out why. */
  offer(memory: Uint8Array, from: number, count: number): number {
    const taken = this.#socket._handle?.write(memory, from, count) ?? 0;
    return taken > 0 ? taken : 0;
  }

  send(window: Uint8Array, onWritten: () => void): boolean {
    return this.#plain.send(window, onWritten);
  }
}
