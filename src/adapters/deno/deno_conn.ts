/**
 * A connection with the interface of `Deno.Conn`, over the ring.
 *
 *   open --close(), dispose, end of `readable`, close of `writable`--> closed
 *
 * - A read gets 1 to `length` bytes, null at the end of the stream, and 0 for memory of length 0.
 *   Concurrent reads are served in order.
 * - A write resolves when the kernel has all of its bytes, never a part of them.
 * - `close` returns at once and is graceful: written bytes are sent first, then FIN. A pending read
 *   rejects with "Interrupted", later calls with "BadResource".
 *
 * @module
 */
import { intrinsics } from "../../base/intrinsics.ts";
import { hasCode } from "../../base/network_error.ts";
import type { IoBuf } from "../../buf/io_buf.ts";
import type { Connection } from "../../net/connection/connection.ts";
import { type Addr, denoAddr } from "./addr.ts";
import { connStreams, type StreamEnds } from "./conn_streams.ts";
import { badResource, denoError, interrupted, kernelError } from "./errors.ts";

const NO_BYTES = new Uint8Array(0);

/** The bytes of a typed array of any kind, none when its memory is gone. Throws as Deno does. */
function bytesOf(memory: unknown): Uint8Array {
  if (!intrinsics.isTypedArray(memory)) throw new TypeError("expected typed ArrayBufferView");
  return intrinsics.lengthOf(memory) === 0 ? NO_BYTES : intrinsics.bytesOf(memory);
}

/** A connection with the members of `Deno.Conn`. */
export class DenoConn<A extends Addr = Addr> implements Disposable {
  /** @internal Also for `DenoTcpConn`. */
  protected readonly connection: Connection;
  /** This end. */
  readonly localAddr: A;
  /** The peer's end. */
  readonly remoteAddr: A;
  #closed = false;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | null = null;
  #writable: WritableStream<Uint8Array<ArrayBufferLike>> | null = null;

  /** @internal Use `toDenoConn`. */
  constructor(connection: Connection) {
    this.connection = connection;
    this.localAddr = denoAddr(connection.localAddress) as A;
    this.remoteAddr = denoAddr(connection.remoteAddress) as A;
  }

  /**
   * Receives into `p`. Resolves with the number of bytes, 1 to its length, or null at the end of
   * the stream. Rejects with an error of `Deno.errors`: "ConnectionReset", "Interrupted" when the
   * connection is closed meanwhile, "BadResource" when it was closed before.
   */
  async read(p: Uint8Array): Promise<number | null> {
    this.throwClosed();
    const target = bytesOf(p);
    if (target.length === 0) return 0;
    using chunk = await this.#receive(target.length);
    if (chunk === null) return null;
    if (target.length < chunk.length) {
      throw new TypeError(
        `Cannot read ${chunk.length} bytes: the memory was transferred away meanwhile`,
      );
    }
    target.set(chunk.bytes);
    return chunk.length;
  }

  /**
   * Sends `p` and resolves with its length once the kernel has all of it. An array of more than
   * 64 KiB must not change until then. Rejects with "BrokenPipe", "ConnectionReset", "Interrupted"
   * when the connection is closed and the rest could not be sent in time, or "BadResource".
   */
  async write(p: Uint8Array): Promise<number> {
    this.throwClosed();
    const source = bytesOf(p);
    const { length } = source;
    await this.#send(source);
    return length;
  }

  /** Sends FIN after the written bytes; the other direction stays open. Idempotent. */
  async closeWrite(): Promise<void> {
    this.throwClosed();
    await this.connection.sink.close();
  }

  /** Closes the connection. Throws "BadResource" when it is closed. */
  close(): void {
    this.throwClosed();
    this.#finish();
  }

  /** Pending calls keep the process alive (the default). */
  ref(): void {
    this.connection.ref();
  }

  /** Pending calls do not keep the process alive. */
  unref(): void {
    this.connection.unref();
  }

  /**
   * The received bytes as a byte stream. The connection closes when the stream ends, fails or is
   * cancelled.
   */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= connStreams.readable(this.#ends());
  }

  /**
   * A stream that sends the chunks that are written to it. The connection closes when it is closed
   * or aborted, or fails.
   */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#writable ??= connStreams.writable(this.#ends());
  }

  /** Closes the connection unless it is closed. */
  [Symbol.dispose](): void {
    this.#finish();
  }

  /** @internal */
  protected throwClosed(): void {
    if (this.#closed) throw badResource();
  }

  #ends(): StreamEnds {
    const closed = () => this.#closed;
    return {
      get closed() {
        return closed();
      },
      receive: (maxLength) => this.#receive(maxLength),
      send: (bytes) => this.#send(bytes),
      finish: () => this.#finish(),
    };
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Never rejects.
    void this.connection.close();
  }

  async #receive(maxLength: number | undefined): Promise<IoBuf | null> {
    const { stream } = this.connection;
    const wasOpen = !stream.closed;
    try {
      return await stream.recvSome(maxLength);
    } catch (error) {
      if (this.#closed) throw interrupted(error);
      if (hasCode(error, "Closed")) {
        // The kernel reports a reset once. Later receives see the end of the stream.
        if (error.errno !== null) return null;
        // The program has closed the network, or the connection below.
        if (wasOpen) throw interrupted(error);
      }
      throw denoError(error);
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    try {
      await this.connection.sink.send(bytes);
    } catch (error) {
      if (this.#closed) throw interrupted(error);
      // The half was closed before, by `closeWrite` or by a failure.
      throw hasCode(error, "Closed") ? kernelError("EPIPE", error) : denoError(error);
    }
  }
}
