/**
 * Bytes without an encoding, for a TLS socket above. In Node, TLS reads below the stream, so a
 * program may have called `setEncoding` for what came before TLS. The runtimes read any Duplex by
 * its stream, and refuse one that gives texts.
 *
 * @module
 */
import type { Duplex } from "node:stream";

interface Decoding {
  decoder: unknown;
  encoding: unknown;
}

/** Takes back a `setEncoding`. Texts that wait in the stream stay texts. */
export function undecoded(socket: Duplex): void {
  const state = (socket as unknown as { _readableState: Decoding })._readableState;
  state.decoder = null;
  state.encoding = null;
}
