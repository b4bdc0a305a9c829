/**
 * A receive that ends behind a delimiter: `recvUntil`, and the base of a line.
 *
 *   arrival -> read buffer -> find(): new bytes only -> behind the delimiter: give()
 *                                                   \-> `length` bytes come without it: "TooLong"
 *
 * Invariants
 * - The bytes stay in the read buffer until the delimiter is complete, so a failure, a timeout or
 *   an abort consumes no byte.
 * - Each byte is searched once: the search remembers how much of the delimiter it has matched, also
 *   across two arrivals. Only the first call of a queue searches, and only the bytes that it has
 *   not seen.
 * - At most `lengthMax` bytes are searched. The read buffer holds no more than these and the bytes
 *   of one further receive.
 *
 * @module
 */
import type { DelimiterSearch } from "../../base/delimiter_search.ts";
import type { ReadBuffer } from "./read_buffer.ts";
import { RecvCall, type RecvCallOwner, type RecvKind } from "./recv_call.ts";

export class UntilCall extends RecvCall {
  readonly #search: DelimiterSearch;
  /** The largest number of bytes of a result, which are searched. */
  readonly lengthMax: number;
  /** The number of bytes at the front of the read buffer that were searched. */
  #seen = 0;

  /** `lengthMax` is the largest number of bytes, the delimiter included. */
  constructor(queue: RecvCallOwner, search: DelimiterSearch, lengthMax: number) {
    super(queue);
    this.#search = search;
    this.lengthMax = lengthMax;
    this.length = lengthMax;
  }

  override get kind(): RecvKind {
    return "until";
  }

  /** Whether the end of the stream completes the call, as the delimiter does. */
  get endsWithStream(): boolean {
    return false;
  }

  /** Prepares a settled call for its next use. */
  restart(): void {
    this.#search.restart();
    this.#seen = 0;
  }

  /** Searches the new bytes of the buffer. Returns the length including the delimiter, or -1. */
  find(buffer: ReadBuffer): number {
    const from = this.#seen;
    this.#seen = Math.min(buffer.length, this.lengthMax);
    return buffer.find(this.#search, from, this.#seen);
  }

  /**
   * Takes the first `length` bytes out of the buffer as the result of the call. `isComplete`: they
   * end with the delimiter. Takes no byte when it throws.
   */
  give(buffer: ReadBuffer, length: number, _isComplete: boolean): unknown {
    return buffer.take(length);
  }
}
