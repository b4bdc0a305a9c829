/**
 * How a sending half ends. Made when it does: a half that is open is smaller without it.
 *
 * @module
 */
import type { CloseReason } from "../call/close_reason.ts";

export class SinkEnd {
  /** Why: what later calls are told. */
  readonly reason: CloseReason;
  /** What the calls that are with the kernel get when it has answered. */
  abandoned: CloseReason | null = null;
  finSent = false;
  /** The budget of a close ended before everything was sent: the end has to be RST. */
  gaveUp = false;
  /** Half close and graceful close: two at the most. */
  readonly #drained: (() => void)[] = [];

  constructor(reason: CloseReason) {
    this.reason = reason;
  }

  whenDrained(callback: () => void): void {
    this.#drained.push(callback);
  }

  /** Nothing is queued or in flight any more. */
  rest(): void {
    for (const callback of this.#drained.splice(0)) callback();
  }
}
