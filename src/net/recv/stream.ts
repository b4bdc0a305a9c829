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

/** The default of `recvSome`. A program with small read buffers gets large chunks on request only. */
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
 * Sends the bytes to a consumer from here on, paused at first. No call may be made beside it.
 * @internal
 */
export let pushReceive: (stream: Stream, consumer: Consumer) => PushReceive;

/**
 * Ends pending calls with "Closed".
 * @internal
 */
export let abandonStream: (stream: Stream, reason: CloseReason) => void;

/**
 * Whether a call is in the middle of a message: it has received a part of its bytes.
 * @internal
 */
export let isMidMessage: (stream: Stream) => boolean;

/**
 * The receiving half of a {@link Connection}.
 *
 * Calls may overlap. They are served in order. A call that times out or is aborted loses nothing:
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
  readonly #socket: Socket;
  readonly #queue: RecvQueue;
  readonly #someLength: number;
  readonly #timeoutMs: number | null;

  static {
    openStream = (socket) => new Stream(socket);
    pushReceive = (stream, consumer) =>
      new PushReceive(stream.#queue, consumer, stream.#someLength);
    abandonStream = (stream, reason) => stream.#queue.close(reason);
    isMidMessage = (stream) => stream.#queue.midMessage;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#queue = new RecvQueue(socket);
    this.#timeoutMs = socket.context.config.readTimeoutMs;
    this.#someLength = someLength(socket.context.config.readBufferSize);
  }

  /** The number of bytes that have arrived and that a call gets without waiting. */
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
   * Receives exactly `length` bytes. Length 0 resolves without I/O. A large receive takes memory as
   * bytes arrive, so that a length that a peer has sent needs a limit of the program's own.
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
   * Receives the bytes that are there, and waits only when there are none. A connection with much
   * to read brings more at a time than its read buffer holds, when `maxLength` allows it.
   *
   * @param maxLength The most bytes to return, 1 to 4,294,967,295. Defaults to 256 KiB, or to
   * `readBufferSize` where that is larger, or below 64 KiB.
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
    if (!queue.quiet || queue.buffered < length) return null;
    queue.noteActivity();
    return queue.buffer.take(length);
  }

  /**
   * Shows buffered bytes without I/O, and consumes none of them. Always empty with
   * `readBufferSize: 0`.
   *
   * @param maxLength The most bytes to show, 0 to 4,294,967,295.
   * @returns A live view, valid until the next call on this stream.
   * @throws {TypeError} `maxLength` is not a number.
   * @throws {RangeError} `maxLength` is not an integer in range.
   */
  peek(maxLength: number): Uint8Array {
    check.integer("maxLength", maxLength, 0, LIMITS.lengthMax);
    if (this.#socket.context.config.readBufferSize === 0) return EMPTY;
    return this.#queue.buffer.peek(maxLength);
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

  #start<T>(call: RecvCall, options: CallOptions | undefined): Promise<T> {
    call.prepare(options, this.#timeoutMs);
    const promise = call.promise<T>();
    call.begin();
    this.#queue.push(call);
    return promise;
  }
}
