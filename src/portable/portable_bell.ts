/**
 * The doorbell: a microtask after the runtime's own event, and a timer that keeps the process alive
 * while calls are pending. The sockets themselves never do.
 *
 * @module
 */
import * as timers from "node:timers";
import type { BellPort } from "../ring/port.ts";

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

/** The longest that timers have; it does nothing when it is over. */
const LONG_MS = 2_147_483_647;

export class PortableBell implements BellPort {
  readonly opened: Promise<void> = Promise.resolve();
  readonly #onWake: () => void;
  readonly #keepAlive: NodeTimer;
  #queued = false;
  #closed = false;

  constructor(onWake: () => void) {
    this.#onWake = onWake;
    this.#keepAlive = setInterval(() => {}, LONG_MS);
    this.#keepAlive.unref();
  }

  /** Wakes the core soon, never within the call. */
  ring(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    queueMicrotask(this.#wake);
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
