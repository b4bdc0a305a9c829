/**
 * The faults of the fake kernel, and their rates. Every kind is off unless a test turns it on.
 *
 * Soft faults must have no effect for a caller: bytes arrive, calls succeed. Hard faults may end a
 * connection, with a typed error.
 *
 * @module
 */
import type { Random } from "../harness.ts";

/** Probabilities, 0 to 1, for each time that the fault could strike. */
export interface FaultRates {
  /** A send ends after a part of its bytes; also inside an iovec. */
  shortSend: number;
  shortRecv: number;
  /** A short operation moves exactly one byte. */
  oneByte: number;
  /** EAGAIN or EINTR, many times in a row. */
  again: number;
  /** ENOBUFS or ENOMEM, several times in a row. */
  memory: number;
  /** The completion comes up to 20 ms late. */
  late: number;
  /** The first attempt happens in task work, not within the submission. */
  deferred: number;
  /** Completions come in another order. */
  reordered: number;
  /** Failures are reported before earlier completions, as on Linux 6.1. */
  failuresFirst: number;
  /** A turn ends before all ready completions are collected. */
  splitTurns: number;
  /** A cancel comes too late, after the operation was done. */
  cancelLoses: number;
  /** A cancelled operation ends with EINTR. */
  cancelInterrupts: number;
  /** No memory for more buffers can be mapped, once a network is open. */
  unmappable: number;
  /** EMFILE or ENFILE from accept. */
  exhausted: number;
  /** The errnos of accept(2) that say nothing about the listener. */
  acceptTransient: number;
  /** The doorbell rings although nothing happened. */
  spuriousDoorbell: number;
  /** The doorbell cannot be armed. */
  armFails: number;
  /** The kernel's flags say that there is work where there is none. */
  staleFlag: number;
  /** A receive does not say that the socket has more, as on kernels and sockets that never do. */
  noHint: number;
  /** A receive that brings no byte consumes its buffer all the same. */
  bufferWithoutBytes: number;
  /**
   * A multishot receive ends with bytes and without an error, as when the completion queue is full.
   */
  multishotEnds: number;
  /** A cancel does not find the multishot receive, which goes on (Linux 6.11). */
  cancelMisses: number;

  // Hard ones.
  /** A send that takes nothing and says 0. */
  zeroSend: number;
  /** ECONNRESET, EPIPE, EIO and the like. */
  sendErrno: number;
  recvErrno: number;
  connectErrno: number;
  /** The network drops the connection: RST to both ends. */
  reset: number;
}

export const NO_FAULTS: Readonly<FaultRates> = Object.freeze({
  shortSend: 0,
  shortRecv: 0,
  oneByte: 0,
  again: 0,
  memory: 0,
  late: 0,
  deferred: 0,
  reordered: 0,
  failuresFirst: 0,
  splitTurns: 0,
  cancelLoses: 0,
  cancelInterrupts: 0,
  unmappable: 0,
  exhausted: 0,
  acceptTransient: 0,
  spuriousDoorbell: 0,
  armFails: 0,
  staleFlag: 0,
  noHint: 0,
  bufferWithoutBytes: 0,
  multishotEnds: 0,
  cancelMisses: 0,
  zeroSend: 0,
  sendErrno: 0,
  recvErrno: 0,
  connectErrno: 0,
  reset: 0,
});

/** How often each kind strikes when a random scenario has chosen it. */
export const USUAL_RATES: Readonly<FaultRates> = Object.freeze({
  shortSend: 0.3,
  shortRecv: 0.3,
  oneByte: 0.3,
  again: 0.3,
  memory: 0.1,
  late: 0.15,
  deferred: 0.5,
  reordered: 0.5,
  failuresFirst: 0.8,
  splitTurns: 0.5,
  cancelLoses: 0.6,
  cancelInterrupts: 0.5,
  unmappable: 0.9,
  exhausted: 0.4,
  acceptTransient: 0.4,
  spuriousDoorbell: 0.02,
  armFails: 0.1,
  staleFlag: 0.5,
  noHint: 1,
  bufferWithoutBytes: 0.5,
  multishotEnds: 0.1,
  cancelMisses: 0.8,
  zeroSend: 0.02,
  sendErrno: 0.02,
  recvErrno: 0.02,
  connectErrno: 0.2,
  reset: 0.003,
});

export type FaultKind = keyof FaultRates;

export const HARD_KINDS: readonly FaultKind[] = [
  "zeroSend",
  "sendErrno",
  "recvErrno",
  "connectErrno",
  "reset",
];

export const SOFT_KINDS: readonly FaultKind[] = (Object.keys(NO_FAULTS) as FaultKind[])
  .filter((kind) => !HARD_KINDS.includes(kind));

/** Draws faults, and keeps storms shorter than what the core must survive. */
export class Faults {
  readonly rates: FaultRates;
  /** How often each kind struck. */
  readonly struck = new Map<FaultKind, number>();
  readonly #random: Random;
  readonly #storms = new Map<string, number>();
  readonly #planned = new Map<FaultKind, number>();
  /** Where the next short operations end, before chance decides again. */
  readonly cuts: number[] = [];

  constructor(random: Random, rates: Partial<FaultRates> = {}) {
    this.#random = random;
    this.rates = { ...NO_FAULTS, ...rates };
  }

  /** The next `count` times, this fault strikes for certain, however long the storm gets. */
  plan(kind: FaultKind, count: number): void {
    this.#planned.set(kind, count);
  }

  #due(kind: FaultKind): boolean {
    const count = this.#planned.get(kind) ?? 0;
    if (count > 0) this.#planned.set(kind, count - 1);
    return count > 0;
  }

  strikes(kind: FaultKind): boolean {
    if (this.#due(kind)) return true;
    const rate = this.rates[kind];
    if (rate === 0 || !this.#random.chance(rate)) return false;
    this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
    return true;
  }

  /** As `strikes`, at most `countMax` times in a row for one `subject`. */
  storms(kind: FaultKind, subject: string, countMax: number): boolean {
    if (this.#due(kind)) return true;
    const key = `${kind} ${subject}`;
    const count = this.#storms.get(key) ?? 0;
    const strikes = count < countMax && this.strikes(kind);
    this.#storms.set(key, strikes ? count + 1 : 0);
    return strikes;
  }

  pick<T>(items: readonly T[]): T {
    return this.#random.pick(items);
  }

  int(min: number, max: number): number {
    return this.#random.int(min, max);
  }

  /** How many of `count` bytes an operation moves. */
  shorten(kind: "shortSend" | "shortRecv", count: number): number {
    const cut = kind === "shortSend" ? this.cuts.shift() : undefined;
    if (cut !== undefined) return Math.min(cut, count);
    if (count <= 1 || !this.strikes(kind)) return count;
    return this.strikes("oneByte") ? 1 : this.#random.int(1, count - 1);
  }
}
