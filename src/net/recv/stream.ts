/**
 * The receiving half of a connection.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { DelimiterSearch } from "../../base/delimiter_search.ts";
import { LIMITS } from "../../base/limits.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import { IoBufs } from "../../buf/io_bufs.ts";
import { type CallOptions, checkCall, checkSignal, checkTimeout } from "../call/call_options.ts";
import type { CloseReason } from "../call/close_reason.ts";
import { LineCall } from "./line_call.ts";
import { type Consumer, PushReceive } from "./push_receive.ts";
import type { RecvCall } from "./recv_call.ts";
import { RecvHalf } from "./recv_half.ts";
import type { Socket } from "../socket/socket.ts";
import { UntilCall } from "./until_call.ts";
import { checkDelimiter, checkUntil, MAX_LENGTH, type UntilOptions } from "./until_options.ts";

const EMPTY = new Uint8Array(0);

/** The default of `recvSome`: a program with small read buffers has to ask for large chunks. */
function someLength(readBufferSize: number): number {
  if (readBufferSize === 0) return LIMITS.unbufferedReadBytes;
  const { bulkFromBytes, bulkBufferBytes } = LIMITS;
  return readBufferSize < bulkFromBytes
    ? readBufferSize
    : Math.max(readBufferSize, bulkBufferBytes);
}

/** Ends the first pending call as an abort of its signal would; what had arrived stays buffered. */
export let abortReceive: (stream: Stream, reason: unknown) => void;

export class Stream implements AsyncIterable<Uint8Array> {
  readonly #queue: RecvHalf;
  readonly #someLength: number;
  readonly #timeoutMs: number | null;
  /** False until a look-ahead where there is no read buffer. */
  #canPeek: boolean;

  static {
    abortReceive = (stream, reason) => stream.#queue.abortFirst(reason);
  }

  /** @internal */
  constructor(socket: Socket) {
    this.#queue = new RecvHalf(socket);
    this.#timeoutMs = socket.context.config.readTimeoutMs;
    this.#someLength = someLength(socket.context.config.readBufferSize);
    this.#canPeek = socket.context.config.readBufferSize > 0;
  }

  /** Bytes that have arrived and can be had without waiting. */
  get buffered(): number {
    return this.#queue.buffered;
  }

  /**
   * True once the peer has closed its half, an error ended this one, or the connection is closed.
   */
  get closed(): boolean {
    return this.#queue.ended;
  }

  /** Bytes that the kernel delivered. */
  get bytesReceived(): number {
    return this.#queue.bytesReceived;
  }

