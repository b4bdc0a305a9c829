/**
 * The doorbell: a task after the runtime's own event, and a timer that keeps the process alive
 * while calls are pending. The sockets themselves never do.
 *
 * The task is a microtask, or a macrotask where that is worth its cost. A microtask comes sooner,
 * one for each socket. Before a macrotask all sockets that are ready have reported, and one turn
 * serves them. So macrotasks are used while they serve several completions, and otherwise tried
 * now and then.
 *
 * @module
 */
import * as timers from "node:timers";
import { queueMicrotask } from "../base/queue_microtask.ts";
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

/** Runs a function after the current event. Null where a macrotask costs more than it saves. */
export type Macrotask = ((callback: () => void) => void) | null;

/** After as many wakeups with one completion, sockets count as ready one at a time. */
const LONE_COUNT = 4;
/** Microtasks until the next trial of a macrotask. */
const TRIAL_GAP = 256;

/** The longest delay of a timer. The timer's callback does nothing. */
const LONG_MS = 2_147_483_647;

export class PortableDoorbell implements DoorbellPort {
  readonly opened: Promise<void> = Promise.resolve();
  readonly #onWake: () => void;
  readonly #macrotask: Macrotask;
  /** The number of completions that wait. */
  readonly #waiting: () => number;
  /** Wakeups in a row that served one completion. */
  #lone = 0;
  #microtasks = 0;
  readonly #keepAlive: NodeTimer;
  #queued = false;
  #closed = false;

  constructor(onWake: () => void, macrotask: Macrotask, waiting: () => number) {
    this.#onWake = onWake;
    this.#macrotask = macrotask;
    this.#waiting = waiting;
    this.#keepAlive = setInterval(() => {}, LONG_MS);
    this.#keepAlive.unref();
  }

  /** Wakes the core soon, but never during this call. */
  ring(): void {
    if (this.#queued || this.#closed) return;
    this.#queued = true;
    if (this.#macrotask === null) queueMicrotask(this.#wakeTogether);
    else if (this.isLone && ++this.#microtasks % TRIAL_GAP !== 0) queueMicrotask(this.#wake);
    else this.#macrotask(this.#wakeTogether);
  }

  /** Whether sockets become ready one at a time. */
  get isLone(): boolean {
    return this.#lone >= LONE_COUNT;
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

  readonly #wakeTogether = (): void => {
    this.#lone = this.#waiting() > 1 ? 0 : this.#lone + 1;
    this.#wake();
  };

  readonly #wake = (): void => {
    this.#queued = false;
    if (!this.#closed) this.#onWake();
  };
}
