/**
 * The receiving half of a connection.
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { LIMITS } from "../../base/limits.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import { IoBufs } from "../../buf/io_bufs.ts";
import { type CallOptions, checkCall } from "../call/call_options.ts";
import type { CloseReason } from "../call/close_reason.ts";
import { type Consumer, PushReceive } from "./push_receive.ts";
import type { RecvCall } from "./recv_call.ts";
import { RecvQueue } from "./recv_queue.ts";
import type { Socket } from "../socket/socket.ts";

const EMPTY = new Uint8Array(0);

/** Who chose small read buffers gets large chunks only when it asks for them. */
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
  readonly #socket: Socket;
  readonly #queue: RecvQueue;
  readonly #someLength: number;
  readonly #timeoutMs: number | null;

  static {
    abortReceive = (stream, reason) => stream.#queue.abortFirst(reason);
  }

  /** @internal */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#queue = new RecvQueue(socket);
    this.#timeoutMs = socket.context.config.readTimeoutMs;
    this.#someLength = someLength(socket.context.config.readBufferSize);
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
      if (options === undefined && queue.quiet && queue.buffered >= length) {
        queue.noteActivity();
        return Promise.resolve(queue.buffer.take(length));
      }
      return this.#start<IoBufs>(queue.newCall(length, true), options);
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
      if (options === undefined && queue.quiet && queue.buffered > 0) {
        queue.noteActivity();
        return Promise.resolve(queue.buffer.takeSome(length));
      }
      return this.#start<IoBuf | null>(queue.newCall(length, false), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** `length` buffered bytes, at once, or null when fewer are buffered or a call waits for them. */
  tryRecv(length: number): IoBufs | null {
    check.integer("length", length, 0, LIMITS.lengthMax);
    if (length === 0) return new IoBufs();
    const queue = this.#queue;
    if (!queue.quiet || queue.buffered < length) return null;
    queue.noteActivity();
    return queue.buffer.take(length);
  }

  /**
   * A live view over at most `maxLength` buffered bytes, without I/O and without consuming. Valid
   * until the next call on this stream. Always empty in unbuffered mode.
   */
  peek(maxLength: number): Uint8Array {
    check.integer("maxLength", maxLength, 0, LIMITS.lengthMax);
    if (this.#socket.context.config.readBufferSize === 0) return EMPTY;
    return this.#queue.buffer.peek(maxLength);
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
  consume(consumer: Consumer): PushReceive {
    return new PushReceive(this.#queue, consumer, this.#someLength);
  }

  /** @internal Ends pending calls with "Closed". */
  abandon(reason: CloseReason): void {
    this.#queue.close(reason);
  }

  /** @internal A call waits. */
  get receiving(): boolean {
    return !this.#queue.quiet;
  }

  /** @internal A call is in the middle of a message: it has received a part of what it wants. */
  get midMessage(): boolean {
    return this.#queue.midMessage;
  }

  #start<T>(call: RecvCall, options: CallOptions | undefined): Promise<T> {
    call.prepare(options, this.#timeoutMs);
    const promise = call.promise<T>();
    call.begin();
    this.#queue.push(call);
    return promise;
  }
}
