/**
 * The search for a delimiter in bytes that come in pieces, also across the border of two pieces.
 *
 * The algorithm is that of Knuth, Morris and Pratt. `matched` counts the bytes of the delimiter
 * with which the text ends, and a byte that does not continue the match falls back to the longest
 * prefix that still fits. Each byte is therefore visited once, however the pieces are cut. While
 * nothing is matched, the runtime's own search skips to the next byte that can begin a match.
 *
 * @module
 */

/** The table of a delimiter of one byte, which has no prefix to fall back to. */
const NO_FALLBACK = new Uint16Array(1);

export class DelimiterSearch {
  readonly #delimiter: Uint8Array;
  /** For each prefix, the length of its longest proper prefix that is also its suffix. */
  readonly #fallback: Uint16Array | Uint32Array;
  #matched = 0;

  /** `delimiter` has at least one byte, and must not change afterwards. */
  constructor(delimiter: Uint8Array) {
    this.#delimiter = delimiter;
    this.#fallback = delimiter.length === 1 ? NO_FALLBACK : fallbackTable(delimiter);
  }

  /** The length of the delimiter in bytes. */
  get length(): number {
    return this.#delimiter.length;
  }

  /**
   * Searches the next piece. Returns the index right behind the delimiter, or -1 when the delimiter
   * does not end in this piece. After a find the search is over until `restart`.
   */
  find(piece: Uint8Array): number {
    const delimiter = this.#delimiter;
    let matched = this.#matched;
    for (let at = 0; at < piece.length; at++) {
      if (matched === 0) {
        at = piece.indexOf(delimiter[0], at);
        if (at < 0) break;
      }
      const byte = piece[at];
      while (matched > 0 && byte !== delimiter[matched]) matched = this.#fallback[matched - 1];
      if (byte === delimiter[matched]) matched++;
      if (matched === delimiter.length) return at + 1;
    }
    this.#matched = matched;
    return -1;
  }

  /** Forgets the pieces so far. */
  restart(): void {
    this.#matched = 0;
  }
}

function fallbackTable(delimiter: Uint8Array): Uint16Array | Uint32Array {
  const { length: count } = delimiter;
  const table = count > 0xffff ? new Uint32Array(count) : new Uint16Array(count);
  for (let i = 1, length = 0; i < count; i++) {
    while (length > 0 && delimiter[i] !== delimiter[length]) length = table[length - 1];
    if (delimiter[i] === delimiter[length]) length++;
    table[i] = length;
  }
  return table;
}
