/**
 * One ring: stages operations, takes turns, and passes completions to their operations.
 *
 *   submit() -> lane -> stage: prepare() writes a record -> port.turn() -> kernel
 *   complete() <- table.land() <------------------ completion record <------- kernel
 *
 * Order within a turn: cancels, provided buffers, resubmitted operations, as many of the receives
 * that wait for a buffer as there are buffers, fresh operations. Completions are passed on after
 * the kernel has returned, and their consequences go into the next turn. User code never runs
 * inside a turn: operations settle promises, whose reactions run afterwards.
 *
 * The failure of one operation affects no other: an error of `prepare` or `complete` ends only the
 * half of the connection that the operation serves (`OperationOwner.fail`). The rest of the turn
 * continues, with correct records, slots and budgets. Such errors are caught nowhere else.
 *
 * @module
 */
import { queueMicrotask } from "../base/queue_microtask.ts";
import { assert } from "../base/assert.ts";
import { ERRNO } from "../base/errno.ts";
import type { Host } from "../base/host.ts";
import { LIMITS } from "../base/limits.ts";
import { COUNT, type Meter } from "../base/meter.ts";
import { leakTrackerOf } from "../buf/buffer_pool.ts";
import type { LeakTracker } from "../buf/leak_tracker.ts";
import { BlockList } from "./block_list.ts";
import { CancelQueue } from "./cancel_queue.ts";
import { Lane, type LaneQueue } from "./lane.ts";
import { OpWriter } from "./op_writer.ts";
import { Operation, OPERATION_IDLE, OPERATION_READY, type OperationOwner } from "./operation.ts";
import { OperationTable } from "./operation_table.ts";
import { CQE_MORE, HEADER, type RingPort } from "./port.ts";
import { Pump, type PumpedRing } from "./pump.ts";
import { ReadGroups, type ReadMemory } from "./read_groups.ts";
import type { SpinConfig } from "./spinner.ts";

export interface RingOptions {
  port: RingPort;
  host: Host;
  meter: Meter;
  /** Operations in flight, for each lane. */
  inFlightMax: number;
  spin: SpinConfig | null;
  /** The source of read buffers; null when this ring does not receive. */
  reads: ReadMemory | null;
  /** The ring whose pump counts the calls of both; null when this ring's pump counts them. */
  keeper: Ring | null;
}

/** The owner of spare operations, so that they hold no connection. Its methods are never called. */
const NO_OWNER: OperationOwner = Object.freeze({
  cancelFlags: 0,
  prepare: () => false,
  complete: () => {},
  fail: () => {},
  detain: () => {},
});

export class Ring implements PumpedRing {
  readonly port: RingPort;
  readonly host: Host;
  readonly meter: Meter;
  readonly blocks: BlockList;
  readonly sendLane: Lane<Operation>;
  readonly recvLane: Lane<Operation>;
  /** Made at the first access. Unlimited, because a long poll must not delay a receive. */
  #pollLane: Lane<Operation> | null = null;
  /** Null when this ring does not receive. */
  readonly reads: ReadGroups | null;
  readonly pump: Pump;
  /**
   * Milliseconds at the last turn with completions, or at the end of the last sleep. The hot path
   * measures durations with it.
   */
  now: number;
  /**
   * Submissions, cancels, and calls that needed no submission, since the ring was opened: while the
   * number grows, the user's code is running and the pump waits for more.
   */
  activity = 0;
  readonly #table = new OperationTable();
  readonly #writer: OpWriter;
  readonly #cancels: CancelQueue;
  readonly #tracker: LeakTracker | null;
  /** Whether the tracker waits for the next sleep. */
  #isBusy = false;
  readonly #lastHeader = new Float64Array(4);

