/**
 * Paces the ends of sockets: at most a few milliseconds of them in each round of the event loop.
 *
 *   end -> time is left: at once
 *       \-> none is left: queued -> macrotask: ends until the time is over -> macrotask ...
 *
 * An end is several system calls and may discard megabytes: 40 us for an idle connection, 0.2 ms
 * for one with a full receive buffer. A network that closes, a server that drains and a program
 * that closes thousands of connections in a loop would otherwise keep the event loop for a second.
 *
 * The time spent on ends is forgotten once as much time has passed without ends. So a single end is
 * never queued, and no macrotask is needed to notice a round of the event loop. A queued end keeps
 * the process alive as a pending call does.
 *
 * A queued end still has its descriptor. So a dial, a bind and a drain that find no descriptor left
 * end some sockets at once, and try again.
 *
 * @module
 */
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { Rounds } from "../../base/rounds.ts";

/** A socket whose end may have to wait. */
export interface PacedEnd {
  addCall(): void;
  removeCall(): void;
  /** Ends now. Never throws. `untilMs` is the argument of `end`. */
  endNow(untilMs: number): void;
}

export class EndPace {
  readonly #host: Host;
  /** The queued sockets in order, with their `untilMs`. */
  readonly #queue = new Map<PacedEnd, number>();
  #spentMs = 0;
  /** The last moment that `#spentMs` accounts for. */
  #seenMs = 0;
  readonly #rounds: Rounds;

  constructor(host: Host) {
    this.#host = host;
    this.#rounds = new Rounds(host, () => this.#endStep(), () => this.#queue.size);
  }

  /** Ends `socket` at once, or soon when no time is left. */
  end(socket: PacedEnd, untilMs: number): void {
    if (this.#queue.size === 0 && this.#hasTime()) return this.#run(socket, untilMs);
    this.#queue.set(socket, untilMs);
    socket.addCall();
    this.#rounds.begin();
  }

  /** Removes a socket that ends in another way. */
  delete(socket: PacedEnd): void {
    if (!this.#queue.delete(socket)) return;
    socket.removeCall();
    this.#rounds.noteServed();
  }

  /**
   * Called when no descriptor is left. Ends queued sockets for the time of a step. Returns false
   * when none is queued, and another attempt has no chance.
   */
  endSome(): boolean {
    if (this.#queue.size === 0) return false;
    this.#endStep();
    return true;
  }

  /** Resolves when no end is queued. */
  emptied(): Promise<void> {
    return this.#rounds.emptied();
  }

  /** Whether ends may go on in this round of the event loop. */
  #hasTime(): boolean {
    const nowMs = this.#host.now();
    this.#spentMs = Math.max(this.#spentMs - (nowMs - this.#seenMs), 0);
    this.#seenMs = nowMs;
    return this.#spentMs < LIMITS.endStepMs;
  }

  #run(socket: PacedEnd, untilMs: number): void {
    socket.endNow(untilMs);
    const nowMs = this.#host.now();
    this.#spentMs += nowMs - this.#seenMs;
    this.#seenMs = nowMs;
  }

  #endStep(): void {
    this.#spentMs = 0;
    this.#seenMs = this.#host.now();
    for (const [socket, untilMs] of this.#queue) {
      this.#run(socket, untilMs);
      this.delete(socket);
      if (this.#spentMs >= LIMITS.endStepMs) break;
    }
  }
}
