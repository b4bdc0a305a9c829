/**
 * The errors of receives, and the ends of a receiving half that cause them.
 *
 * The first call that meets the end gets "RecvFailed". The half is closed then, and later calls get
 * "Closed", except for calls that find bytes of an incomplete message. A `recvSome` that returns
 * null has met the end.
 *
 * @module
 */
import { unreachable } from "../../base/assert.ts";
import { errnoText } from "../../base/errno.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { RecvCall } from "./recv_call.ts";
import type { UntilCall } from "./until_call.ts";

/** The end of a half. `shown` is true once a call has met it. */
export type RecvEnd =
  | { kind: "eof"; shown: boolean }
  | { kind: "error"; errno: number; shown: boolean }
  | { kind: "broken"; cause: unknown; shown: boolean }
  | { kind: "closed"; reason: CloseReason };

function subject(call: RecvCall, peer: string): string {
  switch (call.kind) {
    case "exact":
      return `Cannot receive ${call.length} bytes from ${peer}`;
    case "some":
      return `Cannot receive from ${peer}`;
    case "wait":
      return `Cannot wait for ${call.length} bytes from ${peer}`;
    case "until":
      return `Cannot receive up to a delimiter from ${peer}`;
    default:
      return unreachable(call.kind);
  }
}

/** Whether bytes that came before this end may not be read any more. */
export function forgets(end: RecvEnd | null): boolean {
  return end !== null && (end.kind === "closed" || end.kind === "broken");
}

/** The error for `call`. `buffered` bytes stay readable. Marks the end as shown. */
export function recvError(call: RecvCall, end: RecvEnd, buffered: number): NetworkError {
  const { operation, peerName } = call;
  if (end.kind === "closed") {
    return new NetworkError(`${subject(call, peerName)}: ${end.reason.happened}`, {
      code: "Closed",
      operation,
      bytesDone: buffered,
      cause: end.reason.error(peerName),
    });
  }
  const endOfStream = end.kind === "eof";
  const told = end.shown && !(endOfStream && buffered > 0);
  end.shown = true;
  return new NetworkError(`${subject(call, peerName)}: ${reasonOf(end)} after ${buffered} bytes`, {
    code: told ? "Closed" : "RecvFailed",
    operation,
    errno: end.kind === "error" ? end.errno : null,
    bytesDone: buffered,
    endOfStream,
    cause: end.kind === "broken" ? end.cause : undefined,
  });
}

function reasonOf(end: Exclude<RecvEnd, { kind: "closed" }>): string {
  switch (end.kind) {
    case "eof":
      return "the peer closed";
    case "error":
      return errnoText(end.errno);
    case "broken":
      return internalReason(end.cause);
    default:
      return unreachable(end);
  }
}

/** The error of a call whose delimiter does not end within the longest result. */
export function tooLong(call: UntilCall, bytesDone: number): NetworkError {
  const { operation, peerName, lengthMax } = call;
  const happened = `no delimiter ends within ${lengthMax} bytes`;
  return new NetworkError(`${subject(call, peerName)}: ${happened}`, {
    code: "TooLong",
    operation,
    bytesDone,
  });
}

/** The error of a call whose budget ran out. */
export function recvTimeout(call: RecvCall, bytesDone: number): NetworkError {
  const what = subject(call, call.peerName);
  return new NetworkError(`${what}: ${call.timeoutMs} ms passed after ${bytesDone} bytes`, {
    code: "Timeout",
    operation: call.operation,
    bytesDone,
  });
}
