/**
 * The cancels of one ring: which wait for a turn, and which have to be sent again.
 *
 *   push ----------------> waiting --stage--> watched --timer, still in flight--> waiting ...
 *   expect --(no cancel)---------------------> watched
 *
 * A cancel can fail when it meets the operation at the wrong moment, so it is sent again while its
 * operation is in flight, after pauses that double.
 *
 * The kernel searches the target of a cancel among all operations that wait on the ring: with
 * 20,000 idle connections a cancel takes 6 us. Cancels of n operations that end anyway would cost
 * n * n, so those are only watched at first. The work of the timer is proportional to the watched
 * operations, not to those in flight.
 *
 * @module
 */
import type { Host, HostTimer } from "../base/host.ts";
import { LIMITS } from "../base/limits.ts";
import type { OpWriter } from "./op_writer.ts";
import { type Operation, OPERATION_IN_FLIGHT } from "./operation.ts";

export class CancelQueue {
  readonly #host: Host;
  /** Called when cancels wait for a turn again. */
  readonly #wake: () => void;
  /** Those from `#staged` on wait for a turn with room. */
  readonly #waiting: Operation[] = [];
  #staged = 0;
  readonly #watched: Operation[] = [];
  #timer: HostTimer | null = null;
  #pauseMs: number = LIMITS.cancelAgainFirstMs;

  constructor(host: Host, wake: () => void) {
    this.#host = host;
    this.#wake = wake;
  }

  /** Whether a cancel waits for a turn. */
  get waits(): boolean {
    return this.#staged < this.#waiting.length;
  }

  /** Cancels an operation in flight in the next turn. */
  push(operation: Operation): void {
    this.#waiting.push(operation);
  }

  /** Cancels an operation in flight that lands by itself, should it not have landed by then. */
  expect(operation: Operation): void {
    this.#watched.push(operation);
    this.#setTimer();
  }

  /** Writes as many cancel records as fit. */
  stage(writer: OpWriter): void {
    const waiting = this.#waiting;
    for (; this.waits && !writer.full; this.#staged++) {
      const operation = waiting[this.#staged];
      if (!isEnding(operation)) continue;
      writer.cancel(operation.slot, operation.generation, operation.owner.cancelFlags);
      this.#watched.push(operation);
    }
    // Cutting off the front in each turn would be quadratic, because a turn may take only a small
    // part.
    if (!this.waits) {
      waiting.length = 0;
      this.#staged = 0;
    }
    this.#setTimer();
  }

  close(): void {
    this.#timer?.cancel();
  }

  #setTimer(): void {
    this.#timer ??= this.#host.setTimer(this.#again, this.#pauseMs);
  }

  readonly #again = (): void => {
    this.#timer = null;
    // Cancels that wait for their first turn set the timer again in that turn.
    if (this.waits) return;
    const watched = this.#watched;
    for (const operation of watched) if (isEnding(operation)) this.#waiting.push(operation);
    watched.length = 0;
    if (!this.waits) {
      this.#pauseMs = LIMITS.cancelAgainFirstMs;
      return;
    }
    this.#pauseMs = Math.min(this.#pauseMs * 2, LIMITS.cancelAgainLastMs);
    this.#wake();
  };
}

/** Whether the flight goes on that was to be cancelled, or a later one that is to be as well. */
function isEnding(operation: Operation): boolean {
  return operation.state === OPERATION_IN_FLIGHT && operation.isCanceling;
}
