/**
 * The receiving half of a connection.
 *
 * @module
 */
import { brand } from "../../base/brand.ts";
import { check } from "../../base/check.ts";
import { DelimiterSearch } from "../../base/delimiter_search.ts";
import { LIMITS } from "../../base/limits.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import { IoBufs } from "../../buf/io_bufs.ts";
import { type CallOptions, checkCall, checkSignal, checkTimeout } from "../call/call_options.ts";
import type { CloseReason } from "../call/close_reason.ts";
import type { Telling } from "../call/ended_calls.ts";
import type { ResolvedConfig } from "../config/config.ts";
import { LineCall } from "./line_call.ts";
import { type Consumer, PushReceive } from "./push_receive.ts";
import type { RecvCall } from "./recv_call.ts";
import type { FlightEnd } from "./recv_calls.ts";
import { RecvHalf } from "./recv_half.ts";
import type { Socket } from "../socket/socket.ts";
import { UntilCall } from "./until_call.ts";
import { checkDelimiter, checkUntil, MAX_LENGTH, type UntilOptions } from "./until_options.ts";

const EMPTY = new Uint8Array(0);

/** The default length of `recvSome`. With small read buffers, large chunks come only on request. */
function someLength(readBufferSize: number): number {
  if (readBufferSize === 0) return LIMITS.unbufferedReadBytes;
  const { bulkFromBytes, bulkBufferBytes } = LIMITS;
  return readBufferSize < bulkFromBytes
    ? readBufferSize
    : Math.max(readBufferSize, bulkBufferBytes);
}

/**
 * The receiving half of a socket.
 * @internal
 */
export let openStream: (socket: Socket) => Stream;

/**
 * Delivers the bytes to a consumer from now on, paused at first. No other call may be made then.
 * @internal
 */
export let pushReceive: (stream: Stream, consumer: Consumer) => PushReceive;

/** Ends pending calls with "Closed", and the receive in flight. @internal */
export let abandonStream: (
  stream: Stream,
  reason: CloseReason,
  flight: FlightEnd,
  telling: Telling,
) => void;

/** Tells the callers of ended calls now. @internal */
export let tellEnded: (stream: Stream) => void;

/**
 * Whether a call is in the middle of a message: it has received a part of its bytes.
 * @internal
 */
export let isMidMessage: (stream: Stream) => boolean;

/** Whether a call waits. @internal */
export let isReceiving: (stream: Stream) => boolean;

/**
 * Ends the first pending call as an abort of its signal would. Bytes that had arrived stay
 * buffered.
 * @internal
 */
export let abortReceive: (stream: Stream, reason: unknown) => void;

/** Null for a stand-in of a program, such as a proxy of a stream. @internal */
export let socketOf: (stream: Stream) => Socket | null;

/**
 * The receiving half of a {@link Connection}.
 *
 * Calls may overlap. They are served in order. A call that times out or is aborted loses no byte:
 * bytes that had arrived stay buffered for the next call.
 *
 * @example
 * ```ts
 * import { Network } from "@uringnet/uringnet";
 *
 * await using network = await Network.start();
 * await using listener = await network.bind("127.0.0.1:0");
 * const accepting = listener.accept();
 * await using client = await network.dial(listener.localAddress);
 * await using server = await accepting;
 *
 * await client.sink.send("0005hello");
 * await client.sink.close();
 * const length = Number((await server.stream.recv(4)).text());
 * console.log((await server.stream.recv(length)).text()); // hello
 * console.log(await server.stream.recvSome()); // null
 * ```
 */
export class Stream implements AsyncIterable<Uint8Array> {
  readonly #queue: RecvHalf;
  /** Whether `peek` shows bytes. Without read buffering, false until a call has looked ahead. */
  #canPeek: boolean;

