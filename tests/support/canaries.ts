/**
 * Deliberate bugs. Each is planted into the core or under it, and must be caught, because a test
 * suite does not test a rule whose violation it never catches.
 *
 * @module
 */
import { Fifo } from "../../src/base/fifo.ts";
import { BlockList } from "../../src/ring/block_list.ts";
import { Pump } from "../../src/ring/pump.ts";
import { Ring } from "../../src/ring/ring.ts";
import { FlushLine } from "../../src/net/send/flush_line.ts";
import { SendCall } from "../../src/net/send/send_call.ts";
import { ReadBuffer } from "../../src/net/recv/read_buffer.ts";
import { RecvHalf } from "../../src/net/recv/recv_half.ts";
import { TimingWheel } from "../../src/ring/timing_wheel.ts";
import { ProvidedBuffers } from "../../src/ring/provided_buffers.ts";
import { Slot } from "../../src/buf/slot.ts";
import { ERRNO } from "../../src/base/errno.ts";
import { LoopReference } from "../../src/net/call/loop_reference.ts";
import { Socket } from "../../src/net/socket/socket.ts";
import type { SocketDirection } from "../../src/net/socket/socket_half.ts";
import { type Provided, ReadSource, type ReadState } from "../../src/ring/read_source.ts";
import { OpWriter } from "../../src/ring/op_writer.ts";
import type { Operation, OperationOwner } from "../../src/ring/operation.ts";
import { OPERATION_IN_FLIGHT } from "../../src/ring/operation.ts";
import { OperationTable } from "../../src/ring/operation_table.ts";
import { CQE_BUFFER, CQE_MORE } from "../../src/ring/port.ts";
import { FakeRing } from "./fake_ring.ts";

/** Plants the bug. The returned function removes it again. */
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

type Complete = RecvHalf["complete"];

/** Replaces the handling of completions in a receiving half. */
function replaceComplete(
  make: (complete: Complete) => (this: RecvHalf, result: number, flags: number) => void,
): () => void {
  return replace(RecvHalf.prototype, "complete", make);
}

/** Bugs where one receive completes many times. */
const MULTISHOT_CANARIES: Readonly<Record<string, Canary>> = {
  /** A buffer whose bytes were copied out circulates twice. */
  "gives a read buffer back twice": () =>
    replace(
      ProvidedBuffers.prototype,
      "giveBack",
      (giveBack) =>
        function (this: ProvidedBuffers, slot: Slot) {
          giveBack.call(this, slot);
          if (slot.references === 1) giveBack.call(this, slot);
        },
    ),

  /** One completion in twenty is overlooked, with its buffer. */
  "drops a completion of a multishot receive": () => {
    let count = 0;
    return replaceComplete((complete) =>
      function (result, flags) {
        const dropped = (flags & CQE_MORE) !== 0 && ++count % 20 === 0;
        if (!dropped) complete.call(this, result, flags);
      }
    );
  },

  /** One completion in ten is held back until the next. */
  "takes the completions of a multishot receive in the wrong order": () => {
    let count = 0;
    const held = new WeakMap<RecvHalf, number[]>();
    return replaceComplete((complete) =>
      function (result, flags) {
        const before = held.get(this);
        if (before === undefined && (flags & CQE_MORE) !== 0 && ++count % 10 === 0) {
          held.set(this, [result, flags]);
          return;
        }
        held.delete(this);
        complete.call(this, result, flags);
        if (before !== undefined) complete.call(this, before[0], before[1]);
      }
    );
  },

  /** The flag for further completions is ignored. */
  "does not notice that a multishot receive has ended": () => {
    const watches = new Set<string>();
    let address = "";
    const restore = [
      replace(
        OpWriter.prototype,
        "address",
        (set) =>
          function (this: OpWriter, slot: number, generation: number) {
            address = `${slot}.${generation}`;
            set.call(this, slot, generation);
          },
      ),
      replace(
        OpWriter.prototype,
        "recvMultishot",
        (recvMultishot) =>
          function (this: OpWriter, fd: number, flags: number) {
            watches.add(address);
            recvMultishot.call(this, fd, flags);
          },
      ),
      replace(
        OperationTable.prototype,
        "land",
        (land) =>
          function (this: OperationTable, slot: number, generation: number) {
            const operation: Operation | null = land.call(this, slot, generation);
            if (operation !== null && watches.has(`${slot}.${generation >>> 0}`)) {
              operation.state = OPERATION_IN_FLIGHT;
            }
            return operation;
          },
      ),
    ];
    return () => restore.reverse().forEach((one) => one());
  },

  /** Bytes that come between a cancel and the completion are dropped. */
  "loses what a cancelled receive still brings": () =>
    replaceComplete((complete) =>
      function (result, flags) {
        const lost = (this as unknown as { isCanceling: boolean }).isCanceling && result > 0 &&
          (flags & CQE_BUFFER) !== 0;
        complete.call(this, lost ? -ERRNO.ECANCELED : result, flags);
      }
    ),

  /** A closed half keeps bytes that its receive still brings. */
  "buffers bytes after close": () => replace(ReadBuffer.prototype, "clear", () => () => {}),

  /** A lack of read buffers counts as the end of the stream. */
  "ends a stream when read buffers run out": () =>
    replaceComplete((complete) =>
      function (result, flags) {
        complete.call(this, result === -ERRNO.ENOBUFS ? 0 : result, flags);
      }
    ),

  /** One receive in thirty goes on to count as one that wants a buffer. */
  "forgets that a receive has ended": () => {
    let count = 0;
    return replace(
      ReadSource.prototype,
      "withdraw",
      (withdraw) =>
        function (this: ReadSource, provided: Provided) {
          const forgotten = provided === "multishot" && ++count % 30 === 0;
          if (!forgotten) withdraw.call(this, provided);
        },
    );
  },

  /** A descriptor is closed while a receive is with the kernel. */
  "closes a descriptor under a receive": () =>
    replace(
      Socket.prototype,
      "attach",
      (attach) =>
        function (this: Socket, half: SocketDirection, direction: "sending" | "receiving") {
          if (direction === "sending") attach.call(this, half, direction);
        },
    ),
};

