/**
 * Where the bytes of one connection come from when they go through read buffers.
 *
 *   single: one receive, one buffer of `readBufferSize`, asked for when a call waits
 *   watch:  one receive that completes many times, small buffers, for connections whose
 *           messages are small and awaited one after the other
 *
 * A connection begins with single receives. After a row of small, awaited messages it watches; it
 * goes back when a message fills a small buffer, when bytes pile up, or when buffers run out.
 * Neither holds a buffer while the connection is idle. Unix sockets never watch: kernels before
 * 2026 can miss the end of a stream there.
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";
import type { Slot } from "../buf/slot.ts";
import type { OpWriter } from "../ring/op_writer.ts";
import { CQE_BUFFER, CQE_BUFFER_SHIFT } from "../ring/port.ts";
import type { ProvidedBuffers } from "../ring/provided_buffers.ts";

export class ReadSource {
  readonly #single: ProvidedBuffers;
  readonly #watch: ProvidedBuffers | null;
  /** Where the flight's buffers come from; null when it needs none. */
  #current: ProvidedBuffers | null = null;
  /** Small messages in a row that a call waited for. */
  #streak = 0;
  /** What the buffers' `takenCount` was when a flight last found none. */
  #takenBefore = -1;

  /** `watch` is null where receives complete once. */
  constructor(single: ProvidedBuffers, watch: ProvidedBuffers | null) {
    this.#single = single;
    this.#watch = watch;
  }

  /** The next flight, or the one that is under way, uses a read buffer. */
  get wanted(): boolean {
    return this.#current !== null;
  }

  get watching(): boolean {
    return this.#current !== null && this.#current === this.#watch;
  }

  /**
   * A flight found no buffer; the next one does not watch. True: for want of buffers, as none is
   * with the kernel or others took some since the last time, which is no failure however often it
   * happens. False: for no reason. Linux 6.1 tells of failures before it tells who took the
   * buffers, so one time proves nothing.
   */
  contended(): boolean {
    const current = this.#current;
    if (current === null) return false;
    this.restart();
    const before = this.#takenBefore;
    this.#takenBefore = current.takenCount;
    return current.provided === 0 || current.takenCount !== before;
  }

  /** The next flight takes a buffer; `once` when it must not bring more than it is asked for. */
  want(once: boolean): void {
    const watch = !once && this.#watch !== null && this.#streak >= LIMITS.watchAfterCount;
    this.#current = watch ? this.#watch as ProvidedBuffers : this.#single;
    this.#current.wanted++;
  }

  /** The flight is over, or will not be. */
  unwant(): void {
    if (this.#current === null) return;
    this.#current.wanted--;
    this.#current = null;
  }

  write(writer: OpWriter, fd: number, length: number, flags: number): void {
    if (this.watching) writer.recvWatch(fd, flags);
    else writer.recvSelect(fd, length, flags);
  }

  /** The buffer that a completion brought, or null. */
  take(flags: number): Slot | null {
    if ((flags & CQE_BUFFER) === 0 || this.#current === null) return null;
    return this.#current.take(flags >>> CQE_BUFFER_SHIFT);
  }

  /** Whether the buffer may go to the user. */
  mayLend(slot: Slot): boolean {
    return this.#groupOf(slot).mayLend(slot);
  }

  giveBack(slot: Slot): void {
    this.#groupOf(slot).giveBack(slot);
  }

  /** `length` bytes came, and a call did or did not wait for them. */
  note(length: number, awaited: boolean): void {
    if (awaited && length < LIMITS.watchBufferBytes) this.#streak++;
    else this.#streak = 0;
  }

  /** Back to single receives, until the next row of small messages. */
  restart(): void {
    this.#streak = 0;
  }

  #groupOf(slot: Slot): ProvidedBuffers {
    const watch = this.#watch;
    return watch !== null && watch.serves(slot) ? watch : this.#single;
  }
}
