/**
 * One poll on the ring: tells of the end of a connection, moves no byte and takes no error away. It
 * completes many times.
 *
 * @module
 */
import { COUNT } from "../../base/meter.ts";
import type { Lane } from "../../ring/lane.ts";
import type { OpWriter } from "../../ring/op_writer.ts";
import { Operation } from "../../ring/operation.ts";
import { CQE_MORE } from "../../ring/port.ts";
import { outcomeOf } from "../call/outcome.ts";
import { Retrier } from "../call/retrier.ts";

/** Hears what a poll saw. */
export interface PeerPollOwner {
  /** False once nobody waits: the poll is not submitted again. */
  readonly wantsEvents: boolean;
  /** The events of poll(2). */
  came(events: number): void;
  /** No event can be had: `errno` of the kernel, or the cause of an error inside the library. */
  failed(errno: number, cause: unknown): void;
  /** The poll is idle. */
  landed(): void;
}

export class PeerPoll extends Operation {
  readonly #fd: number;
  readonly #owner: PeerPollOwner;
  readonly #retrier = new Retrier(this, COUNT.retriesRecv);

  constructor(lane: Lane, fd: number, owner: PeerPollOwner) {
    super(lane);
    this.#fd = fd;
    this.#owner = owner;
  }

  /** Starts, unless it is under way. */
  request(): void {
    if (this.idle && !this.#retrier.waiting) this.lane.ring.submit(this);
  }

  /** Ends early: at once, or with a completion. */
  stop(): void {
    this.#retrier.stop();
    this.lane.ring.cancel(this);
  }

  override prepare(writer: OpWriter): boolean {
    if (!this.#owner.wantsEvents) return false;
    writer.poll(this.#fd);
    return true;
  }

  override complete(result: number, flags: number): void {
    if (result > 0) this.#owner.came(result);
    if ((flags & CQE_MORE) !== 0) return;
    if (this.#owner.wantsEvents) this.#again(result);
    this.#owner.landed();
  }

  override fail(cause: unknown): void {
    this.#owner.failed(0, cause);
    this.#owner.landed();
  }

  #again(result: number): void {
    const outcome = outcomeOf(result);
    if (outcome === "progress") {
      this.#retrier.progress();
      // Behind an event that has been told of another submission would only see it again: after a
      // pause, as nothing is urgent behind FIN.
      this.#retrier.retry("later");
      return;
    }
    // A cancel that came too late for those that wait now: they ask anew.
    const how = outcome === "canceled" ? "again" : outcome;
    if ((how === "again" || how === "later") && this.#retrier.retry(how)) return;
    this.#owner.failed(-result, undefined);
  }
}
