/**
 * What a send that failed is told.
 *
 * @module
 */
import { errnoText } from "../base/errno.ts";
import { NetworkError } from "../base/network_error.ts";
import type { SendCall } from "./send_call.ts";

/** The kernel's answer: a negative errno, or 0 for a send that took nothing. */
export function sendError(call: SendCall, result: number): NetworkError {
  const reason = result === 0 ? "the kernel took 0 bytes" : errnoText(-result);
  return new NetworkError(
    `Cannot send ${call.totalBytes} bytes: ${reason} after ${call.sentBytes} bytes`,
    { code: "SendFailed", operation: "send", errno: -result, bytesDone: call.sentBytes },
  );
}

/** The budget ran out. */
export function sendTimeout(call: SendCall): NetworkError {
  const { totalBytes, sentBytes, timeoutMs } = call;
  return new NetworkError(
    `Cannot send ${totalBytes} bytes: ${timeoutMs} ms passed after ${sentBytes} bytes`,
    { code: "Timeout", operation: "send", bytesDone: sentBytes },
  );
}

/** What ends a call that is not at fault: a reason to close, or the error of an earlier call. */
export interface Why {
  readonly message: string;
  readonly cause?: unknown;
}

/** The half ended before the call's turn came, or in the middle of it. */
export function sendClosed(call: SendCall, why: Why): NetworkError {
  return new NetworkError(why.message, {
    code: "Closed",
    operation: "send",
    bytesDone: call.sentBytes,
    cause: why.cause,
  });
}

/** The call came after the half had ended. */
export function sinkClosed(operation: "send" | "flush", cause: NetworkError | null): NetworkError {
  return new NetworkError(`Cannot ${operation}: the sink is closed`, {
    code: "Closed",
    operation,
    cause: cause ?? undefined,
  });
}
