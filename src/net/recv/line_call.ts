/**
 * One line of a stream as text, without its line break. One call serves line after line.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";
import { DelimiterSearch } from "../../base/delimiter_search.ts";
import type { ReadBuffer } from "./read_buffer.ts";
import type { RecvCallOwner } from "./recv_call.ts";
import { UntilCall } from "./until_call.ts";

/** "\n" and "\r". */
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

export class LineCall extends UntilCall {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(queue: RecvCallOwner, lengthMax: number) {
    super(queue, new DelimiterSearch(Uint8Array.of(LINE_FEED)), lengthMax);
    // A last line of `lengthMax` bytes has no line break: only one more byte makes a line too long.
    this.length = Math.min(lengthMax + 1, LIMITS.lengthMax);
  }

  override get endsWithStream(): boolean {
    return true;
  }

  override give(buffer: ReadBuffer, length: number, isComplete: boolean): string {
    let end = length;
    if (isComplete) {
      end--;
      if (end > 0 && buffer.byteAt(end - 1) === CARRIAGE_RETURN) end--;
    }
    let text: string;
    try {
      text = buffer.decode(this.#decoder, end);
    } catch (cause) {
      throw new TypeError(
        `Cannot receive a line from ${this.peerName}: its ${end} bytes are not UTF-8`,
        { cause },
      );
    }
    buffer.drop(length);
    return text;
  }
}