  /**
   * Receives exactly `length` bytes. Calls are served in order. A timeout or an abort loses
   * nothing: what had arrived stays buffered, and the next call continues from it.
   *
   * Rejects with a NetworkError: "RecvFailed" (`endOfStream` when the peer closed first,
   * `bytesDone` what had arrived), "Timeout", "Closed"; with the signal's reason when aborted; with
   * TypeError or RangeError for a wrong length.
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
   * Receives what is there, 1 to `maxLength` bytes, waiting only when nothing is. The default is
   * 256 KiB, or the read buffer's size where that is larger, or below 64 KiB. A connection with
   * much to read brings more at a time than its read buffer holds, when the call may take it. Null
   * at a clean end of the stream, and then always. Rejects as `recv`.
   */
  recvSome(maxLength?: number, options?: CallOptions): Promise<IoBuf | null> {
    const queue = this.#queue;
    try {
      const length = maxLength === undefined ? this.#someLength : maxLength;
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

  /** `length` buffered bytes, at once, or null when fewer are buffered or a call waits for them. */
  tryRecv(length: number): IoBufs | null {
    check.integer("length", length, 0, LIMITS.lengthMax);
    if (length === 0) return new IoBufs();
    const queue = this.#queue;
    if (!queue.isQuiet || queue.buffered < length) return null;
    queue.noteActivity();
    return queue.buffer.take(length);
  }

  /**
   * A live view over at most `maxLength` buffered bytes, without I/O and without consuming. Valid
   * until the next call on this stream. Empty in unbuffered mode, unless `wait`, `recvUntil` or
   * `lines` was called on this stream: what those look at is buffered.
   */
  peek(maxLength: number): Uint8Array {
    check.integer("maxLength", maxLength, 0, LIMITS.lengthMax);
    return this.#canPeek ? this.#queue.buffer.peek(maxLength) : EMPTY;
  }

  /**
   * Receives through the next `delimiter`, which is included in the result: text (as UTF-8), bytes,
   * or one byte as a number from 0 to 255. Calls are served in order, with those of `recv`.
   *
   * Looks at each byte once, also where the delimiter comes in pieces, and never at more than
   * `maxLength` bytes. Bytes behind the delimiter stay buffered, in unbuffered mode too: there, one
   * look brings up to 64 KiB.
   *
   * Rejects with a NetworkError: "RecvFailed" (`endOfStream` when the peer closed before the
   * delimiter), "TooLong" when `maxLength` bytes have come and the delimiter does not end among
   * them, "Timeout", "Closed"; with the signal's reason when aborted; with TypeError or RangeError
   * for a delimiter without bytes or longer than `maxLength`, and for wrong options. A failure
   * consumes nothing: what had arrived stays buffered, and the next call begins with it.
   *
   * @example
   * const head = await connection.stream.recvUntil("\r\n\r\n", { maxLength: 16_384 });
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
   * Yields the lines of the stream as text, until its end: without their "\n" or "\r\n". A last
   * line without an end is yielded as it is. U+FEFF stays.
   *
   * The options apply to each line: `timeoutMs` is the budget of one, `maxLength` its bytes with
   * the end. The bytes behind a line stay buffered, so that the program may go on with other calls
   * when it leaves the loop.
   *
   * Throws TypeError or RangeError for wrong options, and the signal's reason when it is aborted
   * already. The iteration throws a NetworkError as `recvUntil` does, but for the end of the
   * stream; the signal's reason; TypeError for a line that is not UTF-8. A line that fails is not
   * consumed.
   *
   * @example
   * for await (const line of connection.stream.lines({ maxLength: 1_024 })) console.log(line);
   */
  lines(options?: UntilOptions): AsyncIterable<string> {
    const maxLength = checkUntil(options);
    let each: CallOptions | undefined;
    if (options !== undefined) {
      each = { timeoutMs: checkTimeout(options, this.#timeoutMs) };
      const signal = checkSignal(options);
      if (signal !== null) each.signal = signal;
    }
    return this.#lines(new LineCall(this.#queue, maxLength), each);
  }

  /**
   * Waits until `length` bytes are buffered, for `peek`, `tryRecv` or `consume`: true then, and at
   * once for 0. False when the stream ends cleanly before; what had come stays buffered, and the
   * end is still to be met. Consumes nothing. In unbuffered mode no more than `length` bytes are
   * asked of the kernel.
   *
   * Rejects with a NetworkError: "RecvFailed" after an error, "Timeout", "Closed"; with the
   * signal's reason when aborted; with TypeError or RangeError for a wrong length.
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
   * Drops the first `length` buffered bytes, as after a `peek`. Throws RangeError when fewer are
   * buffered, and TypeError while a call waits: the bytes are that call's.
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

  /** Yields plain copies of what arrives, until the end of the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (;;) {
      const chunk = await this.recvSome();
      if (chunk === null) return;
      yield chunk.toUint8Array();
    }
  }

  /** @internal Bytes go to a consumer from here on, paused at first. No calls beside it. */
  pushTo(consumer: Consumer): PushReceive {
    return new PushReceive(this.#queue, consumer, this.#someLength);
  }

  /** @internal Ends pending calls with "Closed". */
  abandon(reason: CloseReason): void {
    this.#queue.close(reason);
  }

  /** @internal A call waits. */
  get receiving(): boolean {
    return !this.#queue.isQuiet;
  }

  /** @internal A call is in the middle of a message: it has received a part of what it wants. */
  get midMessage(): boolean {
    return this.#queue.midMessage;
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

  /** The call's result, at once when it is buffered. */
  #until<T>(
    call: UntilCall,
    options: CallOptions | undefined,
    extra: string | null,
  ): T | Promise<T> {
    const queue = this.#queue;
    call.prepare(options, this.#timeoutMs, extra);
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
    call.prepare(options, this.#timeoutMs);
    return call.start<T>();
  }
}
