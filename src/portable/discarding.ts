/**
 * The bytes that a closed connection still gets, and how long they are awaited.
 *
 * A close of a socket with unread bytes sends RST, and so does a byte that arrives after the close.
 * The kernel then drops the bytes that the peer has not acknowledged. `node:net` does not tell
 * their number. So bytes are read and discarded until the peer ends, or is quiet:
 *
 * - A peer that was sent only a few bytes has room for them. Reading goes on until the peer pauses,
 *   or until about as many bytes were discarded as a kernel holds.
 * - From a peer that was sent more, reading goes on for as long as the close may take. A peer that
 *   has sent nothing for `QUIET_MS` counts as one that has everything. So does a peer that is quiet
 *   from the beginning and was sent nothing for `UNTAKEN_MS`.
 *
 * A program that blocks its event loop reads nothing meanwhile, and the check after that may come
 * before the next read. So a single check proves no long quiet.
 *
 * @module
 */
import { nowMs } from "../base/now_ms.ts";

const UNTAKEN_MS = 5_000;
/** Long even for a peer on a busy machine. */
const QUIET_MS = 1_000;
const QUIET_CHECKS = 2;
const DISCARDED_BYTES_MAX = 4 << 20;

/** Results of a check. */
export const LINGER_OVER = 0;
export const LINGER_WAITS = 1;
export const LINGER_BYTES_CAME = 2;

/** The state of the sending half when a connection closes. */
export interface SentBytes {
  /** Whether the runtime has bytes that the kernel has not taken. */
  readonly unsent: boolean;
  /** When more than a few bytes were last sent, on the clock of `nowMs()`. */
  readonly sentAtMs: number;
}

export class Discarding {
  #bytesCame = false;
  #sentSome = false;
  #untaken = false;
  #discardedBytes = 0;
  #quietSinceMs = 0;
  #quietChecks = 0;

  begin({ unsent, sentAtMs }: SentBytes): void {
    this.#quietSinceMs = nowMs();
    this.#sentSome = unsent || sentAtMs > -Infinity;
    this.#untaken = unsent || this.#quietSinceMs - sentAtMs < UNTAKEN_MS;
  }

  note(bytes: number): void {
    this.#bytesCame = true;
    this.#discardedBytes += bytes;
  }

  /** Checks. `unsent`: the runtime has bytes. `ended`: the peer has sent FIN. */
  look(unsent: boolean, ended: boolean): number {
    const came = this.#bytesCame;
    this.#bytesCame = false;
    this.#quietChecks = came ? 0 : this.#quietChecks + 1;
    if (came) this.#quietSinceMs = nowMs();
    if (unsent) return came ? LINGER_BYTES_CAME : LINGER_WAITS;
    if (ended) return LINGER_OVER;
    if (came) {
      const more = this.#sentSome || this.#discardedBytes < DISCARDED_BYTES_MAX;
      return more ? LINGER_BYTES_CAME : LINGER_OVER;
    }
    const talks = this.#sentSome && this.#discardedBytes > 0;
    const quiet = this.#quietChecks >= QUIET_CHECKS &&
      nowMs() - this.#quietSinceMs >= QUIET_MS;
    return (this.#untaken || talks) && !quiet ? LINGER_WAITS : LINGER_OVER;
  }
}
