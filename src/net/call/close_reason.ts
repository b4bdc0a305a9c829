/**
 * The reason why a half accepts no more calls. The error is made for the first call that fails with
 * the reason: most connections end while no call waits, and an error with its stack costs V8 2.4
 * us, a fifteenth of connect, echo and close.
 *
 * @module
 */
import { NetworkError } from "../../base/network_error.ts";

export class CloseReason {
  /** The last part of an error message, such as "the connection was reset". */
  readonly happened: string;
  /** The error that a call has already received, when the reason is a failure. */
  readonly failure: NetworkError | null;
  #error: NetworkError | null = null;

  constructor(happened: string, failure: NetworkError | null = null) {
    this.happened = happened;
    this.failure = failure;
  }

  /** The reason as the cause of other errors; `peer` is the name of the other end. */
  error(peer: string): NetworkError {
    return this.failure ?? (this.#error ??= new NetworkError(
      `Cannot use the connection to ${peer}: ${this.happened}`,
      { code: "Closed", operation: "close" },
    ));
  }
}
