/**
 * Messages that end with a delimiter, such as lines.
 *
 *   message delimiter message delimiter ...
 *
 * @module
 */
import { check } from "../base/check.ts";
import { DelimiterSearch } from "../base/delimiter_search.ts";
import { intrinsics } from "../base/intrinsics.ts";
import { LIMITS } from "../base/limits.ts";
import type { CallOptions } from "../net/call/call_options.ts";
import type { Stream } from "../net/recv/stream.ts";
import type { Sendable } from "../net/send/load_call.ts";
import { CallBudget, MESSAGE } from "./call_budget.ts";
import type { Codec } from "./framed.ts";
import { bodyLength, bodyViews, messageBody, withTail } from "./message_body.ts";

/** Options of {@link delimited}. */
export interface DelimitedOptions {
  /**
   * 1 to 1,024 bytes. Text stands for its UTF-8 bytes.
   * @default {"\n"}
   */
  delimiter?: string | Uint8Array;
  /**
   * The longest message with its delimiter, in bytes, in both directions.
   * @default {65_536}
   */
  maxLength?: number;
}

const encoder = new TextEncoder();

/**
 * Makes a codec of messages that end with a delimiter. `decode` resolves with a copy of the bytes
 * before the delimiter.
 *
 * `decode` rejects with a NetworkError `"TooLong"` for a message that does not end within
 * `maxLength` bytes, and with `"RecvFailed"` and `endOfStream` when the stream ends with bytes
 * behind the last delimiter. Both consume nothing. `encode` throws TypeError for a message that
 * contains the delimiter, because the peer would see two messages.
 *
 * @param options See {@link DelimitedOptions}.
 * @returns A codec for {@link framed}.
 * @throws {TypeError} An option is unknown or has a wrong type.
 * @throws {RangeError} An option is out of range.
 *
 * @example
 * ```ts
 * import { delimited, framed, Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0");
 * const accepting = listener.accept();
 * await using client = await network.dial(listener.localAddress);
 * await using server = await accepting;
 *
 * await framed(client, delimited()).send("hello");
 * const line = await framed(server, delimited()).receive();
 * console.log(line?.length); // 5
 * ```
 */
export function delimited(options?: DelimitedOptions): Codec<Uint8Array<ArrayBuffer>, Sendable> {
  const given = check.options("options", options, ["delimiter", "maxLength"]);
  const { delimiter = "\n", maxLength = LIMITS.untilLengthMax } = given;
  const bytes = checkDelimiter("options.delimiter", delimiter);
  const max = check.integer("options.maxLength", maxLength, bytes.length, LIMITS.lengthMax);
  return new Delimited(bytes, max);
}

function checkDelimiter(field: string, value: unknown): Uint8Array {
  const wanted = `a string or a Uint8Array of 1 to ${LIMITS.delimiterBytesMax} bytes`;
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    return check.fail(field, wanted, value);
  }
  const bytes = typeof value === "string" ? encoder.encode(value) : copyOf(value, wanted);
  check.integer(`${field} (bytes)`, bytes.length, 1, LIMITS.delimiterBytesMax);
  return bytes;
}

function copyOf(value: Uint8Array, wanted: string): Uint8Array {
  const length = check.bytes("options.delimiter", wanted, value);
  return intrinsics.viewOf(value, 0, length).slice();
}

class Delimited implements Codec<Uint8Array<ArrayBuffer>, Sendable> {
  readonly #delimiter: Uint8Array;
  readonly #max: number;

  constructor(delimiter: Uint8Array, max: number) {
    this.#delimiter = delimiter;
    this.#max = max;
  }

  async decode(stream: Stream, options?: CallOptions): Promise<Uint8Array<ArrayBuffer> | null> {
    const budget = CallBudget.ofMessage(stream, options);
    try {
      // The end of the stream is clean when no byte of another message has come.
      if (stream.buffered === 0 && !(await stream.wait(1, budget.left))) return null;
      const message = await stream.recvUntil(this.#delimiter, {
        ...budget.left,
        maxLength: this.#max,
      });
      const bytes = message.toUint8Array();
      return bytes.subarray(0, bytes.length - this.#delimiter.length);
    } catch (error) {
      throw budget.failure(error, MESSAGE, stream);
    }
  }

  encode(value: Sendable): Sendable {
    const body = messageBody(value);
    check.integer("value (bytes)", bodyLength(body), 0, this.#max - this.#delimiter.length);
    if (this.#isFoundIn(bodyViews(body))) {
      check.fail("value", "bytes in which no delimiter ends", value);
    }
    return withTail(body, this.#delimiter);
  }

  /**
   * Whether the peer would find a delimiter before the one that ends the message. It may also begin
   * in the message and end in the delimiter behind it: "ab" + "aba" for "aba".
   */
  #isFoundIn(views: readonly Uint8Array[]): boolean {
    const search = new DelimiterSearch(this.#delimiter);
    if (views.some((view) => search.find(view) >= 0)) return true;
    return search.find(this.#delimiter) < this.#delimiter.length;
  }
}
