/**
 * One budget and one signal for an operation that is made of several calls. Each call gets what is
 * left of the budget.
 *
 * @module
 */
import { NetworkError, type OperationName } from "../base/network_error.ts";
import { type CallOptions, readCallOptions } from "../net/call/call_options.ts";

export class CallBudget {
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number | null;
  readonly #endMs: number | null;
  /** Options without a deadline never change: made once. */
  readonly #fixed: CallOptions | undefined;

  /**
   * Reads the options once. Throws TypeError or RangeError for wrong ones, and the signal's reason
   * when it is aborted already.
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
   * Throws a NetworkError "Timeout" once the budget is over, for operations whose calls may each be
   * served at once: those never run out of time by themselves.
   */
  check(operation: OperationName, what: string, bytesDone: number): void {
    if (this.#endMs === null || performance.now() < this.#endMs) return;
    throw new NetworkError(
      `Cannot ${what}: ${this.#timeoutMs} ms passed after ${bytesDone} bytes`,
      { code: "Timeout", operation, bytesDone },
    );
  }
}
