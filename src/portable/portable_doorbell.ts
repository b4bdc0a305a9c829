/**
 * The doorbell: a task after the runtime's own event, and a timer that keeps the process alive
 * while calls are pending. The sockets themselves never do.
 *
 * The task is a macrotask or a microtask, depending on the runtime. Before a macrotask all sockets
 * that are ready have reported, and one turn serves them; a microtask comes sooner, one for each
 * socket.
 *
 * @module
 */
import * as timers from "node:timers";
import type { DoorbellPort } from "../ring/port.ts";

interface NodeTimer {
  ref(): void;
  unref(): void;
}

interface NodeTimers {
  setInterval(callback: () => void, delayMs: number): NodeTimer;
  clearInterval(timer: NodeTimer): void;
}

// deno-lint-ignore no-explicit-any
const { setInterval, clearInterval } = timers as any as NodeTimers;

/** Runs a function after the current event. */
export type Schedule = (callback: () => void) => void;

/** The longest delay of a timer. The timer's callback does nothing. */
const LONG_MS = 2_147_483_647;

export class PortableDoorbell implements DoorbellPort {
  readonly opened: Promise<void> = Promise.resolve();
  readonly #onWake: () => void;
  readonly #schedule: Schedule;
  readonly #keepAlive: NodeTimer;
  #queued = false;
  #closed = false;

  constructor(onWake: () => void, schedule: Schedule) {
    this.#onWake = onWake;
    this.#schedule = schedule;
    this.#keepAlive = setInterval(() => {}, LONG_MS);
    this.#keepAlive.unref();
  }

  /** Wakes the core soon, but never during this call. */
  ring(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    this.#schedule(this.#wake);
  }

  ref(): void {
    this.#keepAlive.ref();
  }

  unref(): void {
    this.#keepAlive.unref();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#keepAlive);
  }

  readonly #wake = (): void => {
    this.#queued = false;
    if (!this.#closed) this.#onWake();
  };
}