  static {
    brand(this, "Stream");
    openStream = (socket) => new Stream(socket);
    pushReceive = (stream, consumer) =>
      new PushReceive(stream.#queue, consumer, someLength(stream.#config.readBufferSize));
    abandonStream = (stream, reason, flight, telling) =>
      stream.#queue.close(reason, flight, telling);
    tellEnded = (stream) => stream.#queue.tellEnded();
    isMidMessage = (stream) => stream.#queue.midMessage;
    isReceiving = (stream) => !stream.#queue.isQuiet;
    abortReceive = (stream, reason) => stream.#queue.abortFirst(reason);
    socketOf = (stream) => #queue in stream ? stream.#queue.socket : null;
  }

  private constructor(socket: Socket) {
    this.#queue = new RecvHalf(socket);
    this.#canPeek = socket.context.config.readBufferSize > 0;
  }

  get #config(): ResolvedConfig {
    return this.#queue.socket.context.config;
  }

  /** The number of bytes that have arrived and that a call can take without waiting. */
  get buffered(): number {
    return this.#queue.buffered;
  }

  /**
   * True once the peer has closed its half, an error ended this one, or the connection is closed.
   */
  get closed(): boolean {
    return this.#queue.ended;
  }

  /** The number of bytes that the kernel has delivered. */
  get bytesReceived(): number {
    return this.#queue.bytesReceived;
  }

  /**
   * Receives exactly `length` bytes. Length 0 resolves without I/O. A large receive allocates
   * memory as bytes arrive, so a program must limit a length that a peer has sent.
   *
   * @param length The number of bytes, 0 to 4,294,967,295.
   * @param options A signal, and a budget. The budget defaults to `readTimeoutMs`.
   * @returns The bytes.
   * @throws {NetworkError} `"RecvFailed"`: the peer closed before `length` bytes came
   * (`endOfStream` is true, `bytesDone` says how many came), or the kernel reports an errno.
   * `"Timeout"`: the budget ran out. `"Closed"`: the half is closed.
   * @throws {TypeError} `length` or an option has a wrong type.
   * @throws {RangeError} `length` or `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  recv(length: number, options?: CallOptions): Promise<IoBufs> {
    const queue = this.#queue;
    try {
      check.integer("length", length, 0, LIMITS.lengthMax);
      if (length === 0) {
        checkCall(options);
        return Promise.resolve(new IoBufs());
      }
      if (options === undefined && queue.isQuiet && queue.buffered >= length) {
        queue.noteActivity();
        return Promise.resolve(queue.buffer.take(length));
      }
      return this.#start<IoBufs>(queue.newCall(length, "exact"), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Receives the bytes that have arrived, and waits only when there are none. A connection with
   * much to read returns more bytes at a time than its read buffer holds, when `maxLength` allows
   * it.
   *
   * @param maxLength The largest number of bytes to return, 1 to 4,294,967,295. Defaults to
   * 256 KiB, or to `readBufferSize` where that is larger, or below 64 KiB. Defaults to 64 KiB with
   * `readBufferSize: 0`.
   * @param options A signal, and a budget. The budget defaults to `readTimeoutMs`.
   * @returns 1 to `maxLength` bytes, or null at a clean end of the stream, and at each call after
   * that.
   * @throws {NetworkError} `"RecvFailed"`: the kernel reports an errno, such as a reset.
   * `"Timeout"`: the budget ran out. `"Closed"`: the half is closed.
   * @throws {TypeError} `maxLength` or an option has a wrong type.
   * @throws {RangeError} `maxLength` or `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  recvSome(maxLength?: number, options?: CallOptions): Promise<IoBuf | null> {
    const queue = this.#queue;
    try {
      const length = maxLength === undefined ? someLength(this.#config.readBufferSize) : maxLength;
      check.integer("maxLength", length, 1, LIMITS.lengthMax);
      if (options === undefined && queue.isQuiet && queue.buffered > 0) {
        queue.noteActivity();
        return Promise.resolve(queue.buffer.takeSome(length));
      }
      return this.#start<IoBuf | null>(queue.newCall(length, "some"), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Takes buffered bytes at once, without I/O.
   *
   * @param length The number of bytes, 0 to 4,294,967,295.
   * @returns Exactly `length` bytes, or null when fewer are buffered or another call waits for
   * them.
   * @throws {TypeError} `length` is not a number.
   * @throws {RangeError} `length` is not an integer in range.
   */
  tryRecv(length: number): IoBufs | null {
    check.integer("length", length, 0, LIMITS.lengthMax);
    if (length === 0) return new IoBufs();
    const queue = this.#queue;
    if (!queue.isQuiet || queue.buffered < length) return null;
    queue.noteActivity();
    return queue.buffer.take(length);
  }

