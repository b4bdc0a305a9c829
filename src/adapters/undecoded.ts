/**
 * Removes the encoding of a socket that goes under TLS. In Node, TLS reads below the stream, so a
 * program may have called `setEncoding` for the bytes before TLS. The runtimes read from the
 * stream, as with any Duplex, and refuse a stream that yields texts.
 *
 * @module
 */
import type { Duplex } from "node:stream";

interface Decoding {
  decoder: unknown;
  encoding: unknown;
}

/** Undoes `setEncoding`. Texts that already wait in the stream stay texts. */
export function undecoded(socket: Duplex): void {
  const state = (socket as unknown as { _readableState: Decoding })._readableState;
  state.decoder = null;
  state.encoding = null;
}
