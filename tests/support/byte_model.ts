/**
 * A sender's knowledge of its messages, and the bytes that its peer may have received.
 *
 * @module
 */

/** The outcome of a message. Of an unknown one, any number of bytes may have left. */
export type Fate = "pending" | "sent" | "unknown" | { bytes: number };

export interface SentMessage {
  bytes: Uint8Array;
  fate: Fate;
}

/** ASCII text whose every byte depends on its key and its position, with some line ends. */
export function textOf(key: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const value = ((i * 31) + (i >>> 7) * 7 + key * 13) & 127;
    bytes[i] = value === 13 ? 14 : value;
  }
  return bytes;
}

/** The bytes of one direction of a connection, as the sender and the receiver know them. */
export class ByteModel {
  readonly messages: SentMessage[] = [];
  readonly #chunks: Uint8Array[] = [];
  received = 0;

  take(bytes: Uint8Array): void {
    this.#chunks.push(bytes.slice());
    this.received += bytes.length;
  }

  /** Says what is wrong, or null. Complete: every byte that left has to be here. */
  fault(complete: boolean): string | null {
    const received = new Uint8Array(this.received);
    let at = 0;
    for (const chunk of this.#chunks) {
      received.set(chunk, at);
      at += chunk.length;
    }
    at = 0;
    const lastSure = this.messages.findLastIndex(({ fate }) =>
      fate === "sent" || (typeof fate === "object" && fate.bytes > 0)
    );
    for (const [index, { bytes, fate }] of this.messages.entries()) {
      const left = received.length - at;
      const what = `message ${index} of ${bytes.length} bytes (${JSON.stringify(fate)})`;
      if (fate === "pending") return `${what} has not settled`;
      let count = fate === "sent" ? bytes.length : 0;
      if (typeof fate === "object") count = fate.bytes;
      // Nothing follows a message of which a part has left.
      if (fate === "unknown") count = index < lastSure ? 0 : Math.min(left, bytes.length);
      if (count > left) {
        if (complete) return `${what} is not complete: ${left} bytes at ${at}`;
        count = left;
      }
      let same = 0;
      while (same < count && received[at + same] === bytes[same]) same++;
      if (same < count && fate === "unknown" && same === 0) continue;
      if (same < count) return `${what} differs at its byte ${same}, received at ${at + same}`;
      at += count;
    }
    return at < received.length ? `${received.length - at} bytes that nobody has sent` : null;
  }

  toString(): string {
    const sent = this.messages.map(({ bytes, fate }) => `${bytes.length} ${JSON.stringify(fate)}`);
    return `sent ${sent.join(", ")}; received ${this.received}`;
  }
}
