/**
 * Deadlines: a hashed wheel with one coarse timer, because a timer for each call costs 1.4 us.
 *
 *   slot = ceil(deadline / tick) mod SLOT_COUNT     4,096 x 5 ms = 20.48 s for one revolution
 *
 * Entries are linked through themselves: adding and removing are O(1) and allocate nothing. A
 * deadline beyond one revolution stays in the last slot and is placed again when the wheel reaches
 * that slot.
 *
 * Invariants
 * - An entry never expires early, and at most about one tick late when the event loop is free.
 * - Entries of one slot expire in the order of their deadlines, and those with the same deadline in
 *   the order in which they were added. So calls with the same budget end in the order in which
 *   they began.
 * - The timer is set only while entries exist, for the next occupied slot, which a bitmap finds. It
 *   may fire once more after the last entry was removed.
 * - The removal of an entry leaves the timer as it is: an early timer finds an empty slot and is
 *   set again.
 *
 * @module
 */
import type { Host, HostTimer } from "../base/host.ts";
import { LIMITS } from "../base/limits.ts";

const SLOT_COUNT = 4_096;
const TICK_MS = LIMITS.deadlineTickMs;

/** An entry with a deadline. It is in the wheel exactly while `deadlineTick` is not negative. */
export interface Deadline {
  deadlineNext: Deadline | null;
  deadlinePrevious: Deadline | null;
  deadlineMs: number;
  deadlineTick: number;
  expire(): void;
}

function byDeadline(a: Deadline, b: Deadline): number {
  return a.deadlineMs - b.deadlineMs;
}

export class TimingWheel {
  readonly #host: Host;
  readonly #slots: (Deadline | null)[] = new Array(SLOT_COUNT).fill(null);
  readonly #occupied = new Uint32Array(SLOT_COUNT / 32);
  #count = 0;
  /** All entries up to this tick have expired. */
  #tick: number;
  #timer: HostTimer | null = null;
  #timerTick = 0;
  #closed = false;

  constructor(host: Host) {
    this.#host = host;
    this.#tick = Math.floor(host.now() / TICK_MS);
  }

  /** The number of waiting entries. */
  get count(): number {
    return this.#count;
  }

  add(entry: Deadline, timeoutMs: number): void {
    if (this.#closed) return; // The call is about to be refused.
    const now = this.#host.now();
    if (this.#count === 0) this.#tick = Math.floor(now / TICK_MS);
    entry.deadlineMs = now + timeoutMs;
    this.#count++;
    this.#place(entry);
    if (this.#timer === null || entry.deadlineTick < this.#timerTick) {
      this.#setTimer(entry.deadlineTick);
    }
  }

  /** Removes an entry. Has no effect when the entry is not in the wheel. */
  remove(entry: Deadline): void {
    if (entry.deadlineTick < 0) return;
    this.#count--;
    this.#unlink(entry);
  }

  /** Drops the timer and all entries, for good. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
    for (let i = 0; i < SLOT_COUNT; i++) {
      for (let entry = this.#slots[i]; entry !== null; entry = this.#slots[i]) this.remove(entry);
    }
  }

  #place(entry: Deadline): void {
    const wanted = Math.ceil(entry.deadlineMs / TICK_MS);
    const tick = Math.min(Math.max(wanted, this.#tick + 1), this.#tick + SLOT_COUNT - 1);
    const index = tick % SLOT_COUNT;
    const head = this.#slots[index];
    entry.deadlineTick = tick;
    entry.deadlinePrevious = null;
    entry.deadlineNext = head;
    if (head !== null) head.deadlinePrevious = entry;
    this.#slots[index] = entry;
    this.#occupied[index >>> 5] |= 1 << (index & 31);
  }

  #unlink(entry: Deadline): void {
    const index = entry.deadlineTick % SLOT_COUNT;
    const { deadlineNext: next, deadlinePrevious: previous } = entry;
    if (previous === null) this.#slots[index] = next;
    else previous.deadlineNext = next;
    if (next !== null) next.deadlinePrevious = previous;
    if (this.#slots[index] === null) this.#occupied[index >>> 5] &= ~(1 << (index & 31));
    entry.deadlineNext = entry.deadlinePrevious = null;
    entry.deadlineTick = -1;
  }

  #setTimer(tick: number): void {
    this.#timer?.cancel();
    this.#timerTick = tick;
    // The runtimes have no shorter delay, and the pump alone asks for none.
    const delayMs = Math.max(tick * TICK_MS - this.#host.now(), 1);
    this.#timer = this.#host.setTimer(() => this.#advance(), Math.ceil(delayMs));
  }

  #advance(): void {
    this.#timer = null;
    const nowTick = Math.floor(this.#host.now() / TICK_MS);
    // At most one revolution: every slot is visited once, however long the event loop was blocked.
    const from = Math.max(this.#tick + 1, nowTick - SLOT_COUNT + 1);
    for (let tick = from; tick <= nowTick && this.#count > 0; tick++) {
      this.#expireSlot(tick, nowTick);
    }
    this.#tick = Math.max(this.#tick, nowTick);
    const next = this.#nextOccupied();
    if (next >= 0 && (this.#timer === null || next < this.#timerTick)) this.#setTimer(next);
  }

  #expireSlot(tick: number, nowTick: number): void {
    let entry = this.#slots[tick % SLOT_COUNT];
    if (entry === null) return;
    this.#tick = Math.max(this.#tick, nowTick);
    const due: Deadline[] = [];
    for (; entry !== null; entry = entry.deadlineNext) due.push(entry);
    // The last added entry is at the head. An entry that was placed again may come behind later
    // ones.
    due.reverse().sort(byDeadline);
    for (const item of due) {
      if (item.deadlineTick < 0) continue; // Removed by the expiry of an earlier entry.
      this.#unlink(item);
      if (Math.ceil(item.deadlineMs / TICK_MS) > nowTick) {
        this.#place(item);
      } else {
        this.#count--;
        item.expire();
      }
    }
  }

  #nextOccupied(): number {
    if (this.#count === 0) return -1;
    for (let tick = this.#tick + 1; tick < this.#tick + SLOT_COUNT; tick++) {
      const index = tick % SLOT_COUNT;
      const word = this.#occupied[index >>> 5];
      if (word === 0) {
        tick += 31 - (index & 31);
        continue;
      }
      if ((word >>> (index & 31)) & 1) return tick;
    }
    return -1;
  }
}
