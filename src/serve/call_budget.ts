/**
 * One budget and one signal for a function that makes several calls. Each call gets the rest of the
 * budget.
 *
 * @module
 */
import { intrinsics } from "../base/intrinsics.ts";
import { nowMs } from "../base/now_ms.ts";
import { hasCode, NetworkError, type OperationName } from "../base/network_error.ts";
import { type CallOptions, checkTimeout, readCallOptions } from "../net/call/call_options.ts";
import { socketOf, type Stream } from "../net/recv/stream.ts";

/** The peer of a stream, for messages. The stream of a program has no known peer. */
export function peerOf(stream: Stream): string {
  return socketOf(stream)?.peerName ?? "the peer";
}

/** The work of a function, for its errors. */
export interface Task {
  readonly operation: OperationName;
  readonly action: string;
}

/** The receive of one message. */
export const MESSAGE: Task = { operation: "decode", action: "receive a message" };

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

  /** Whether the time is over. Calls that are served at once never time out themselves. */
  get isOver(): boolean {
    return this.#endMs !== null && nowMs() >= this.#endMs;
  }

  /** Whether a call failed because the budget is over, and not by an abort with such an error. */
  endedCall(error: unknown): error is NetworkError {
    if (this.#endMs === null || !hasCode(error, "Timeout")) return false;
    const signal = this.#signal;
    return signal === undefined || !intrinsics.isAborted(signal) ||
      intrinsics.abortReason(signal) !== error;
  }

  /**
   * The error of the function for that of one of its calls. A call knows only the rest of the
   * budget and its own bytes, so its timeout becomes one of the function, with the call's as cause.
   */
  failure(error: unknown, task: Task, stream: Stream, bytesDone?: number): unknown {
    if (!this.endedCall(error)) return error;
    return this.timeout(task, stream, bytesDone ?? error.bytesDone, error);
  }

  /** The error of the function once its time is over. */
  timeout(
    { operation, action }: Task,
    stream: Stream,
    bytesDone: number,
    cause?: NetworkError,
  ): NetworkError {
    const happened = `${this.#timeoutMs} ms passed after ${bytesDone} bytes`;
    return new NetworkError(`Cannot ${action} from ${peerOf(stream)}: ${happened}`, {
      code: "Timeout",
      operation,
      bytesDone,
      cause,
    });
  }
}
