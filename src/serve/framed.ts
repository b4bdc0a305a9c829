/**
 * Messages instead of bytes: a connection seen through a codec.
 *
 *   stream --decode--> In, In, In, null at the end        send(Out) --encode--> sink
 *
 * @module
 */
import { check } from "../base/check.ts";
import type { CallOptions } from "../net/call/call_options.ts";
import type { Connection } from "../net/connection/connection.ts";
import type { Stream } from "../net/recv/stream.ts";
import type { Sendable } from "../net/send/load_call.ts";

/** How messages stand in a byte stream. */
export interface Codec<In, Out> {
  /**
   * Receives one message; null at a clean end of the stream. Consumes nothing when it rejects, so
   * that a call which timed out can be repeated.
   */
  decode(stream: Stream, options?: CallOptions): Promise<In | null>;
  /** The bytes of one message. Throws for what cannot be one. */
  encode(value: Out): Sendable;
}

/** A connection as messages, made by {@link framed}. */
export interface Framed<In, Out = In> extends AsyncIterable<In>, AsyncDisposable {
  /** The connection underneath. */
  readonly connection: Connection;
  /**
   * Receives one message; null at a clean end of the stream. Rejects as the codec's `decode`.
   */
  receive(options?: CallOptions): Promise<In | null>;
  /** Sends one message. Rejects as `Sink.send`, and with what the codec's `encode` throws. */
  send(value: Out, options?: CallOptions): Promise<void>;
  /** Closes the connection: pending sends first, then FIN. */
  close(): Promise<void>;
}

/**
 * Sees a connection as messages of a codec: iterate to receive, `send` to answer. Leaving the loop
 * early leaves the connection open.
 *
 * @example
 * ```ts
 * const messages = framed(connection, lengthPrefixed());
 * for await (const request of messages) await messages.send(request);
 * await messages.close();
 * ```
 */
export function framed<In, Out = In>(
  connection: Connection,
  codec: Codec<In, Out>,
): Framed<In, Out> {
  if (connection === null || typeof connection !== "object" || !("stream" in connection)) {
    check.fail("connection", "a Connection", connection);
  }
  if (typeof codec?.decode !== "function" || typeof codec.encode !== "function") {
    check.fail("codec", "an object with decode and encode", codec);
  }
  return new FramedConnection(connection, codec);
}

class FramedConnection<In, Out> implements Framed<In, Out> {
  readonly connection: Connection;
  readonly #codec: Codec<In, Out>;

  constructor(connection: Connection, codec: Codec<In, Out>) {
    this.connection = connection;
    this.#codec = codec;
  }

  receive(options?: CallOptions): Promise<In | null> {
    return this.#codec.decode(this.connection.stream, options);
  }

  send(value: Out, options?: CallOptions): Promise<void> {
    try {
      return this.connection.sink.send(this.#codec.encode(value), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.connection.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<In> {
    return new Messages(this.#codec, this.connection.stream);
  }
}

/** Not an async generator: that costs two more microtasks for each message. */
class Messages<In> implements AsyncIterator<In> {
  readonly #codec: Codec<In, never>;
  readonly #stream: Stream;
  #ended = false;

  constructor(codec: Codec<In, never>, stream: Stream) {
    this.#codec = codec;
    this.#stream = stream;
  }

  next(): Promise<IteratorResult<In>> {
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return this.#codec.decode(this.#stream).then(this.#wrap, this.#fail);
  }

  return(): Promise<IteratorResult<In>> {
    this.#ended = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  readonly #wrap = (value: In | null): IteratorResult<In> => {
    if (value !== null) return { done: false, value };
    this.#ended = true;
    return { done: true, value: undefined };
  };

  /** An iterator that has failed is over. */
  readonly #fail = (error: unknown): never => {
    this.#ended = true;
    throw error;
  };
}
