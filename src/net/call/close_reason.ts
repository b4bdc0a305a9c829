/**
 * Why a half takes no more. Its error is made when a call is first told of it: most connections end
 * while nobody waits, and an error with its stack costs V8 2.4 us, a fifteenth of connect, echo and
 * close.
 *
 * @module
 */
import { NetworkError } from "../../base/network_error.ts";

export class CloseReason {
  /** The end of a message: "the connection was reset". */
  readonly happened: string;
  /** What a call has been told, when the reason is a failure. */
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
