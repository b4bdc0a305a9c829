/**
 * The one error class. Match on `code`, which is stable; the message is for people.
 *
 * @module
 */
import { errnoName } from "./errno.ts";
import { intrinsics } from "./intrinsics.ts";

/** The closed set of values of {@link NetworkError.code}. docs/ERRORS.md has a heading for each. */
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

/** The closed set of values of {@link NetworkError.operation}: the call that failed. */
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
  | "serve"
  | "copy"
  | "decode"
  | "readProxyHeader"
  | "alloc"
  | "close";

/** The data of a {@link NetworkError}, for a program that makes one itself. */
export interface NetworkErrorDetails {
  /** The kind of the failure. */
  code: NetworkErrorCode;
  /** The call that failed. */
  operation: OperationName;
  /**
   * The positive errno of the kernel, when there is one.
   * @default {null}
   */
  errno?: number | null;
  /**
   * Bytes that the kernel took or delivered before the failure.
   * @default {0}
   */
  bytesDone?: number;
  /**
   * Whether the peer closed before all bytes of the call came.
   * @default {false}
   */
  endOfStream?: boolean;
  /**
   * The error that led to this one.
   * @default {undefined}
   */
  cause?: unknown;
  /**
   * The failures that led to this one: those of each address of a dial.
   * @default {undefined}
   */
  errors?: readonly NetworkError[];
}

const NO_ERRORS: readonly NetworkError[] = Object.freeze([]);

/** The message of a thrown value, which may not be an error, and whose getters may throw. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "a value without a message was thrown";
  }
}

/** Whether a thrown value is an error of this library with this code. */
export function hasCode(thrown: unknown, code: NetworkErrorCode): thrown is NetworkError {
  return thrown instanceof NetworkError && thrown.code === code;
}

/** An error inside the library, in the words of the error that a call gets. */
export function internalReason(cause: unknown): string {
  return `an internal error (${messageOf(cause)})`;
}

/**
 * The error of every failure that is neither bad input (TypeError, RangeError) nor an abort. Match
 * on `code`, which is stable. The message is for people.
 *
 * @example
 * ```ts
 * import { Network, NetworkError } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * try {
 *   await network.dial("127.0.0.1:1");
 * } catch (error) {
 *   if (!(error instanceof NetworkError)) throw error;
 *   console.log(error.code, error.errno); // ConnectionFailed ECONNREFUSED
 * }
 * ```
 */
export class NetworkError extends Error {
  /** Always `"NetworkError"`. */
  override readonly name: "NetworkError" = "NetworkError";
  /** The kind of the failure. Stable across versions. */
  readonly code: NetworkErrorCode;
  /** The name of the kernel's errno, such as "ECONNREFUSED", or null. */
  readonly errno: string | null;
  /** The call that failed. */
  readonly operation: OperationName;
  /**
   * For a send, the bytes that the kernel took. For a receive, the bytes that had arrived, which
   * stay buffered.
   */
  readonly bytesDone: number;
  /** True when the peer closed its half before all bytes of the call came. */
  readonly endOfStream: boolean;
  /** Private: printing a single failure would show an empty list. */
  readonly #errors: readonly NetworkError[];

  /**
   * Makes an error, for example in a program's own `Connection`.
   *
   * @param message The action, its subject, and the failure.
   * @param details The data of the error.
   */
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
    const errors = intrinsics.optionOf(details, "errors") as readonly NetworkError[] | undefined;
    this.#errors = errors ?? NO_ERRORS;
  }

  /** Of a failed dial: one error for each address, in the order of the attempts. Else empty. */
  get errors(): readonly NetworkError[] {
    return this.#errors;
  }
}
