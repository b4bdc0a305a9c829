/**
 * One budget and one signal for a function that makes several calls. Each call gets the rest of the
 * budget.
 *
 * @module
 */
import { nowMs } from "../base/now_ms.ts";
import { hasCode, NetworkError, type OperationName } from "../base/network_error.ts";
import { type CallOptions, checkTimeout, readCallOptions } from "../net/call/call_options.ts";
import { socketOf, type Stream } from "../net/recv/stream.ts";

/** The peer of a stream, for messages. The stream of a program has no known peer. */
export function peerOf(stream: Stream): string {
  return socketOf(stream)?.peerName ?? "the peer";
}

export class CallBudget {
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number | null;
  readonly #endMs: number | null;
  /** Options without a deadline, which never change. */
  readonly #fixed: CallOptions | undefined;

  /**
   * Reads the options once. `fallbackMs` is the budget where the options name none. Throws
   * TypeError or RangeError for wrong options, and the signal's reason when the signal is already
   * aborted, after a call of `whenAborted`.
   */
  constructor(
    options: CallOptions | undefined,
    fallbackMs: number | null = null,
    whenAborted: (() => void) | null = null,
  ) {
    const checked = readCallOptions(options, whenAborted);
    // Own fields: what the caller left out may be a field of a polluted Object.prototype.
    const timeoutMs = checkTimeout(checked, fallbackMs);
    this.#signal = Object.hasOwn(checked, "signal") ? checked.signal : undefined;
    this.#timeoutMs = timeoutMs;
    this.#endMs = timeoutMs === null ? null : nowMs() + timeoutMs;
    this.#fixed = options === undefined ? undefined : checked;
  }

  /**
   * The budget of one message, by default that of one receive of the network: with a default for
   * each of its receives, a peer that sends byte by byte would never run out of time.
   */
  static ofMessage(stream: Stream, options: CallOptions | undefined): CallBudget {
    const socket = socketOf(stream);
    return new CallBudget(options, socket === null ? null : socket.context.config.readTimeoutMs);
  }

  /** The options of the next call. */
  get left(): CallOptions | undefined {
    if (this.#endMs === null) return this.#fixed;
    const timeoutMs = Math.max(Math.ceil(this.#endMs - nowMs()), 0);
    return this.#signal === undefined ? { timeoutMs } : { signal: this.#signal, timeoutMs };
  }

  /**
   * Throws a NetworkError "Timeout" once the budget is over. Needed where each call may be served
   * at once, because such calls never time out themselves.
   */
  check(operation: OperationName, what: string, bytesDone: number): void {
    if (this.#endMs === null || nowMs() < this.#endMs) return;
    throw this.#timeout(operation, what, bytesDone, undefined);
  }

  /**
   * The error of the function for that of one of its calls. A call knows only the rest of the
   * budget and its own bytes, so its timeout becomes one of the function, with the call's as cause.
   */
  failure(error: unknown, operation: OperationName, what: string, bytesDone: number): unknown {
    if (this.#endMs === null || !hasCode(error, "Timeout")) return error;
    return this.#timeout(operation, what, bytesDone, error);
  }

  /** The error of a function that receives a message, as `failure`. */
  messageFailure(error: unknown, stream: Stream): unknown {
    if (!hasCode(error, "Timeout")) return error;
    return this.failure(
      error,
      "decode",
      `receive a message from ${peerOf(stream)}`,
      error.bytesDone,
    );
  }

  #timeout(
    operation: OperationName,
    what: string,
    bytesDone: number,
    cause: NetworkError | undefined,
  ): NetworkError {
    return new NetworkError(
      `Cannot ${what}: ${this.#timeoutMs} ms passed after ${bytesDone} bytes`,
      { code: "Timeout", operation, bytesDone, cause },
    );
  }
}
