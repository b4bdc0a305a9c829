/**
 * The `onread` option of sockets: a function of the program that gets the bytes, and the program's
 * buffer for the next ones.
 *
 *   fill: bytes --> the buffer --> the program's function --> renew: the program names a buffer
 *
 * @module
 */
import { intrinsics } from "../base/intrinsics.ts";

/** The `onread` option of a socket. */
export interface OnRead {
  /** One buffer for all bytes, or a function that returns the buffer for the next ones. */
  buffer: Uint8Array | (() => Uint8Array);
  /** Called with each delivery. Pauses the socket by returning false. */
  callback(bytesRead: number, buffer: Uint8Array): boolean | void;
}

/** The option, read once; null for a value that is none. Sockets do without such a value. */
export function readOnRead(given: unknown): OnRead | null {
  if (given === null || typeof given !== "object") return null;
  const { buffer, callback } = given as Partial<OnRead>;
  if (typeof callback !== "function") return null;
  if (typeof buffer === "function") return { buffer: buffer.bind(given), callback };
  return isBuffer(buffer) ? { buffer, callback } : null;
}

const { set } = Uint8Array.prototype;

/** Whether a value has memory of its own: a proxy and an object with the prototype have none. */
function isBuffer(value: unknown): value is Uint8Array {
  return intrinsics.isTypedArray(value) && value instanceof Uint8Array;
}

/** Stands for the buffer of a program that has named none. */
const NO_ROOM = new Uint8Array(0);

/** The buffer for the next bytes of one socket. */
export class ReadTarget {
  /** Null where the program has one buffer for all bytes. */
  readonly #next: (() => Uint8Array) | null;
  /** Null before the program is first asked. */
  #buffer: Uint8Array | null;

  constructor({ buffer }: OnRead) {
    [this.#next, this.#buffer] = typeof buffer === "function" ? [buffer, null] : [null, buffer];
  }

  get buffer(): Uint8Array {
    return this.#buffer ?? NO_ROOM;
  }

  /** Copies bytes, as many as the buffer holds. Returns their number. */
  fill(bytes: Uint8Array, at: number, end: number): number {
    if (this.#buffer === null) this.#ask();
    const { buffer } = this;
    const count = Math.min(intrinsics.lengthOf(buffer), end - at);
    // Not a method of the program's own, which would see the memory of other connections.
    if (count > 0) Reflect.apply(set, buffer, [bytes.subarray(at, at + count)]);
    return count;
  }

  /** Asks the program for its next buffer. As in Node, a value that is no buffer is ignored. */
  renew(): void {
    if (this.#next === null) return;
    const next: unknown = this.#next();
    if (isBuffer(next)) this.#buffer = next;
  }

  /** Asks once: a program that throws each time would be asked again without end. */
  #ask(): void {
    this.#buffer = NO_ROOM;
    this.renew();
  }
}
