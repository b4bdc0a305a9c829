/**
 * A receive that ends behind a delimiter: `recvUntil`, and the base of a line.
 *
 *   arrival -> read buffer -> find(): new bytes only -> behind the delimiter: give()
 *                                                   \-> `length` bytes without it: "TooLong"
 *
 * Invariants
 * - The bytes stay in the read buffer until the delimiter is there: a failure, a timeout or an
 *   abort consumes nothing.
 * - Each byte is looked at once: the search remembers how much of the delimiter it has met, also
 *   across two arrivals. Only the first call of a queue looks, and only behind what it has seen.
 * - At most `length` bytes are looked at. The read buffer holds no more than those and what one
 *   receive brings behind them.
 *
 * @module
 */
import type { DelimiterSearch } from "../../base/delimiter_search.ts";
import type { ReadBuffer } from "./read_buffer.ts";
import { RecvCall, type RecvCallOwner } from "./recv_call.ts";

export class UntilCall extends RecvCall {
  readonly #search: DelimiterSearch;
  /** Bytes at the front of the read buffer that were looked at. */
  #seen = 0;

  /** `lengthMax`: bytes through the delimiter, at most. */
  constructor(queue: RecvCallOwner, search: DelimiterSearch, lengthMax: number) {
    super(queue);
    this.#search = search;
    this.kind = "until";
    this.length = lengthMax;
  }

  /** Whether the end of the stream ends what is wanted, as the delimiter does. */
  get endsWithStream(): boolean {
    return false;
  }

  /** Makes a settled call ready to be used again. */
  restart(): void {
    this.#search.restart();
    this.#seen = 0;
  }

  /** Looks at what is new in the buffer. Returns the length through the delimiter, or -1. */
  find(buffer: ReadBuffer): number {
    const from = this.#seen;
    this.#seen = Math.min(buffer.length, this.length);
    return buffer.find(this.#search, from, this.#seen);
  }

  /**
   * Takes the first `length` bytes out of the buffer, as the call's result. `isComplete`: they end
   * with the delimiter. Takes nothing when it throws.
   */
  give(buffer: ReadBuffer, length: number, _isComplete: boolean): unknown {
    return buffer.take(length);
  }
}
