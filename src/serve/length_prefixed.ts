/**
 * Frames with their length in front of them.
 *
 *   | length: 1, 2, 4 or 8 bytes | body: `length` bytes |
 *
 * @module
 */
import { check } from "../base/check.ts";
import { LIMITS } from "../base/limits.ts";
import { NetworkError } from "../base/network_error.ts";
import type { IoBufs } from "../buf/io_bufs.ts";
import type { CallOptions } from "../net/call/call_options.ts";
import type { Stream } from "../net/recv/stream.ts";
import type { Sendable } from "../net/send/load_call.ts";
import { CallBudget, MESSAGE, peerOf } from "./call_budget.ts";
import type { Codec } from "./framed.ts";
import { bodyLength, messageBody, withHead } from "./message_body.ts";

/** Options of {@link lengthPrefixed}. */
export interface LengthPrefixedOptions {
  /**
   * Bytes of the length.
   * @default {4}
   */
  lengthBytes?: 1 | 2 | 4 | 8;
  /**
   * Whether the least significant byte comes first.
   * @default {false}
   */
  littleEndian?: boolean;
  /**
   * The longest body in bytes, in both directions.
   * @default {16_777_216}
   */
  maxLength?: number;
}

const MAX_LENGTH_DEFAULT = 16 * 1024 * 1024;
const WIDTHS = [1, 2, 4, 8] as const;

/** A frame is received together with its length, so both have to fit into the longest receive. */
const BODY_BYTES_MAX = LIMITS.lengthMax - 8;

/**
 * Makes a codec of frames: `lengthBytes` bytes of length, then the body. `decode` resolves with the
 * body.
 *
 * `decode` rejects with a NetworkError `"TooLong"` for a length above `maxLength`. It consumes
 * nothing then, and later calls fail in the same way. A stream that ends inside a frame rejects
 * with `"RecvFailed"` and `endOfStream`, and its bytes stay readable. `encode` throws RangeError
 * for a body that is too long. Buffers (`IoBuf`, `IoBufMut`, `IoBufs`) are moved into the frame.
 *
 * @param options See {@link LengthPrefixedOptions}.
 * @returns A codec for {@link framed}.
 * @throws {TypeError} An option is unknown or has a wrong type.
 * @throws {RangeError} An option is out of range.
 *
 * @example
 * ```ts
 * import { framed, lengthPrefixed, Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0");
 * const accepting = listener.accept();
 * await using client = await network.dial(listener.localAddress);
 * await using server = await accepting;
 *
 * const codec = lengthPrefixed({ lengthBytes: 2, maxLength: 1_024 });
 * await framed(client, codec).send("hello");
 * console.log((await framed(server, codec).receive())?.text()); // hello
 * ```
 */
export function lengthPrefixed(options?: LengthPrefixedOptions): Codec<IoBufs, Sendable> {
  const known = ["lengthBytes", "littleEndian", "maxLength"];
  const given = check.options("options", options, known);
  const { lengthBytes = 4, littleEndian = false, maxLength } = given;
  const width = WIDTHS.find((one) => one === lengthBytes);
  if (width === undefined) return check.fail("options.lengthBytes", "1, 2, 4 or 8", lengthBytes);
  const little = check.boolean("options.littleEndian", littleEndian);
  const reach = Math.min(width === 8 ? Infinity : 2 ** (8 * width) - 1, BODY_BYTES_MAX);
  // The default is more than a length of one or two bytes can express.
  const longest = maxLength === undefined ? Math.min(MAX_LENGTH_DEFAULT, reach) : maxLength;
  const max = check.integer("options.maxLength", longest, 0, reach);
  return new LengthPrefixed(width, little, max);
}

class LengthPrefixed implements Codec<IoBufs, Sendable> {
  readonly #width: 1 | 2 | 4 | 8;
  readonly #little: boolean;
  readonly #max: number;

  constructor(width: 1 | 2 | 4 | 8, little: boolean, max: number) {
    this.#width = width;
    this.#little = little;
    this.#max = max;
  }

  decode(stream: Stream, options?: CallOptions): Promise<IoBufs | null> {
    // A frame that has arrived completely costs no wait. The options are still checked.
    if (options === undefined) {
      try {
        const ready = this.#tryDecode(stream);
        if (ready !== null) return Promise.resolve(ready);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.#decode(stream, options);
  }

  encode(value: Sendable): Sendable {
    const body = messageBody(value);
    const length = check.integer("value (bytes)", bodyLength(body), 0, this.#max);
    return withHead(this.#head(length), body);
  }

  #tryDecode(stream: Stream): IoBufs | null {
    const width = this.#width;
    const head = stream.peek(width);
    if (head.length < width) return null;
    const frame = stream.tryRecv(width + this.#length(head, stream));
    frame?.advance(width);
    return frame;
  }

  async #decode(stream: Stream, options: CallOptions | undefined): Promise<IoBufs | null> {
    const width = this.#width;
    const budget = CallBudget.ofMessage(stream, options);
    try {
      if (!(await stream.wait(width, budget.left))) {
        if (stream.buffered === 0) return null;
        return await stream.recv(width, budget.left); // Rejects: the stream ended inside a length.
      }
      // Most frames arrive whole: a call that has nothing to wait for would cost a promise.
      const ready = this.#tryDecode(stream);
      if (ready !== null) return ready;
      const length = this.#length(stream.peek(width), stream);
      // Received together with its length, so that a call that times out leaves the whole frame.
      const frame = await stream.recv(width + length, budget.left);
      frame.advance(width);
      return frame;
    } catch (error) {
      throw budget.failure(error, MESSAGE, stream);
    }
  }

  /** The length of the body. Throws "TooLong" for a length above the limit. */
  #length(head: Uint8Array, stream: Stream): number {
    let length = 0;
    for (let i = 0; i < head.length; i++) {
      length = length * 256 + head[this.#little ? head.length - 1 - i : i];
    }
    if (length <= this.#max) return length;
    throw new NetworkError(
      `Cannot receive a frame of ${length} bytes from ${peerOf(stream)}: ` +
        `the longest allowed has ${this.#max}`,
      { code: "TooLong", operation: "decode", bytesDone: stream.buffered },
    );
  }

  #head(length: number): Uint8Array {
    const head = new Uint8Array(this.#width);
    let rest = length;
    for (let i = 0; i < head.length; i++) {
      head[this.#little ? i : head.length - 1 - i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    return head;
  }
}
