/**
 * One ring: stages operations, takes turns, hands completions to their operations.
 *
 *   submit() -> lane -> stage: prepare() writes a record -> port.turn() -> kernel
 *   complete() <- table.land() <------------------ completion record <------- kernel
 *
 * Order within a turn: cancels, provided buffers, resubmitted operations, receives in line for as
 * many buffers as there are, fresh ones. Completions are only handed out after the kernel was left;
 * what they cause goes into the next turn. User code never runs inside: operations settle promises,
 * whose reactions run afterwards.
 *
 * One operation's failure is its own: whatever `prepare` or `complete` throws ends the half that
 * the operation serves (`Operation.fail`) and nothing else. The rest of the turn goes on; records,
 * slots and budgets stay right. This is the only place where such errors are caught.
 *
 * @module
 */
import { assert } from "../base/assert.ts";
import { ERRNO } from "../base/errno.ts";
import type { Host, HostTimer } from "../base/host.ts";
import { LIMITS } from "../base/limits.ts";
import { COUNT, type Meter } from "../base/meter.ts";
import { leakTrackerOf } from "../buf/buffer_pool.ts";
import type { LeakTracker } from "../buf/leak_tracker.ts";
import { BlockList } from "./block_list.ts";
import { Lane, type LanePlace } from "./lane.ts";
import { OpWriter } from "./op_writer.ts";
import { type Operation, OPERATION_FLYING, OPERATION_IDLE, OPERATION_READY } from "./operation.ts";
import { OperationTable } from "./operation_table.ts";
import { CQE_MORE, HEADER, type RingPort } from "./port.ts";
import { Pump } from "./pump.ts";
import { ReadGroups, type ReadMemory } from "./read_groups.ts";
import type { SpinConfig } from "./spinner.ts";

export interface RingOptions {
  port: RingPort;
  host: Host;
  meter: Meter;
  /** Operations in flight, for each lane. */
  inFlightMax: number;
  spin: SpinConfig | null;
  /** Where read buffers come from; null when this ring does not receive. */
  reads: ReadMemory | null;
  /** The ring at whose pump the calls of both are held; null when this ring holds its own. */
  keeper: Ring | null;
}

export class Ring {
  readonly port: RingPort;
  readonly host: Host;
  readonly meter: Meter;
  readonly blocks: BlockList;
  readonly sendLane: Lane;
  readonly recvLane: Lane;
  /** Null when this ring does not receive. */
  readonly reads: ReadGroups | null;
  readonly pump: Pump;
  /** Milliseconds at the last turn: what durations are measured with on the hot path. */
  now: number;
  /**
   * Submissions, cancels, and calls that were served without one, since the ring was opened: while
   * it grows, the user's code is at work and the pump waits for more.
   */
  activity = 0;
  readonly #table = new OperationTable();
  readonly #writer: OpWriter;
  /** Cancels that wait for a turn with room, from `#cancelsStaged` on. */
  readonly #cancels: Operation[] = [];
  #cancelsStaged = 0;
  #cancelTimer: HostTimer | null = null;
  #cancelPauseMs: number = LIMITS.cancelAgainFirstMs;
  readonly #tracker: LeakTracker | null;
  readonly #lastHeader = new Float64Array(4);

  constructor(options: RingOptions) {
    const { port, host, meter, inFlightMax, spin, reads, keeper } = options;
    this.port = port;
    this.host = host;
    this.meter = meter;
    this.now = host.now();
    this.blocks = new BlockList(port);
    this.#writer = new OpWriter(port.ops, port.opCapacity);
    this.sendLane = new Lane(this, inFlightMax);
    this.recvLane = new Lane(this, inFlightMax);
    this.reads = reads === null ? null : new ReadGroups(port, reads);
    this.#tracker = reads === null ? null : leakTrackerOf(reads.pool);
    // The last that can fail.
    this.pump = new Pump(this, spin, keeper === null ? null : keeper.pump);
    this.#tracker?.addIdleReporter();
  }

  /** Operations with the kernel. */
  get flying(): number {
    return this.#table.flying;
  }

  /** Queues an operation for the next turn. */
  submit(operation: Operation, place: LanePlace = "fresh"): void {
    assert(operation.state === OPERATION_IDLE, "an operation is submitted once at a time");
    operation.state = OPERATION_READY;
    operation.lane.push(operation, place);
    this.activity++;
    this.pump.schedule();
  }

  /**
   * Ends an operation early. True: it had not reached the kernel and is idle again. False: it is
   * with the kernel, a cancel is on its way, and `complete` will be called with whatever happened.
   */
  cancel(operation: Operation): boolean {
    if (operation.state === OPERATION_IDLE) return true;
    if (operation.state === OPERATION_READY) {
      operation.lane.remove(operation);
      operation.state = OPERATION_IDLE;
      return true;
    }
    if (operation.canceling) return false;
    operation.canceling = true;
    this.#cancels.push(operation);
    this.activity++;
    this.pump.schedule();
    return false;
  }

  /** Frees the slot of an operation that will not be submitted again. */
  retire(operation: Operation): void {
    this.#table.retire(operation);
  }

  /** Whether a turn would submit anything. */
  get staged(): boolean {
    return this.sendLane.stageable || this.recvLane.admissible || this.#cancelsWait;
  }

