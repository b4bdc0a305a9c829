/**
 * Whether a ring does nothing but receive a stream, so that its thread may sleep until many bytes
 * have come, in place of looking for each packet.
 *
 *   still --{@link LIMITS.streamFromBytes} in large pieces---------------------> flows
 *     ^-- the network sends, the thread sleeps, or little comes --------------------+
 *
 * A program that answers is never in a stream, because a peer that waits for the answer to its
 * last bytes would wait longer.
 *
 * @module
 */
import { LIMITS } from "../base/limits.ts";
import { COUNT, type Meter } from "../base/meter.ts";

export class StreamFlow {
  readonly #counts: Float64Array;
  /** The sent bytes when the stream began. */
  #sentBytes = 0;
  /** The bytes of the stream beyond one piece for each receive. */
  #bytes = 0;

  constructor(meter: Meter) {
    this.#counts = meter.counts;
  }

  get flows(): boolean {
    return this.#bytes >= LIMITS.streamFromBytes;
  }

  /** Called with the bytes of each receive. */
  received(length: number): void {
    const { streamFromBytes, streamPieceBytes } = LIMITS;
    const sentBytes = this.#counts[COUNT.outboundBytes];
    const bytes = sentBytes === this.#sentBytes ? this.#bytes + length - streamPieceBytes : 0;
    this.#bytes = Math.min(Math.max(bytes, 0), 2 * streamFromBytes);
    this.#sentBytes = sentBytes;
  }

  /** Called when the thread sleeps, a receive finds no large buffer, or gathering brings little. */
  interrupt(): void {
    this.#bytes = 0;
  }
}