  /**
   * Shows buffered bytes without I/O, and consumes none of them. Empty with `readBufferSize: 0`,
   * unless `wait`, `recvUntil` or `lines` was called on this stream: these calls buffer the bytes
   * that they look at.
   *
   * @param maxLength The largest number of bytes to show, 0 to 4,294,967,295.
   * @returns A live view, valid until the next call on this stream.
   * @throws {TypeError} `maxLength` is not a number.
   * @throws {RangeError} `maxLength` is not an integer in range.
   */
  peek(maxLength: number): Uint8Array {
    check.integer("maxLength", maxLength, 0, LIMITS.lengthMax);
    return this.#canPeek ? this.#queue.buffer.peek(maxLength) : EMPTY;
  }

  /**
   * Receives through the next delimiter, which is included in the result. Calls are served in
   * order, with those of `recv`. A failure consumes no byte: bytes that had arrived stay buffered,
   * and the next call begins with them.
   *
   * The call searches each byte once, even when the delimiter arrives in pieces, and at most
   * `maxLength` bytes. Bytes behind the delimiter stay buffered, even with `readBufferSize: 0`,
   * where one receive brings up to 64 KiB.
   *
   * @param delimiter Text (as UTF-8), bytes, or one byte as a number from 0 to 255.
   * @param options A signal, a budget, and `maxLength` (65,536). The budget defaults to
   * `readTimeoutMs`.
   * @returns The bytes up to the delimiter, and the delimiter.
   * @throws {NetworkError} `"TooLong"`: `maxLength` bytes have come without a complete delimiter.
   *   `"RecvFailed"`: the peer closed before the delimiter (`endOfStream` is true), or
   * the kernel reports an errno. `"Timeout"`: the budget ran out. `"Closed"`: the half is closed.
   * @throws {TypeError} The delimiter or an option has a wrong type.
   * @throws {RangeError} The delimiter is empty or longer than `maxLength`, or an option is out of
   * range.
   * @throws The reason of the signal, when the signal is aborted.
   *
   * @example
   * ```ts
   * import { Network } from "@uringnet/uringnet";
   *
   * await using network = await Network.start();
   * await using listener = await network.bind("127.0.0.1:0");
   * const accepting = listener.accept();
   * await using client = await network.dial(listener.localAddress);
   * await using server = await accepting;
   *
   * await client.sink.send("GET /\r\n\r\nbody");
   * using head = await server.stream.recvUntil("\r\n\r\n", { maxLength: 16_384 });
   * console.log(head.length, server.stream.buffered); // 9 4
   * ```
   */
  recvUntil(
    delimiter: string | Uint8Array | number,
    options?: UntilOptions,
  ): Promise<IoBufs> {
    try {
      const maxLength = checkUntil(options);
      const search = new DelimiterSearch(checkDelimiter(delimiter, maxLength));
      return Promise.resolve(
        this.#until<IoBufs>(new UntilCall(this.#queue, search, maxLength), options, MAX_LENGTH),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Yields the lines of the stream as UTF-8 text, until the end of the stream, without their "\n"
   * or "\r\n". A last line without a line break is yielded as well. U+FEFF is kept.
   *
   * The options apply to each line: `timeoutMs` is the budget of one line, and `maxLength` the
   * largest number of bytes of one line with its line break, where it has one. Bytes behind a line
   * stay buffered, so a program may leave the loop and continue with other calls.
   *
   * The iteration throws the errors of `recvUntil`, except at the end of the stream, and TypeError
   * for a line that is not UTF-8. A line that fails is not consumed.
   *
   * @param options A signal, a budget, and `maxLength` (65,536).
   * @returns Lines without their line breaks.
   * @throws {TypeError} An option is unknown or has a wrong type.
   * @throws {RangeError} An option is out of range.
   * @throws The reason of the signal, when the signal is aborted already.
   *
   * @example
   * ```ts
   * import { Network } from "@uringnet/uringnet";
   *
   * await using network = await Network.start();
   * await using listener = await network.bind("127.0.0.1:0");
   * const accepting = listener.accept();
   * await using client = await network.dial(listener.localAddress);
   * await using server = await accepting;
   *
   * await client.sink.send("first\nsecond\r\nthird");
   * await client.sink.close();
   * const lines: string[] = [];
   * for await (const line of server.stream.lines({ maxLength: 1_024 })) lines.push(line);
   * console.log(lines.join()); // first,second,third
   * ```
   */
  lines(options?: UntilOptions): AsyncIterable<string> {
    const maxLength = checkUntil(options);
    let each: CallOptions | undefined;
    if (options !== undefined) {
      each = { timeoutMs: checkTimeout(options, this.#config.readTimeoutMs) };
      const signal = checkSignal(options);
      if (signal !== null) each.signal = signal;
    }
    return this.#lines(new LineCall(this.#queue, maxLength), each);
  }

  /**
   * Waits until `length` bytes are buffered, for `peek`, `tryRecv` or `consume`. Consumes nothing.
   * Asks the kernel for no more than `length` bytes with `readBufferSize: 0`.
   *
   * @param length The number of bytes, 0 to 4,294,967,295. Length 0 resolves at once.
   * @param options A signal, and a budget. The budget defaults to `readTimeoutMs`.
   * @returns True once the bytes are buffered. False when the stream ends cleanly first: bytes that
   *   had come stay buffered, and the next receive still meets the end.
   * @throws {NetworkError} `"RecvFailed"`: the kernel reports an errno. `"Timeout"`: the budget ran
   * out. `"Closed"`: the half is closed.
   * @throws {TypeError} `length` or an option has a wrong type.
   * @throws {RangeError} `length` or `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  wait(length: number, options?: CallOptions): Promise<boolean> {
    const queue = this.#queue;
    try {
      check.integer("length", length, 0, LIMITS.lengthMax);
      this.#canPeek = true;
      if (length === 0) {
        checkCall(options);
        return Promise.resolve(true);
      }
      if (options === undefined && queue.isQuiet && queue.buffered >= length) {
        queue.noteActivity();
        return Promise.resolve(true);
      }
      return this.#start<boolean>(queue.newCall(length, "wait"), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Drops buffered bytes, for example after a `peek`.
   *
   * @param length The number of bytes, 0 to `buffered`.
   * @throws {TypeError} `length` is not a number, or another call waits for the bytes.
   * @throws {RangeError} `length` is not an integer in range: fewer bytes are buffered.
   */
  consume(length: number): void {
    const queue = this.#queue;
    check.integer("length", length, 0, queue.buffered);
    if (!queue.isQuiet) {
      throw new TypeError(`Cannot consume ${length} bytes: another call waits for them`);
    }
    if (length === 0) return;
    queue.noteActivity();
    queue.buffer.drop(length);
  }

  /**
   * Receives until the end of the stream, for `for await`. The iteration throws as `recvSome` does.
   *
   * @returns An iterator over plain copies of the bytes that arrive.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (;;) {
      const chunk = await this.recvSome();
      if (chunk === null) return;
      yield chunk.toUint8Array();
    }
  }

  async *#lines(
    call: LineCall,
    options: CallOptions | undefined,
  ): AsyncGenerator<string, void, undefined> {
    for (;;) {
      const line = await this.#until<string | null>(call, options, null);
      if (line === null) return;
      yield line;
      call.restart();
    }
  }

  /** The result of the call, at once when it is buffered. */
  #until<T>(
    call: UntilCall,
    options: CallOptions | undefined,
    extra: string | null,
  ): T | Promise<T> {
    const queue = this.#queue;
    call.prepare(options, this.#config.readTimeoutMs, extra);
    this.#canPeek = true;
    if (queue.isQuiet && queue.buffered > 0) {
      const length = call.find(queue.buffer);
      if (length >= 0) {
        queue.noteActivity();
        return call.give(queue.buffer, length, true) as T;
      }
    }
    return call.start<T>();
  }

  #start<T>(call: RecvCall, options: CallOptions | undefined): Promise<T> {
    call.prepare(options, this.#config.readTimeoutMs);
    return call.start<T>();
  }
}
