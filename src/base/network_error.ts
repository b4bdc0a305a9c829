/**
 * The one error class. Match on `code`, which is stable; the message is for people.
 *
 * @module
 */
import { errnoName } from "./errno.ts";
import { intrinsics } from "./intrinsics.ts";

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
  | "PoolOversized"
  | "TooLong";

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
  | "recvUntil"
  | "wait"
  | "peerFinished"
  | "option"
  | "adopt"
  | "peerFinished"
  | "serve"
  | "copy"
  | "decode"
  | "readProxyHeader"
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
  /** The failures that led to this one: those of each address of a dial. */
  errors?: readonly NetworkError[];
}

const NO_ERRORS: readonly NetworkError[] = Object.freeze([]);

/** The message of a thrown value, which may be no error, and whose getters may throw. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "something that has no message was thrown";
  }
}

/** An error inside the library, in the words of the error that a call gets. */
export function internalReason(cause: unknown): string {
  return `an internal error (${messageOf(cause)})`;
}

/** Every failure of this library that is not bad input (TypeError, RangeError) or an abort. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  /** The kind of the failure; stable across versions. */
  readonly code: NetworkErrorCode;
  /** The name of the kernel's errno, such as "ECONNREFUSED", or null. */
  readonly errno: string | null;
  readonly operation: OperationName;
  /** send: bytes that the kernel took. recv: bytes that had arrived; they stay buffered. */
  readonly bytesDone: number;
  /** True when the peer closed its half before the wanted bytes came. */
  readonly endOfStream: boolean;
  /** Private: printing a single failure would show an empty list. */
  readonly #errors: readonly NetworkError[];

  constructor(message: string, details: NetworkErrorDetails) {
    // `cause` is always set, as the other fields are, but not enumerable, as in Error itself.
    super(message, { cause: intrinsics.optionOf(details, "cause") });
    this.code = details.code;
    const errno = intrinsics.optionOf(details, "errno") as number | null | undefined;
    this.errno = errno ? errnoName(errno) : null;
    this.operation = details.operation;
    this.bytesDone = (intrinsics.optionOf(details, "bytesDone") as number | undefined) ?? 0;
    this.endOfStream = (intrinsics.optionOf(details, "endOfStream") as boolean | undefined) ??
      false;
    this.#errors = details.errors ?? NO_ERRORS;
  }

  /** Of a failed dial: one error for each address, in the order of the attempts. Else empty. */
  get errors(): readonly NetworkError[] {
    return this.#errors;
  }
}
