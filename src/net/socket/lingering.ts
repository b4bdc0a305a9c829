/**
 * Closed connections whose peers have not acknowledged all bytes that the kernel has taken.
 *
 *   close() -> FIN -> the peer has all bytes, or has ended: the descriptor is closed
 *                \-> bytes are unsent -> check, discard received bytes -> ... -> closed
 *                                              the budget ends ---------------> closed
 *
 * Closing the descriptor earlier would not stop the kernel from sending the remaining bytes. But
 * the kernel would answer the next byte of the peer with RST, and drop the remaining bytes.
 *
 * One timer serves all lingering sockets. A socket is checked after {@link LIMITS.lingerFirstMs},
 * then at intervals that double up to {@link LIMITS.lingerLastMs}. The intervals start anew when
 * the peer has sent bytes: a peer may read nothing before its own bytes are taken. A check costs
 * one foreign call. Many of them take turns with the event loop, the one that was checked the
 * longest ago first. A lingering socket keeps the process alive as a pending call does.
 *
 * @module
 */
import type { Host, HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";

/** A socket that may linger. */
export interface Lingerer {
  addCall(): void;
  removeCall(): void;
  /** 0 when the socket can close, 1 when bytes are unsent, 2 when the peer has sent bytes too. */
  checkUnsent(): number;
  /** Closes now, without RST. */
  endLingering(): void;
}

interface Entry {
  dueMs: number;
  pauseMs: number;
  /** Infinite when closing has no budget. */
  endMs: number;
}

export class Lingering {
  readonly #host: Host;
  readonly #entries = new Map<Lingerer, Entry>();
  #timer: HostTimer | null = null;
  #isYielding = false;

  constructor(host: Host) {
    this.#host = host;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Checks `socket` until it can close, until `endMs` of the host's clock at the latest. */
  add(socket: Lingerer, endMs: number): void {
    const pauseMs = LIMITS.lingerFirstMs;
    this.#entries.set(socket, { dueMs: this.#host.now() + pauseMs, pauseMs, endMs });
    socket.addCall();
    this.#timer ??= this.#host.setTimer(this.#check, LIMITS.lingerFirstMs);
  }

  /** Forgets a socket that has ended in another way. */
  delete(socket: Lingerer): void {
    if (!this.#entries.delete(socket)) return;
    socket.removeCall();
    if (this.#entries.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Closes all lingering sockets: what they had as a budget is over. */
  end(): void {
    for (const entry of this.#entries.values()) entry.endMs = -Infinity;
    this.#check();
  }

  #end(socket: Lingerer): void {
    this.delete(socket);
    socket.endLingering();
  }

  readonly #check = (): void => {
    this.#timer?.cancel();
    this.#timer = null;
    const startMs = this.#host.now();
    for (const [socket, entry] of this.#entries) {
      const nowMs = this.#host.now();
      if (nowMs - startMs >= LIMITS.endStepMs) return this.#yield();
      if (nowMs < entry.dueMs && nowMs < entry.endMs) continue;
      const seen = socket.checkUnsent();
      if (seen === 0 || nowMs >= entry.endMs) {
        this.#end(socket);
        continue;
      }
      const { lingerFirstMs, lingerLastMs } = LIMITS;
      entry.pauseMs = seen === 2 ? lingerFirstMs : Math.min(entry.pauseMs * 2, lingerLastMs);
      entry.dueMs = nowMs + entry.pauseMs;
      // To the end: the sockets in front are those that wait for their check.
      this.#entries.delete(socket);
      this.#entries.set(socket, entry);
    }
    if (this.#entries.size === 0) return;
    this.#timer ??= this.#host.setTimer(this.#check, LIMITS.lingerFirstMs);
  };

  #yield(): void {
    if (this.#isYielding) return;
    this.#isYielding = true;
    this.#host.setMacrotask(() => {
      this.#isYielding = false;
      this.#check();
    });
  }
}
