/**
 * How sends end that do not succeed. A call of which the kernel has bytes waits for its answer,
 * which says how many it took.
 *
 * @module
 */
import type { Fifo } from "../../base/fifo.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { SendCall } from "./send_call.ts";
import { sendClosed, sendTimeout } from "./send_error.ts";

/** Why a call ends whose bytes are with the kernel. */
export type SendEnding = { kind: "timeout" } | { kind: "abort"; reason: unknown };

/** Whether one of the first `count` calls from `first` on ends, or has been told that it does. */
export function anyEnding(first: SendCall | null, count: number): boolean {
  let call = first;
  for (let i = 0; i < count && call !== null; i++, call = call.next) {
    if (call.ending !== null || call.settled) return true;
  }
  return false;
}

/** What the call is told. */
export function endingError(call: SendCall, ending: SendEnding): unknown {
  return ending.kind === "timeout" ? sendTimeout(call) : ending.reason;
}

/** The half has ended: calls of which the kernel has nothing are told now, and stay queued. */
export function failWaiting(calls: Fifo<SendCall>, reason: CloseReason): void {
  for (let call = calls.head; call !== null; call = call.next) {
    if (!call.settled && !call.flying) call.fail(sendClosed(call, reason));
  }
}

/** The half has ended and the kernel has nothing of it: empties the queue. */
export function failAll(calls: Fifo<SendCall>, reason: CloseReason): void {
  for (let call = calls.shift(); call !== null; call = calls.shift()) {
    call.dropPieces();
    if (!call.settled) call.fail(sendClosed(call, reason));
  }
}