/** Bugs where an operation breaks, or where lengths and memory are invalid for the kernel. */
const BREAKING_CANARIES: Readonly<Record<string, Canary>> = {
  /** An error that an operation throws is not caught. */
  "lets one operation's error end the turn": () =>
    replace(
      Ring.prototype,
      "contain",
      () => (_owner: OperationOwner, cause: unknown) => {
        throw cause;
      },
    ),

  /** The buffer of a completion has no owner when the receive breaks. */
  "loses the buffer of a receive that breaks": () =>
    replace(ReadSource.prototype, "reclaim", () => () => {}),

  /** The calls of a half that broke wait for ever. */
  "leaves the calls of a broken half pending": () =>
    replace(RecvHalf.prototype, "fail", () => () => {}),

  /** The memory of a buffer that is sent is taken to be there. */
  "does not notice that memory is gone": () => {
    const gone = Object.getOwnPropertyDescriptor(Slot.prototype, "gone") as PropertyDescriptor;
    Object.defineProperty(Slot.prototype, "gone", { ...gone, get: () => false });
    return () => void Object.defineProperty(Slot.prototype, "gone", gone);
  },

  /** A large receive asks for as many bytes as its call takes. */
  "asks for more bytes than the kernel takes": () =>
    replace(
      ReadSource.prototype,
      "write",
      (write) =>
        function (
          this: ReadSource,
          writer: OpWriter,
          provided: Provided,
          fd: number,
          length: number,
          lengthMax: number,
          state: ReadState,
        ) {
          const recvSelect = writer.recvSelect;
          writer.recvSelect = (fd, group, wanted, flags) => {
            const asked = group === 2 ? Math.max(length, lengthMax) : wanted;
            recvSelect.call(writer, fd, group, asked, flags);
          };
          write.call(this, writer, provided, fd, length, lengthMax, state);
          writer.recvSelect = recvSelect;
        },
    ),
};

export const CANARIES: Readonly<Record<string, Canary>> = {
  ...MULTISHOT_CANARIES,
  ...BREAKING_CANARIES,

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
        if (this.isInFlight && this.count > this.first) {
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
          operation.isCanceling = true;
          return false;
        },
    ),

  /** Two reads share one buffer. */
  "provides a buffer twice": () =>
    replace(
      ProvidedBuffers.prototype,
      "take",
      (take) =>
        function (this: ProvidedBuffers, id: number, length: number) {
          const slot = take.call(this, id, length);
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

  /** Sends that are made after a flush keep it waiting. */
  "waits for an empty queue in a flush": () =>
    replace(
      FlushLine.prototype,
      "advance",
      (advance) =>
        function (this: FlushLine, first: SendCall | null) {
          if (first === null) advance.call(this, null);
        },
    ),

  /** The first bytes that the kernel takes settle every flush. */
  "does not wait for the bytes before a flush": () =>
    replace(FlushLine.prototype, "advance", (advance) =>
      function (this: FlushLine) {
        advance.call(this, null);
      }),

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

  /** The bytes of a receive are counted but lost when no call waits. */
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

  /** The end of the stream comes early: queued bytes are not read. */
  "ends a stream early": () => {
    let count = 0;
    return replace(
      RecvHalf.prototype,
      "complete",
      (complete) =>
        function (this: RecvHalf, result: number, flags: number) {
          const early = result > 0 && (flags & 1) === 0 && ++count % 40 === 0;
          return complete.call(this, early ? 0 : result, flags);
        },
    );
  },

  /** The process is kept alive by one call in fifty that has ended. */
  "keeps the process alive": () => {
    let count = 0;
    return replace(
      LoopReference.prototype,
      "removeCall",
      (removeCall) =>
        function (this: LoopReference) {
          if (++count % 50 !== 0) removeCall.call(this);
        },
    );
  },

  /** With two rings, calls are held at one pump, and the other goes on as if none were pending. */
  "lets the process end between two turns of a send": () => {
    const holds = new WeakMap<Pump, number>();
    const count = (pump: Pump, change: number) => holds.set(pump, (holds.get(pump) ?? 0) + change);
    const held = Object.getOwnPropertyDescriptor(
      Pump.prototype,
      "isReferenced",
    ) as PropertyDescriptor;
    Object.defineProperty(Pump.prototype, "isReferenced", {
      ...held,
      get(this: Pump) {
        return (holds.get(this) ?? 0) > 0;
      },
    });
    const restore = [
      replace(Pump.prototype, "addReference", (hold) =>
        function (this: Pump) {
          count(this, 1);
          hold.call(this);
        }),
      replace(Pump.prototype, "removeReference", (unhold) =>
        function (this: Pump) {
          count(this, -1);
          unhold.call(this);
        }),
    ];
    return () => {
      Object.defineProperty(Pump.prototype, "isReferenced", held);
      restore.forEach((one) => one());
    };
  },

  /** The clock of deadlines goes on after the network is closed. */
  "leaves a timer behind": () => replace(TimingWheel.prototype, "close", () => () => {}),

  /** The runtime never gets a wakeup. */
  "does not ring the doorbell": () => replace(FakeRing.prototype, "hear", () => () => {}),
};
