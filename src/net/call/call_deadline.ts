/**
 * The end of a call's budget, as it stands in the wheel. Made for calls that have one, and kept by
 * a call that is used again: most calls have none, and are half as large without its fields.
 *
 * @module
 */
import type { Deadline } from "../../ring/timing_wheel.ts";

export class CallDeadline implements Deadline {
  deadlineNext: Deadline | null = null;
  deadlinePrevious: Deadline | null = null;
  deadlineMs = 0;
  deadlineTick = -1;
  readonly #call: { expire(): void };

  constructor(call: { expire(): void }) {
    this.#call = call;
  }

  expire(): void {
    this.#call.expire();
  }
}