  constructor(options: RingOptions) {
    const { port, host, meter, inFlightMax, spin, reads, keeper } = options;
    this.port = port;
    this.host = host;
    this.meter = meter;
    this.now = host.now();
    this.blocks = new BlockList(port);
    this.#cancels = new CancelQueue(host, () => this.#activate());
    this.#writer = new OpWriter(port.ops, port.opCapacity);
    this.sendLane = new Lane(inFlightMax);
    this.recvLane = new Lane(inFlightMax);
    this.reads = reads === null ? null : new ReadGroups(port, reads, meter);
    this.#tracker = reads === null ? null : leakTrackerOf(reads.pool);
    // Made last, because it can fail.
    this.pump = new Pump(this, spin, keeper === null ? null : keeper.pump);
  }

  /** The number of operations in flight. */
  get inFlight(): number {
    return this.#table.inFlight;
  }

  /** The lane of operations that wait for an event of a connection and move no bytes. */
  get pollLane(): Lane<Operation> {
    return this.#pollLane ??= new Lane(Infinity);
  }

  /** Queues an operation for the next turn. */
  submit(operation: Operation, queue: LaneQueue = "fresh"): void {
    assert(operation.state === OPERATION_IDLE, "an operation is submitted once at a time");
    operation.state = OPERATION_READY;
    operation.lane.push(operation, queue);
    this.#activate();
  }

