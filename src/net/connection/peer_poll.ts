/**
 * One poll on the ring: reports the end of a connection, and consumes no byte and no error.
 *
 *   idle --request()--> in flight --events--> in flight --last completion--> idle
 *             ^                                                |
 *             +------- pause, while events are wanted ---------+
 *
 * @module
 */
import { COUNT } from "../../base/meter.ts";
import { type OpWriter, POLL_EVENT } from "../../ring/op_writer.ts";
import type { Operation, OperationOwner } from "../../ring/operation.ts";
import { CQE_MORE } from "../../ring/port.ts";
import type { Ring } from "../../ring/ring.ts";
import { outcomeOf } from "../call/outcome.ts";
import { Retrier, type RetryTarget } from "../call/retrier.ts";

/** The receiver of the events. */
export interface PeerPollOwner {
  /** False while no call waits: the poll is not submitted again. */
  readonly wantsEvents: boolean;
  /** The events of poll(2). */
  came(events: number): void;
  /** The poll has failed: `errno` of the kernel, or the cause of an error inside the library. */
  failed(errno: number, cause: unknown): void;
  /** Called when the poll is idle. */
  landed(): void;
}

export class PeerPoll implements OperationOwner, RetryTarget {
  readonly ring: Ring;
  readonly #operation: Operation;
  readonly #fd: number;
  readonly #owner: PeerPollOwner;
  readonly #retrier = new Retrier(this, COUNT.retriesRecv);

  constructor(ring: Ring, fd: number, owner: PeerPollOwner) {
    this.ring = ring;
    this.#operation = ring.acquire(ring.pollLane, this);
    this.#fd = fd;
    this.#owner = owner;
  }

  get cancelFlags(): number {
    return 0;
  }

  get isIdle(): boolean {
    return this.#operation.isIdle;
  }

  /** Starts the poll, unless it is under way. */
  request(): void {
    if (this.isIdle && !this.#retrier.isWaiting) this.ring.submit(this.#operation);
  }

  resubmit(): void {
    this.ring.submit(this.#operation, "resubmitted");
  }

  /**
   * Ends the poll. Returns true when the poll is idle, and false when a last completion follows.
   */
  cancel(): boolean {
    this.#retrier.stop();
    return this.ring.cancel(this.#operation);
  }

  /** Gives the idle operation back to the ring. */
  release(): void {
    this.ring.release(this.#operation);
  }

  detain(): void {}

  prepare(writer: OpWriter): boolean {
    if (!this.#owner.wantsEvents) return false;
    writer.poll(this.#fd, POLL_EVENT.peerFinished);
    return true;
  }

  complete(result: number, flags: number): void {
    if (result > 0) this.#owner.came(result);
    if ((flags & CQE_MORE) !== 0) return;
    if (this.#owner.wantsEvents) this.#continue(result);
    this.#owner.landed();
  }

  fail(cause: unknown): void {
    this.#owner.failed(0, cause);
    this.#owner.landed();
  }

  #continue(result: number): void {
    const outcome = outcomeOf(result);
    if (outcome === "progress") {
      // The next poll would report the same events at once, and no event after FIN is urgent. The
      // bound is for failures: at the bound, the pauses begin anew.
      if (this.#retrier.retry("later")) return;
      this.#retrier.progress();
      this.#retrier.retry("later");
      return;
    }
    // The cancel was meant for calls that have left. Other calls wait now.
    const how = outcome === "canceled" ? "again" : outcome;
    if ((how === "again" || how === "later") && this.#retrier.retry(how)) return;
    // All calls fail. The next one has the whole bound for itself.
    this.#retrier.stop();
    this.#owner.failed(-result, undefined);
  }
}
