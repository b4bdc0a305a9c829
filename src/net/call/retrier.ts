/**
 * Bounded retries of one operation: at once after EAGAIN and EINTR, with growing pauses after
 * ENOBUFS and ENOMEM. Progress resets the count, and so does the moment at which no call waits: the
 * next call has the whole bound for itself.
 *
 * @module
 */
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import type { Ring } from "../../ring/ring.ts";

/** The owner of the operation that is tried again. */
export interface RetryTarget {
  readonly ring: Pick<Ring, "host" | "meter">;
  /** Submits the operation, before those that are fresh. */
  resubmit(): void;
}

export class Retrier {
  readonly #target: RetryTarget;
  readonly #counter: number;
  #count = 0;
  #pauseMs: number = LIMITS.backOffFirstMs;
  #timer: HostTimer | null = null;

  /** `counter` is the index of the meter's count for retries of this operation. */
  constructor(target: RetryTarget, counter: number) {
    this.#target = target;
    this.#counter = counter;
  }

  /** True during a pause: the operation is idle, and the retrier submits it at the end. */
  get isWaiting(): boolean {
    return this.#timer !== null;
  }

  progress(): void {
    this.#count = 0;
    this.#pauseMs = LIMITS.backOffFirstMs;
  }

  /** Submits again, now or after a pause. False at the limit: the errno is final. */
  retry(how: "again" | "later"): boolean {
    if (++this.#count > LIMITS.retryCountMax) return false;
    const { host, meter } = this.#target.ring;
    meter.counts[this.#counter]++;
    if (how === "again") {
      this.#target.resubmit();
      return true;
    }
    this.#timer = host.setTimer(() => {
      this.#timer = null;
      this.#target.resubmit();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LIMITS.backOffLastMs);
    return true;
  }

  /** No call waits any more: ends a pause without submitting, and forgets the attempts so far. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.progress();
  }
}
