/**
 * One budget and one signal for a function that makes several calls. Each call gets the rest of the
 * budget.
 *
 * @module
 */
import { NetworkError, type OperationName } from "../base/network_error.ts";
import { type CallOptions, readCallOptions } from "../net/call/call_options.ts";

export class CallBudget {
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number | null;
  readonly #endMs: number | null;
  /** Options without a deadline, which never change. */
  readonly #fixed: CallOptions | undefined;

  /**
   * Reads the options once. Throws TypeError or RangeError for wrong options, and the signal's
   * reason when the signal is already aborted.
   */
  constructor(options: CallOptions | undefined) {
    const checked = readCallOptions(options);
    const { signal, timeoutMs } = checked;
    this.#signal = signal;
    this.#timeoutMs = timeoutMs ?? null;
    this.#endMs = typeof timeoutMs === "number" ? performance.now() + timeoutMs : null;
    this.#fixed = options === undefined ? undefined : checked;
  }

  /** The options of the next call. */
  get left(): CallOptions | undefined {
    if (this.#endMs === null) return this.#fixed;
    const timeoutMs = Math.max(Math.ceil(this.#endMs - performance.now()), 0);
    return this.#signal === undefined ? { timeoutMs } : { signal: this.#signal, timeoutMs };
  }

  /**
   * Throws a NetworkError "Timeout" once the budget is over. Needed where each call may be served
   * at once, because such calls never time out themselves.
   */
  check(operation: OperationName, what: string, bytesDone: number): void {
    if (this.#endMs === null || performance.now() < this.#endMs) return;
    throw new NetworkError(
      `Cannot ${what}: ${this.#timeoutMs} ms passed after ${bytesDone} bytes`,
      { code: "Timeout", operation, bytesDone },
    );
  }
}
