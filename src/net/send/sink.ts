/**
 * The sending half of a connection.
 *
 * @module
 */
import { brand } from "../../base/brand.ts";
import type { CallOptions } from "../call/call_options.ts";
import { CloseReason } from "../call/close_reason.ts";
import { DrainCall } from "./drain_call.ts";
import { FlushCall } from "./flush_call.ts";
import { LateError } from "./late_error.ts";
import { loadCall, type Sendable } from "./load_call.ts";
import { type Producer, PushSend } from "./push_send.ts";
import type { SendCall } from "./send_call.ts";
import { SendHalf } from "./send_half.ts";
import type { Socket } from "../socket/socket.ts";

function ignore(): void {}

/**
 * The sending half of a socket.
 * @internal
 */
export let openSink: (socket: Socket) => Sink;

/**
 * Starts to send without promises. May be mixed with `send`.
 * @internal
 */
export let pushSend: (sink: Sink, producer: Producer, limitBytes: number) => PushSend;

/**
 * Closes the half as `close` does, but leaves FIN to the end of the socket, which may send RST
 * instead. Returns null when no byte has to be sent before, the usual case, in which a close takes
 * no turn of microtasks. The promise never rejects.
 * @internal
 */
export let closeSinkWithoutFin: (sink: Sink, reason: CloseReason) => Promise<void> | null;

/**
 * Whether queued bytes were dropped because time ran out, so that the end has to be RST.
 * @internal
 */
export let sinkGaveUp: (sink: Sink) => boolean;

/**
 * Ends pending sends with "Closed", and refuses later ones.
 * @internal
 */
export let abandonSink: (sink: Sink, reason: CloseReason) => void;

/**
 * The sending half of a {@link Connection}.
 *
 * Calls may overlap. They leave in order, in as few kernel operations as possible.
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
 * await client.sink.send(["hello, ", "world"]);
 * await client.sink.close();
 * console.log((await server.stream.recv(12)).text()); // hello, world
 * ```
 */
export class Sink {
  readonly #socket: Socket;
  /** Made by the first call that sends or closes, because many connections never send. */
  #half: SendHalf | null = null;
  #closing: Promise<void> | null = null;
  #late: LateError | null = null;

  static {
    brand(this, "Sink");
    openSink = (socket) => new Sink(socket);
    pushSend = (sink, producer, limitBytes) => new PushSend(sink.#queue, producer, limitBytes);
    closeSinkWithoutFin = (sink, reason) => {
      const queue = sink.#queue;
      if (sink.#closing === null) {
        queue.closeAfterQueue(reason);
        sink.#closing = sink.#drained();
      }
      return queue.isDrained ? null : sink.#closing;
    };
    sinkGaveUp = (sink) => sink.#half !== null && sink.#half.gaveUp;
    abandonSink = (sink, reason) => sink.#queue.closeNow(reason);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  get #queue(): SendHalf {
    return this.#half ??= new SendHalf(this.#socket);
  }

  /** True once the half is closed, by `close` or by a failure. */
  get closed(): boolean {
    return this.#half !== null && this.#half.closed;
  }

  /** The number of bytes that the kernel has taken. */
  get bytesSent(): number {
    return this.#half === null ? 0 : this.#half.bytesSent;
  }

  /** The number of bytes that were given to `send` and that the kernel has not taken yet. */
  get bytesQueued(): number {
    return this.#half === null ? 0 : this.#half.queuedBytes;
  }

  /**
   * Sends all bytes of `data`, and resolves when the kernel has taken them. Awaiting the promise
   * gives backpressure.
   *
   * An array of up to 64 KiB, and text, is copied before `send` returns. A larger array must not
   * change until the promise settles. A buffer (`IoBuf`, `IoBufMut`, `IoBufs`) is moved in, also
   * when the call fails.
   *
   * When the call fails before the kernel has taken a byte, the half stays usable. When the kernel
   * has taken a part, FIN is sent and the half is closed.
   *
   * With `writeBufferSize`, a send that fits into the write buffer resolves at once. Its error then
   * shows on the next `send`, `flush` or `close`.
   *
   * @param data The bytes: see {@link Sendable}.
   * @param options A signal, and a budget. The budget defaults to `writeTimeoutMs`.
   * @throws {NetworkError} `"SendFailed"`: the peer is gone, or the kernel reports an errno.
   * `"Timeout"`: the budget ran out. `"Closed"`: the half is closed. `bytesDone` says how many
   * bytes the kernel took.
   * @throws {TypeError} `data` or an option has a wrong type, or the memory was transferred away,
   * also while the call is pending.
   * @throws {RangeError} `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  send(data: Sendable, options?: CallOptions): Promise<void> {
    const queue = this.#queue;
    const call = queue.newCall();
    try {
      const { config } = this.#socket.context;
      // Before all checks, because a buffer is moved in even when the call fails.
      loadCall(queue, call, data);
      call.prepare(options, config.writeTimeoutMs);
      this.#throwLate();
      if (queue.closed) throw queue.closedError();
      if (call.totalBytes === 0) return Promise.resolve();
      const fits = queue.queuedBytes + call.totalBytes <= config.writeBufferSize;
      const promise = fits ? this.#buffer(call) : call.promise<void>();
      call.enter();
      return promise;
    } catch (error) {
      queue.dropCall(call);
      return Promise.reject(error);
    }
  }

  /**
   * Waits until the kernel has taken every byte that was given to `send` before this call. Does not
   * wait for sends that begin later.
   *
   * @param options A signal, and a budget. The budget defaults to `writeTimeoutMs`.
   * @throws {NetworkError} `"Timeout"`: the budget ran out. `"Closed"`: the half ended and dropped
   * some of those bytes. Any other code: the error of an earlier send that had resolved when it was
   * buffered.
   * @throws {TypeError} An option is unknown or has a wrong type.
   * @throws {RangeError} `timeoutMs` is out of range.
   * @throws The reason of the signal, when the signal is aborted.
   */
  flush(options?: CallOptions): Promise<void> {
    const call = new FlushCall(this.#queue, this.#late);
    try {
      call.prepare(options, this.#socket.context.config.writeTimeoutMs);
      this.#throwLate();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#queue.empty ? Promise.resolve() : call.start<void>();
  }

  /**
   * Half close: sends the queued bytes, then FIN. The stream stays open. Idempotent. Resolves when
   * FIN is sent, or when `shutdownTimeoutMs` has run out and the remaining bytes were dropped.
   *
   * @throws {NetworkError} The error of a buffered send that no earlier call has shown.
   */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#queue.finishAfterQueue(new CloseReason("the sink was closed"));
      this.#closing = this.#drained();
    }
    if (this.#late === null) return this.#closing;
    return this.#closing.then(() => this.#throwLate());
  }

  /** Resolves when all bytes of a closed half have left, or when the budget is over. */
  #drained(): Promise<void> {
    const queue = this.#queue;
    if (queue.isDrained) return Promise.resolve();
    const call = new DrainCall(queue);
    call.timeoutMs = this.#socket.context.config.shutdownTimeoutMs;
    return call.start<void>();
  }

  /** Resolves the promise at once. The next send, flush or close reports a later error. */
  #buffer(call: SendCall): Promise<void> {
    this.#late ??= new LateError();
    call.forgetOptions();
    call.take(ignore, this.#late.keep);
    return this.#late.done;
  }

  #throwLate(): void {
    const late = this.#late === null ? null : this.#late.take();
    if (late !== null) throw late.error;
  }
}
