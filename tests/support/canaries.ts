/**
 * Bugs on purpose. Each is planted into the core or under it, and must be caught: what a test suite
 * never catches, it does not test.
 *
 * @module
 */
import { Fifo } from "../../src/base/fifo.ts";
import { BlockList } from "../../src/ring/block_list.ts";
import { Ring } from "../../src/ring/ring.ts";
import { SendCall } from "../../src/net/send_call.ts";
import { ReadBuffer } from "../../src/net/read_buffer.ts";
import { RecvQueue } from "../../src/net/recv_queue.ts";
import { TimingWheel } from "../../src/ring/timing_wheel.ts";
import { ProvidedBuffers } from "../../src/ring/provided_buffers.ts";
import { Slot } from "../../src/buf/slot.ts";
import { FakeRing } from "./fake_ring.ts";

/** Plants the bug; the result takes it out again. */
type Canary = () => () => void;

type Method = (...data: never[]) => unknown;

/** Replaces a method until the result is called. */
function replace<T extends object>(
  prototype: T,
  name: keyof T,
  // deno-lint-ignore no-explicit-any
  make: (original: any) => Method,
): () => void {
  const original = prototype[name];
  prototype[name] = make(original) as T[keyof T];
  return () => prototype[name] = original;
}

export const CANARIES: Readonly<Record<string, Canary>> = {
  /** A short send resumes one byte too late. */
  "drops a byte after a short send": () =>
    replace(SendCall.prototype, "consume", (consume) =>
      function (this: SendCall, count: number) {
        const short = count < this.totalBytes - this.sentBytes;
        const rest = consume.call(this, count);
        const piece = this.count > this.first ? this.firstPiece : null;
        if (short && piece !== null && piece.length > 1) {
          piece.offset++;
          piece.length--;
          this.totalBytes--;
        }
        return rest;
      }),

  /** A short send resumes one byte too early. */
  "repeats a byte after a short send": () =>
    replace(SendCall.prototype, "consume", (consume) =>
      function (this: SendCall, count: number) {
        const rest = consume.call(this, count);
        const piece = this.count > this.first ? this.firstPiece : null;
        if (piece !== null && piece.offset > 0 && this.sentBytes > 0) {
          piece.offset--;
          piece.length++;
          this.sentBytes--;
        }
        return rest;
      }),

  /** An aborted or timed-out send gives its memory back although the kernel has it. */
  "releases a piece in flight": () => {
    const early = (end: Method) =>
      function (this: SendCall, ...data: unknown[]) {
        if (this.flying && this.count > this.first) {
          const { slot } = this.firstPiece;
          slot.home?.put(slot);
        }
        return end.apply(this, data as never[]);
      };
    const restore = replace(SendCall.prototype, "abort", early);
    const restoreToo = replace(SendCall.prototype, "expire", early);
    return () => {
      restore();
      restoreToo();
    };
  },

  /** A cancel is noted but never reaches the kernel. */
  "forgets a cancel": () =>
    replace(
      Ring.prototype,
      "cancel",
      (cancel) =>
        function (this: Ring, operation: Parameters<Ring["cancel"]>[0]) {
          if (operation.state !== 2) return cancel.call(this, operation);
          operation.canceling = true;
          return false;
        },
    ),

  /** Two reads share one buffer. */
  "provides a buffer twice": () =>
    replace(
      ProvidedBuffers.prototype,
      "take",
      (take) =>
        function (this: ProvidedBuffers, id: number) {
          const slot = take.call(this, id);
          this.giveBack(slot);
          return slot;
        },
    ),

  /** The memory of received bytes is given back while the caller holds it. */
  "releases a slot once too often": () => {
    let count = 0;
    return replace(Slot.prototype, "retain", (retain) =>
      function (this: Slot) {
        if (++count % 50 !== 0) retain.call(this);
      });
  },

  /** One slot in a hundred is never given back. */
  "leaks a slot": () => {
    let count = 0;
    return replace(Slot.prototype, "release", (release) =>
      function (this: Slot) {
        if (++count % 100 !== 0) release.call(this);
      });
  },

  /** A block is given back at once, and serves two operations. */
  "hands a block out twice": () =>
    replace(BlockList.prototype, "take", (take) =>
      function (this: BlockList) {
        const block = take.call(this);
        if (block >= 0) this.put(block);
        return block;
      }),

  /** A message that was aborted while it waited stays in the queue. */
  "keeps an aborted call": () => replace(Fifo.prototype, "remove", () => () => false),

  /** A budget that ran out is not noticed. */
  "loses a deadline": () =>
    replace(
      TimingWheel.prototype,
      "add",
      (add) =>
        function (this: TimingWheel, entry: Parameters<TimingWheel["add"]>[0], timeoutMs: number) {
          // The call then waits for a day.
          add.call(this, entry, timeoutMs + 86_400_000);
        },
    ),

  /** Buffered bytes are given out in the wrong order. */
  "swaps ranges of the read buffer": () =>
    replace(
      ReadBuffer.prototype,
      "takeSome",
      (takeSome) =>
        function (this: ReadBuffer, lengthMax: number) {
          if (this.length < 2 || lengthMax < 2) return takeSome.call(this, lengthMax);
          const first = takeSome.call(this, 1);
          first.release();
          return takeSome.call(this, lengthMax - 1);
        },
    ),

  /** The bytes of a receive are counted but lost when nobody waits. */
  "forgets what comes after a timeout": () =>
    replace(
      ReadBuffer.prototype,
      "pushBack",
      (pushBack) =>
        function (this: ReadBuffer, ...data: unknown[]) {
          pushBack.apply(this, data);
          this.clear();
        },
    ),

  /** The end of the stream comes early: what is still queued is not read. */
  "ends a stream early": () => {
    let count = 0;
    return replace(
      RecvQueue.prototype,
      "complete",
      (complete) =>
        function (this: RecvQueue, result: number, flags: number) {
          const early = result > 0 && (flags & 1) === 0 && ++count % 40 === 0;
          return complete.call(this, early ? 0 : result, flags);
        },
    );
  },

  /** The runtime never hears that something happened. */
  "does not ring the bell": () => replace(FakeRing.prototype, "hear", () => () => {}),
};
