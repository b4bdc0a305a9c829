/**
 * Streams whose bytes are pushed until they are full.
 *
 * @module
 */
import type { Readable } from "node:stream";

/**
 * Such a stream need not ask for more after each chunk, for which it would use a tick of its own.
 */
export function unasked(stream: Readable): void {
  const { _readableState: state } = stream as unknown as {
    _readableState: { readingMore: boolean };
  };
  state.readingMore = true;
}
