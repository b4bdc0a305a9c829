/**
 * Bounded retries of one operation: at once after EAGAIN and EINTR, with growing pauses after
 * ENOBUFS and ENOMEM. Progress resets the count.
 *
 * @module
 */
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import type { Operation } from "../../ring/operation.ts";

export class Retrier {
  readonly #operation: Operation;
  readonly #counter: number;
  #count = 0;
  #pauseMs: number = LIMITS.backOffFirstMs;
  #timer: HostTimer | null = null;

  /** `counter` is the index of the meter's count for retries of this operation. */
  constructor(operation: Operation, counter: number) {
    this.#operation = operation;
    this.#counter = counter;
  }

  /** True during a pause: the operation is idle, and the retrier submits it at the end. */
  get waiting(): boolean {
    return this.#timer !== null;
  }

  progress(): void {
    this.#count = 0;
    this.#pauseMs = LIMITS.backOffFirstMs;
  }

  /** Submits again, now or after a pause. False at the limit: the errno is final. */
  retry(how: "again" | "later"): boolean {
    if (++this.#count > LIMITS.retryCountMax) return false;
    const ring = this.#operation.lane.ring;
    ring.meter.counts[this.#counter]++;
    if (how === "again") {
      ring.submit(this.#operation, "again");
      return true;
    }
    this.#timer = ring.host.setTimer(() => {
      this.#timer = null;
      ring.submit(this.#operation, "again");
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LIMITS.backOffLastMs);
    return true;
  }

  /** Ends a pause without submitting. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
