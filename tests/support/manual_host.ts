/**
 * A host whose clock the test moves. Timers run in the order of their time, macrotasks when asked.
 *
 * @module
 */
import type { Host, HostTimer } from "../../src/base/host.ts";

interface ManualTimer extends HostTimer {
  callback: () => void;
  dueMs: number;
}

export class ManualHost implements Host {
  #nowMs: number;
  readonly timers: ManualTimer[] = [];
  readonly macrotasks: (() => void)[] = [];
  /** Pauses that were asked for; none takes time. */
  readonly pauses: number[] = [];
  /** Timers that were ever set. */
  timersSet = 0;
  /** Added to each timer's delay: an event loop that is late by this much. */
  latenessMs = 0;
  answers: readonly { address: string; family: 4 | 6 }[] = [];

  constructor(nowMs = 1_000) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimer(callback: () => void, delayMs: number): HostTimer {
    if (!(delayMs >= 0)) throw new RangeError(`a timer of ${delayMs} ms`);
    this.timersSet++;
    const timer: ManualTimer = {
      callback,
      dueMs: this.#nowMs + delayMs + this.latenessMs,
      cancel: () => {
        const index = this.timers.indexOf(timer);
        if (index >= 0) this.timers.splice(index, 1);
      },
    };
    this.timers.push(timer);
    return timer;
  }

  pause(delayMs: number): Promise<void> {
    this.pauses.push(delayMs);
    return Promise.resolve();
  }

  setMacrotask(callback: () => void): void {
    this.macrotasks.push(callback);
  }

  resolve(): Promise<readonly { address: string; family: 4 | 6 }[]> {
    return Promise.resolve(this.answers);
  }

  readonly warnings: string[] = [];
  readonly variables = new Map<string, string>();
  readonly processId = 4_711;

  warn(line: string): void {
    this.warnings.push(line);
  }

  environment(name: string): string | undefined {
    return this.variables.get(name);
  }

  /** The time of the next timer, or null. */
  get nextDueMs(): number | null {
    return this.timers.length === 0 ? null : Math.min(...this.timers.map((timer) => timer.dueMs));
  }

  /** Moves the clock without running anything: a blocked event loop. */
  block(ms: number): void {
    this.#nowMs += ms;
  }

  /** Moves the clock to `nowMs`, running timers at their time. */
  runUntil(nowMs: number): void {
    for (let due = this.nextDueMs; due !== null && due <= nowMs; due = this.nextDueMs) {
      const timer = this.timers.find((candidate) => candidate.dueMs === due) as ManualTimer;
      timer.cancel();
      this.#nowMs = Math.max(this.#nowMs, due);
      timer.callback();
    }
    this.#nowMs = Math.max(this.#nowMs, nowMs);
  }
}
