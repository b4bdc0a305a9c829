/**
 * The way that bytes take through one connected socket of `node:net`.
 *
 *   plain    'data' events and `write()`, as any program uses them
 *   direct   the handle beneath the streams (see `direct_path.ts` and `handle_path.ts`)
 *
 * Everything else stays with the socket: the ends of both halves, errors, options and addresses.
 *
 * @module
 */
import type { RuntimeSocket } from "./runtime_sockets.ts";

/** Takes the bytes of a socket. Memory that is `lent` may change after the call. */
export type OnBytes = (bytes: Uint8Array, lent: boolean) => void;

export interface BytePath {
  /** Whether the runtime looks for more bytes before the reaction to a chunk. */
  readonly readsOn: boolean;
  /** Lets bytes come, at first or after a pause. */
  resume(): void;
  /** At most one further chunk comes. */
  pause(): void;
  /**
   * Offers memory of the core to the kernel, which may take a part or nothing. Returns the number
   * of bytes that were taken.
   */
  offer(memory: Uint8Array, from: number, count: number): number;
  /**
   * Passes a window to the runtime. Returns true when the kernel has taken all of it. Otherwise the
   * runtime holds the window until it calls `onWritten`, or until the socket fails.
   */
  send(window: Uint8Array, onWritten: () => void): boolean;
}

/** The streams of `node:net`. */
export class PlainPath implements BytePath {
  readonly readsOn = false;
  readonly #socket: RuntimeSocket;
  /** Outstanding callbacks of windows that were taken at once. */
  #callbacksLeft = 0;
  #pending: (() => void) | null = null;

  constructor(socket: RuntimeSocket) {
    this.#socket = socket;
  }

  resume(): void {
    this.#socket.resume();
  }

  pause(): void {
    this.#socket.pause();
  }

  offer(): number {
    return 0;
  }

  send(window: Uint8Array, onWritten: () => void): boolean {
    this.#pending = onWritten;
    this.#socket.write(window, this.#onWritten);
    const { writableLength, errored } = this.#socket;
    if (writableLength > 0 || errored !== null) return false;
    this.#pending = null;
    this.#callbacksLeft++;
    return true;
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (this.#callbacksLeft > 0) {
      this.#callbacksLeft--;
      return;
    }
    const onWritten = this.#pending;
    this.#pending = null;
    // After an error the socket is ending. 'error' or 'close' follows with the reason.
    if (!error) onWritten?.();
  };
}
