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

/** The error of a completion: a negative errno, or 0 when the kernel took no byte. */
export function sendError(call: SendCall, result: number): NetworkError {
  const reason = result === 0 ? "the kernel took 0 bytes" : errnoText(-result);
  return new NetworkError(message(call, reason), {
    code: "SendFailed",
    operation: "send",
    errno: -result,
    bytesDone: call.sentBytes,
  });
}

/** The error of a failure inside the library, or of the caller's memory, during a send. */
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

/** The error of a send whose budget ran out. */
export function sendTimeout(call: SendCall): NetworkError {
  return new NetworkError(message(call, `${call.timeoutMs} ms passed`), {
    code: "Timeout",
    operation: "send",
    bytesDone: call.sentBytes,
  });
}

/** The error of a send whose half ended before or during it. */
export function sendClosed(call: SendCall, reason: CloseReason): NetworkError {
  return new NetworkError(message(call, reason.happened), {
    code: "Closed",
    operation: "send",
    bytesDone: call.sentBytes,
    cause: reason.failure ?? undefined,
  });
}

/** The error of a call after the half has ended. */
export function sinkClosed(peer: string, reason: CloseReason | null): NetworkError {
  return new NetworkError(`Cannot send to ${peer}: the sink is closed`, {
    code: "Closed",
    operation: "send",
    cause: reason?.error(peer),
  });
}

/** The error of a flush whose half ended and dropped bytes for which it waited. */
export function flushClosed(peer: string, reason: CloseReason): NetworkError {
  return new NetworkError(`Cannot flush to ${peer}: ${reason.happened}`, {
    code: "Closed",
    operation: "flush",
    cause: reason.error(peer),
  });
}

/** The error of a flush whose budget ran out. Queued bytes stay queued. */
export function flushTimeout(peer: string, timeoutMs: number | null): NetworkError {
  return new NetworkError(`Cannot flush to ${peer}: ${timeoutMs} ms passed`, {
    code: "Timeout",
    operation: "flush",
  });
}
