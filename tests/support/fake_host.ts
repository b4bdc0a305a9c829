/**
 * A host whose clock stands still until the test moves it: timers, kernel events and macrotasks
 * wait in queues of their own, and `Sim` decides what happens next. Microtasks are the runtime's.
 *
 * @module
 */
import type { Host, HostTimer } from "../../src/base/host.ts";

interface Event {
  atMs: number;
  order: number;
  callback: (() => void) | null;
}

export class FakeHost implements Host {
  clockMs = 1_000;
  /** The lateness of timers, as of a busy event loop. */
  lateness: () => number = () => 0;
  readonly names = new Map<string, { address: string; family: 4 | 6 }[]>();
  readonly macrotasks: (() => void)[] = [];
  readonly #heap: Event[] = [];
  #order = 0;
  #live = 0;
  /** Timers of the core that are set. */
  readonly timers = new Set<HostTimer>();

  now(): number {
    return this.clockMs;
  }

  setTimer(callback: () => void, delayMs: number): HostTimer {
    const event = this.at(Math.max(delayMs, 0) + this.lateness(), () => {
      this.timers.delete(timer);
      callback();
    });
    const timer = {
      cancel: () => {
        this.timers.delete(timer);
        event.cancel();
      },
    };
    this.timers.add(timer);
    return timer;
  }

  pause(delayMs: number): Promise<void> {
    return this.sleep(delayMs);
  }

  setMacrotask(callback: () => void): void {
    this.macrotasks.push(callback);
  }

  resolve(name: string): Promise<readonly { address: string; family: 4 | 6 }[]> {
    const found = this.names.get(name);
    return found === undefined
      ? Promise.reject(new Error(`no such name: ${name}`))
      : Promise.resolve(found);
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

  /** Resolves when the clock has moved by `delayMs`. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.at(delayMs, resolve));
  }

  /** Calls at an exact moment. */
  at(delayMs: number, callback: () => void): HostTimer {
    const event: Event = { atMs: this.clockMs + delayMs, order: this.#order++, callback };
    this.#live++;
    this.#push(event);
    return {
      cancel: () => {
        if (event.callback === null) return;
        event.callback = null;
        this.#live--;
      },
    };
  }

  /** Events that wait. */
  get waiting(): number {
    return this.#live;
  }

  /** When the next event is due; Infinity when none is. */
  get nextMs(): number {
    while (this.#heap.length > 0 && this.#heap[0].callback === null) this.#pop();
    return this.#heap.length > 0 ? this.#heap[0].atMs : Infinity;
  }

  /** Moves the clock to the next event and takes it out. */
  takeNext(): () => void {
    const atMs = this.nextMs;
    const event = this.#pop();
    const callback = event.callback as () => void;
    event.callback = null;
    this.#live--;
    this.clockMs = Math.max(this.clockMs, atMs);
    return callback;
  }

  #before(a: Event, b: Event): boolean {
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop() as Event;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1], heap[child])) child++;
      if (!this.#before(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
