/**
 * The errors of sends and flushes.
 *
 * @module
 */
import { errnoText } from "../../base/errno.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { SendCall } from "./send_call.ts";

function message(call: SendCall, reason: string): string {
  const { totalBytes, sentBytes, peerName } = call;
  return `Cannot send ${totalBytes} bytes to ${peerName}: ${reason} after ${sentBytes} bytes`;
}

/** The kernel's answer: a negative errno, or 0 for a send that took nothing. */
export function sendError(call: SendCall, result: number): NetworkError {
  const reason = result === 0 ? "the kernel took 0 bytes" : errnoText(-result);
  return new NetworkError(message(call, reason), {
    code: "SendFailed",
    operation: "send",
    errno: -result,
    bytesDone: call.sentBytes,
  });
}

/** Something in the library, or in what the caller gave, failed while bytes were on their way. */
export function sendBroken(peer: string, call: SendCall | null, cause: unknown): NetworkError {
  const reason = internalReason(cause);
  const text = call === null ? `Cannot send to ${peer}: ${reason}` : message(call, reason);
  return new NetworkError(text, {
    code: "SendFailed",
    operation: "send",
    bytesDone: call === null ? 0 : call.sentBytes,
    cause,
  });
}

/** The budget ran out. */
export function sendTimeout(call: SendCall): NetworkError {
  return new NetworkError(message(call, `${call.timeoutMs} ms passed`), {
    code: "Timeout",
    operation: "send",
    bytesDone: call.sentBytes,
  });
}

/** The half ended before the call's turn came, or in the middle of it. */
export function sendClosed(call: SendCall, reason: CloseReason): NetworkError {
  return new NetworkError(message(call, reason.happened), {
    code: "Closed",
    operation: "send",
    bytesDone: call.sentBytes,
    cause: reason.failure ?? undefined,
  });
}

/** The call came after the half had ended. */
export function sinkClosed(peer: string, reason: CloseReason | null): NetworkError {
  return new NetworkError(`Cannot send to ${peer}: the sink is closed`, {
    code: "Closed",
    operation: "send",
    cause: reason?.error(peer),
  });
}

/** The half ended, and what the call waited for was dropped. */
export function flushClosed(peer: string, reason: CloseReason): NetworkError {
  return new NetworkError(`Cannot flush to ${peer}: ${reason.happened}`, {
    code: "Closed",
    operation: "flush",
    cause: reason.error(peer),
  });
}

/** The budget ran out; what is queued stays queued. */
export function flushTimeout(peer: string, timeoutMs: number | null): NetworkError {
  return new NetworkError(`Cannot flush to ${peer}: ${timeoutMs} ms passed`, {
    code: "Timeout",
    operation: "flush",
  });
}
