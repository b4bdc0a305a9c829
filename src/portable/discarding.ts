/**
 * The bytes that a closed connection still gets, and how long they are awaited.
 *
 * A close of a socket with unread bytes sends RST, and the kernel then drops the bytes that the
 * peer has not acknowledged. `node:net` does not tell their number. There may be some when a large
 * window was sent within the last `UNTAKEN_MS`. In that case the close waits until the peer ends or
 * was quiet for a longer time. Otherwise it waits for one quiet check, or until about as many bytes
 * were discarded as a kernel holds.
 *
 * A program that blocks its event loop reads nothing meanwhile, and the check after that may come
 * before the next read. So a single check proves no long quiet.
 *
 * @module
 */

const UNTAKEN_MS = 5_000;
const QUIET_MS = 100;
const QUIET_CHECKS = 2;
const DISCARDED_BYTES_MAX = 4 << 20;

/** Results of a check. */
export const LINGER_OVER = 0;
export const LINGER_WAITS = 1;
export const LINGER_BYTES_CAME = 2;

export class Discarding {
  #bytesCame = false;
  #untaken = false;
  #discardedBytes = 0;
  #quietSinceMs = 0;
  #quietChecks = 0;

  /** Begins the wait of a connection that last sent a large window at `largeSentAtMs`. */
  begin(largeSentAtMs: number): void {
    this.#quietSinceMs = performance.now();
    this.#untaken = this.#quietSinceMs - largeSentAtMs < UNTAKEN_MS;
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
    if (came) this.#quietSinceMs = performance.now();
    if (unsent) return came ? LINGER_BYTES_CAME : LINGER_WAITS;
    if (ended) return LINGER_OVER;
    const more = this.#untaken || this.#discardedBytes < DISCARDED_BYTES_MAX;
    if (came) return more ? LINGER_BYTES_CAME : LINGER_OVER;
    const quiet = this.#quietChecks >= QUIET_CHECKS &&
      performance.now() - this.#quietSinceMs >= QUIET_MS;
    return this.#untaken && !quiet ? LINGER_WAITS : LINGER_OVER;
  }
}