  get #cancelsWait(): boolean {
    return this.#cancelsStaged < this.#cancels.length;
  }

  /** Takes one turn. Returns the number of completions; the header says whether more wait. */
  turn(flags: number): number {
    const writer = this.#writer;
    writer.clear();
    this.#stage(writer);
    const count = this.port.turn(writer.count, flags);
    assert(count >= 0, `a turn fails only on the wrong thread or after close (${count})`);
    this.now = this.host.now();
    if (count > 0) this.meter.batchSize.observe(count);
    const completions = this.port.completions;
    for (let i = 0, at = 0; i < count; i++, at += 4) {
      this.#deliver(completions[at], completions[at + 1], completions[at + 2], completions[at + 3]);
    }
    return count;
  }

  /** Whether the last turn left work in the kernel's queues. */
  get more(): boolean {
    return this.port.header[HEADER.more] !== 0;
  }

  /** The pump goes to sleep. */
  settle(): void {
    this.#tracker?.onIdle();
  }

  /** Adds what the shim counted since the last time. Its words wrap at 2^32. */
  publish(): void {
    const { header } = this.port;
    const counts = this.meter.counts;
    for (let word = 0; word < 4; word++) {
      const total = header[word];
      counts[COUNT.enters + (word < 3 ? word : 4)] += (total - this.#lastHeader[word]) >>> 0;
      this.#lastHeader[word] = total;
    }
  }

  /** Asks the kernel to end everything that flies. */
  cancelAll(): void {
    this.#table.eachFlying((operation) => void this.cancel(operation));
  }

  /**
   * Closes the ring. What is in flight is cancelled and awaited in the shim, for a bounded time.
   * Every operation ends here: where the kernel has not handed one back, what it may still touch
   * stays taken for good.
   */
  close(): void {
    this.publish();
    this.pump.close();
    this.#cancelTimer?.cancel();
    this.#tracker?.removeIdleReporter();
    const drained = this.port.close() >= 0;
    this.#table.eachFlying((operation) => {
      if (!drained) operation.detain();
      this.#deliver(operation.slot, operation.generation, -ERRNO.ECANCELED, 0);
    });
    if (drained) this.reads?.release();
  }

  /**
   * Runs what is left of an operation's `prepare` once the turn is over. An error in there is
   * contained as one in `prepare`.
   */
  defer(operation: Operation, action: () => void): void {
    queueMicrotask(() => {
      try {
        action();
      } catch (cause) {
        this.contain(operation, cause, -ERRNO.ECANCELED, 0);
      }
    });
  }

  /** Ends what an operation serves, after an error in it. Never throws. */
  contain(operation: Operation, cause: unknown, result: number, flags: number): void {
    try {
      operation.fail(cause, result, flags);
    } catch (error) {
      // Not even the end worked. The program is told as of any other uncaught error; the pump and
      // the other connections go on.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #deliver(slot: number, generation: number, result: number, flags: number): void {
    const goesOn = (flags & CQE_MORE) !== 0;
    const operation = goesOn
      ? this.#table.find(slot, generation)
      : this.#table.land(slot, generation);
    if (operation === null) return;
    if (!goesOn) operation.lane.inFlight--;
    try {
      operation.complete(result, flags);
    } catch (cause) {
      this.contain(operation, cause, result, flags);
    }
  }

  #stage(writer: OpWriter): void {
    if (this.#cancelsWait) this.#stageCancels(writer);
    if (this.reads !== null) this.#stageReads(this.reads, writer);
    this.#stageLane(this.sendLane, writer);
    this.#stageLane(this.recvLane, writer);
  }

  #stageCancels(writer: OpWriter): void {
    const cancels = this.#cancels;
    for (; this.#cancelsWait && !writer.full; this.#cancelsStaged++) {
      const operation = cancels[this.#cancelsStaged];
      const flies = operation.state === OPERATION_FLYING && operation.canceling;
      if (flies) writer.cancel(operation.slot, operation.generation, operation.cancelFlags);
    }
    // Not cut off at the front each time: what is left may be much more than one turn takes.
    if (!this.#cancelsWait) {
      cancels.length = 0;
      this.#cancelsStaged = 0;
    }
    this.#cancelTimer ??= this.host.setTimer(this.#cancelAgain, this.#cancelPauseMs);
  }

  /** Who stands in line waits for one of the single buffers. */
  #stageReads(reads: ReadGroups, writer: OpWriter): void {
    reads.stage(writer);
    if (this.recvLane.crowded) this.recvLane.admit(reads.single.provided);
  }

  /** Sends the cancels again of what has not come back since. */
  readonly #cancelAgain = (): void => {
    this.#cancelTimer = null;
    // Those that have not had their first turn yet set the timer again when they do.
    if (this.#cancelsWait) return;
    this.#table.eachFlying((operation) => {
      if (operation.canceling) this.#cancels.push(operation);
    });
    if (this.#cancels.length === 0) {
      this.#cancelPauseMs = LIMITS.cancelAgainFirstMs;
      return;
    }
    this.#cancelPauseMs = Math.min(this.#cancelPauseMs * 2, LIMITS.cancelAgainLastMs);
    this.activity++;
    this.pump.schedule();
  };

  #stageLane(lane: Lane, writer: OpWriter): void {
    while (lane.stageable && !writer.full) {
      const operation = lane.shift() as Operation;
      this.#table.launch(operation);
      writer.address(operation.slot, operation.generation);
      const recordCount = writer.count;
      let broken: { cause: unknown } | null = null;
      let prepared = false;
      try {
        prepared = operation.prepare(writer);
      } catch (cause) {
        broken = { cause };
        writer.rewind(recordCount);
      }
      if (prepared) lane.inFlight++;
      else this.#table.land(operation.slot, operation.generation);
      if (broken !== null) this.contain(operation, broken.cause, -ERRNO.ECANCELED, 0);
    }
  }
}