  #activate(): void {
    this.activity++;
    // The clock stands still during a sleep. Calls that follow would seem to last as long.
    if (this.pump.asleep) {
      this.now = this.host.now();
      this.#setBusy(true);
    }
    this.pump.schedule();
  }

  /** Tells the tracker when a busy time begins, and when it ends. */
  #setBusy(busy: boolean): void {
    if (busy === this.#isBusy) return;
    this.#isBusy = busy;
    if (busy) this.#tracker?.onBusy();
    else this.#tracker?.onIdle();
  }

  /**
   * Ends an operation early. Returns true when it had not reached the kernel and is idle again.
   * Returns false when it is in flight: a turn follows, with a cancel unless there was one, and
   * `complete` will be called with the result.
   */
  cancel(operation: Operation): boolean {
    if (this.withdraw(operation)) return true;
    if (this.#beginsEnding(operation)) this.#cancels.push(operation);
    return false;
  }

  /**
   * As `cancel`, for an operation that the end of its socket has ended as well: a cancel is
   * submitted only when the operation has not landed after a pause. See {@link CancelQueue}.
   */
  expectEnd(operation: Operation): boolean {
    if (this.withdraw(operation)) return true;
    if (this.#beginsEnding(operation)) this.#cancels.expect(operation);
    return false;
  }

  /** Marks an operation in flight as ending, and takes a turn. False when it was ending before. */
  #beginsEnding(operation: Operation): boolean {
    const begins = !operation.isCanceling;
    operation.isCanceling = true;
    this.#activate();
    return begins;
  }

  /** Takes an operation out of its lane. Returns false when it is in flight, where it stays. */
  withdraw(operation: Operation): boolean {
    if (operation.state === OPERATION_READY) {
      operation.lane.remove(operation);
      operation.state = OPERATION_IDLE;
    }
    return operation.state === OPERATION_IDLE;
  }

  /** Takes an idle operation for `owner`, until `release`. */
  acquire(lane: Lane<Operation>, owner: OperationOwner): Operation {
    const operation = lane.spare.pop();
    if (operation === undefined) return new Operation(lane, owner);
    operation.owner = owner;
    return operation;
  }

  /** Takes back an idle operation. */
  release(operation: Operation): void {
    assert(operation.state === OPERATION_IDLE, "an operation is released after its flight");
    operation.owner = NO_OWNER;
    const { spare } = operation.lane;
    if (spare.length < LIMITS.spareOperationCountMax) spare.push(operation);
    else this.#table.retire(operation);
  }

  get canStage(): boolean {
    return this.sendLane.canStage || this.recvLane.canAdmit || this.#cancels.waits ||
      (this.#pollLane !== null && this.#pollLane.canStage);
  }

  turn(flags: number): number {
    const writer = this.#writer;
    // A wakeup by the doorbell needs no submission.
    this.#setBusy(true);
    writer.clear();
    this.#stage(writer);
    const count = this.port.turn(writer.count, flags);
    assert(count >= 0, `a turn fails only on the wrong thread or after close (${count})`);
    // Without spins, nothing measures the time at a turn that completes nothing.
    if (count > 0 || this.pump.spinner.enabled) this.now = this.host.now();
    if (count > 0) this.meter.batchSize.observe(count);
    const completions = this.port.completions;
    for (let i = 0, at = 0; i < count; i++, at += 4) {
      this.#deliver(completions[at], completions[at + 1], completions[at + 2], completions[at + 3]);
    }
    return count;
  }

  get hasMore(): boolean {
    return this.port.header[HEADER.more] !== 0;
  }

  onSleep(): void {
    this.reads?.stream.interrupt();
    this.#setBusy(false);
  }

  /** Adds the shim's counts since the last call. The shim's words wrap at 2^32. */
  publish(): void {
    const { header } = this.port;
    const counts = this.meter.counts;
    for (let word = 0; word < 4; word++) {
      const total = header[word];
      counts[COUNT.enters + (word < 3 ? word : 4)] += (total - this.#lastHeader[word]) >>> 0;
      this.#lastHeader[word] = total;
    }
  }

  /** Asks the kernel to end all operations in flight. */
  cancelAll(): void {
    this.#table.eachInFlight((operation) => void this.cancel(operation));
  }

  /**
   * Closes the ring. The shim cancels the operations in flight and waits for them, within a limit.
   * Every operation ends here. The memory of an operation that has not landed is never reused.
   */
  close(): void {
    this.publish();
    this.pump.close();
    this.#cancels.close();
    this.#setBusy(false);
    const drained = this.port.close() >= 0;
    this.#table.eachInFlight((operation) => {
      if (!drained) operation.owner.detain();
      this.#deliver(operation.slot, operation.generation, -ERRNO.ECANCELED, 0);
    });
    if (drained) this.reads?.release();
  }

  /**
   * Runs the rest of an owner's `prepare` after the turn. An error of `action` is contained like an
   * error of `prepare`.
   */
  defer(owner: OperationOwner, action: () => void): void {
    queueMicrotask(() => {
      try {
        action();
      } catch (cause) {
        this.contain(owner, cause, -ERRNO.ECANCELED, 0);
      }
    });
  }

  /** Ends the owner's half, listener or dial after an internal error. Never throws. */
  contain(owner: OperationOwner, cause: unknown, result: number, flags: number): void {
    try {
      owner.fail(cause, result, flags);
    } catch (error) {
      // The end failed too. The runtime reports the error as uncaught; the pump and the other
      // connections go on.
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
    // The owner may release the operation before it fails.
    const { owner } = operation;
    try {
      owner.complete(result, flags);
    } catch (cause) {
      this.contain(owner, cause, result, flags);
    }
  }

  #stage(writer: OpWriter): void {
    if (this.#cancels.waits) this.#cancels.stage(writer);
    if (this.reads !== null) this.#stageReads(this.reads, writer);
    this.#stageLane(this.sendLane, writer);
    this.#stageLane(this.recvLane, writer);
    if (this.#pollLane !== null) this.#stageLane(this.#pollLane, writer);
  }

  /** Admits receives that wait for a buffer. All of them wait for a single buffer. */
  #stageReads(reads: ReadGroups, writer: OpWriter): void {
    reads.stage(writer);
    if (this.recvLane.hasBufferQueue) this.recvLane.admit(reads.single.provided);
  }

  #stageLane(lane: Lane<Operation>, writer: OpWriter): void {
    while (lane.canStage && !writer.full) {
      const operation = lane.shift() as Operation;
      this.#table.launch(operation);
      writer.address(operation.slot, operation.generation);
      const recordCount = writer.count;
      let broken: { cause: unknown } | null = null;
      let prepared = false;
      try {
        prepared = operation.owner.prepare(writer);
      } catch (cause) {
        broken = { cause };
        writer.rewind(recordCount);
      }
      if (prepared) lane.inFlight++;
      else this.#table.land(operation.slot, operation.generation);
      if (broken !== null) this.contain(operation.owner, broken.cause, -ERRNO.ECANCELED, 0);
    }
  }
}
