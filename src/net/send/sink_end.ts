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

  constructor(reason: CloseReason) {
    this.reason = reason;
  }
}
