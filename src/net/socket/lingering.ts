/**
 * Connections that are closed but whose peers have yet to take what the kernel was given.
 *
 *   close() -> FIN -> all is with the peer, or nothing will come from it: closed
 *                \-> bytes are left -> look again, throw away what came -> ... -> closed
 *                                                 the budget ends --------------> closed
 *
 * Closing the descriptor earlier would not stop the kernel from sending the rest. But the first
 * byte from the peer would then be answered with RST, and the kernel would drop that rest.
 *
 * One timer serves all of them. A connection is looked at after {@link LIMITS.lingerFirstMs}, then
 * at intervals that double up to {@link LIMITS.lingerLastMs} and begin anew when bytes came: a peer
 * that reads nothing before it has sent everything needs its bytes to be taken. A look costs one
 * foreign call. While one lingers, it keeps the process alive as a pending call does.
 *
 * @module
 */
import type { Host, HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";

/** A socket that may linger. */
export interface Lingerer {
  hold(): void;
  unhold(): void;
  /** Looks again: 0 when the end has come, 1 when not, 2 when bytes came meanwhile. */
  lookAgain(): number;
  /** Closes now: as it is, without RST. */
  endLingering(): void;
}

interface Entry {
  dueMs: number;
  pauseMs: number;
  /** Infinite where closing has no budget. */
  readonly endMs: number;
}

export class Lingering {
  readonly #host: Host;
  readonly #entries = new Map<Lingerer, Entry>();
  #timer: HostTimer | null = null;

  constructor(host: Host) {
    this.#host = host;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Looks at `socket` until it is done, until `endMs` of the host's clock at the latest. */
  add(socket: Lingerer, endMs: number): void {
    const pauseMs = LIMITS.lingerFirstMs;
    this.#entries.set(socket, { dueMs: this.#host.now() + pauseMs, pauseMs, endMs });
    socket.hold();
    this.#timer ??= this.#host.setTimer(this.#look, LIMITS.lingerFirstMs);
  }

  /** Forgets a socket that something else has ended. */
  delete(socket: Lingerer): void {
    if (!this.#entries.delete(socket)) return;
    socket.unhold();
    if (this.#entries.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Closes them all. */
  end(): void {
    for (const socket of [...this.#entries.keys()]) this.#end(socket);
  }

  #end(socket: Lingerer): void {
    this.delete(socket);
    socket.endLingering();
  }

  readonly #look = (): void => {
    this.#timer = null;
    const nowMs = this.#host.now();
    for (const [socket, entry] of this.#entries) {
      if (nowMs < entry.dueMs && nowMs < entry.endMs) continue;
      const seen = socket.lookAgain();
      if (seen === 0 || nowMs >= entry.endMs) {
        this.#end(socket);
        continue;
      }
      const { lingerFirstMs, lingerLastMs } = LIMITS;
      entry.pauseMs = seen === 2 ? lingerFirstMs : Math.min(entry.pauseMs * 2, lingerLastMs);
      entry.dueMs = nowMs + entry.pauseMs;
    }
    if (this.#entries.size === 0) return;
    this.#timer ??= this.#host.setTimer(this.#look, LIMITS.lingerFirstMs);
  };
}
