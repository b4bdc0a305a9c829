/**
 * The one error class. Match on `code`, which is stable; the message is for people.
 *
 * @module
 */
import { errnoName } from "./errno.ts";

/** The closed set of codes. docs/ERRORS.md has a heading for each. */
export type NetworkErrorCode =
  | "BindFailed"
  | "ConnectionFailed"
  | "AcceptFailed"
  | "SendFailed"
  | "RecvFailed"
  | "Timeout"
  | "Closed"
  | "Unsupported"
  | "PoolExhausted"
  | "PoolOversized";

/** The call that failed. */
export type OperationName =
  | "start"
  | "bind"
  | "dial"
  | "accept"
  | "send"
  | "flush"
  | "recv"
  | "recvSome"
  | "option"
  | "alloc"
  | "close";

export interface NetworkErrorDetails {
  code: NetworkErrorCode;
  operation: OperationName;
  /** Positive errno of the kernel, when there is one. */
  errno?: number | null;
  /** Bytes that the kernel took or gave before the failure. */
  bytesDone?: number;
  /** The peer closed before the wanted bytes came. */
  endOfStream?: boolean;
  cause?: unknown;
}

/** Every failure of this library that is not bad input (TypeError, RangeError) or an abort. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  /** What kind of failure; stable across versions. */
  readonly code: NetworkErrorCode;
  /** The name of the kernel's errno, such as "ECONNREFUSED", or null. */
  readonly errno: string | null;
  readonly operation: OperationName;
  /** send: bytes that the kernel took. recv: bytes that had arrived; they stay buffered. */
  readonly bytesDone: number;
  /** True when the peer closed its half before the wanted bytes came. */
  readonly endOfStream: boolean;

  constructor(message: string, details: NetworkErrorDetails) {
    // Always there, as the other fields are, but not enumerable: as Error's own.
    super(message, { cause: details.cause });
    this.code = details.code;
    this.errno = details.errno ? errnoName(details.errno) : null;
    this.operation = details.operation;
    this.bytesDone = details.bytesDone ?? 0;
    this.endOfStream = details.endOfStream ?? false;
  }
}
