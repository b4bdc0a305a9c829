/**
 * Messages instead of bytes: a connection with a codec.
 *
 *   stream --decode--> In, In, In, null at the end        send(Out) --encode--> sink
 *
 * @module
 */
import { check } from "../base/check.ts";
import { hasCode } from "../base/network_error.ts";
import type { CallOptions } from "../net/call/call_options.ts";
import type { Connection } from "../net/connection/connection.ts";
import type { Stream } from "../net/recv/stream.ts";
import type { Sendable } from "../net/send/load_call.ts";
import { CallBudget, MESSAGE } from "./call_budget.ts";
import { MessageTurns } from "./message_turns.ts";

/** Writes messages to a byte stream and reads them from it. A program may have its own codec. */
export interface Codec<In, Out> {
  /**
   * Receives one message. Consumes nothing when it rejects, so that the program can repeat a call
   * that timed out. {@link Framed} makes one such call at a time for each stream; a program that
   * calls the codec itself does so as well.
   *
   * @param stream The source of the bytes.
   * @param options A signal, and a budget.
   * @returns The message, or null at a clean end of the stream.
   */
  decode(stream: Stream, options?: CallOptions): Promise<In | null>;
  /**
   * Makes the bytes of one message. Throws for a value that cannot be a message.
   *
   * @param value The message.
   * @returns The bytes, for `Sink.send`.
   */
  encode(value: Out): Sendable;
}

/** A connection as messages, made by {@link framed}. */
export interface Framed<In, Out = In> extends AsyncIterable<In>, AsyncDisposable {
  /** The connection underneath. */
  readonly connection: Connection;
  /**
   * Receives one message. Rejects with the errors of the codec's `decode`. Calls may overlap, with
   * each other and with an iteration. They are served in order.
   *
   * @param options A signal, and a budget. The budget defaults to `readTimeoutMs`.
   * @returns The message, or null at a clean end of the stream.
   */
  receive(options?: CallOptions): Promise<In | null>;
  /**
   * Sends one message. Rejects with the errors of `Sink.send` and of the codec's `encode`.
   *
   * @param value The message.
   * @param options A signal, and a budget. The budget defaults to `writeTimeoutMs`.
   */
  send(value: Out, options?: CallOptions): Promise<void>;
  /** Closes the connection: pending sends first, then FIN. */
  close(): Promise<void>;
}

/**
 * Gives access to a connection as messages of a codec: iterate to receive, `send` to answer.
 * Leaving the loop early leaves the connection open.
 *
 * @param connection The connection.
 * @param codec The codec, such as {@link lengthPrefixed} or {@link delimited}.
 * @returns The messages of the connection.
 * @throws {TypeError} An argument has a wrong type.
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
 * const [requests, answers] = [framed(server, lengthPrefixed()), framed(client, lengthPrefixed())];
 * await answers.send("ping");
 * for await (const request of requests) {
 *   await requests.send(request);
 *   break;
 * }
 * console.log((await answers.receive())?.text()); // ping
 * ```
 */
export function framed<In, Out = In>(
  connection: Connection,
  codec: Codec<In, Out>,
): Framed<In, Out> {
  const stream = (connection as Partial<Connection> | null)?.stream;
  if (stream === undefined || stream === null || typeof stream !== "object") {
    return check.fail("connection", "a Connection", connection);
  }
  if (typeof codec?.decode !== "function" || typeof codec.encode !== "function") {
    check.fail("codec", "an object with decode and encode", codec);
  }
  return new FramedConnection(connection, stream, codec);
}

class FramedConnection<In, Out> implements Framed<In, Out> {
  readonly connection: Connection;
  /** Read once: the turns belong to this stream, and a stand-in may return another one later. */
  readonly #stream: Stream;
  readonly #codec: Codec<In, Out>;
  readonly #turns: MessageTurns;

  constructor(connection: Connection, stream: Stream, codec: Codec<In, Out>) {
    this.connection = connection;
    this.#stream = stream;
    this.#codec = codec;
    this.#turns = MessageTurns.of(stream);
  }

  receive(options?: CallOptions): Promise<In | null> {
    if (this.#turns.begin()) return this.#receive(options);
    try {
      const budget = CallBudget.ofMessage(this.#stream, options);
      const turn = this.#turns.wait(budget.left);
      return settled(turn, (resolve, reject) => {
        void this.#receive(budget.left).then(
          resolve,
          (error) => reject(turnFailure(error, budget, this.#stream)),
        );
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Has the turn. */
  #receive(options: CallOptions | undefined): Promise<In | null> {
    const decoded = decode(this.#codec, this.#stream, options);
    void decoded.then(this.#turns.end, this.#turns.end);
    return decoded;
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
    return new Messages(this.#codec, this.#stream, this.#turns);
  }
}

/**
 * A promise that `call` settles once the turn has come, in the same step in which the turn ends.
 * A promise of `then` or of an async function would settle a little later, behind that of a call
 * that begins meanwhile, and the program would see its message first.
 */
function settled<T>(
  turn: Promise<void>,
  call: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    turn.then(() => call(resolve, reject), reject);
  });
}

/** A codec that has waited for its turn knows only the rest of the budget. */
function turnFailure(error: unknown, budget: CallBudget, stream: Stream): unknown {
  const isOfCodec = hasCode(error, "Timeout") && error.operation === "decode";
  return isOfCodec ? budget.failure(error, MESSAGE, stream) : error;
}

/** Never throws, whatever the codec of a program does. */
function decode<In>(
  codec: Codec<In, never>,
  stream: Stream,
  options?: CallOptions,
): Promise<In | null> {
  try {
    const decoded: unknown = codec.decode(stream, options);
    // A `then` of the promise's own may throw, or end the turn twice.
    const isOdd = decoded instanceof Promise && Object.hasOwn(decoded, "then");
    return isOdd
      ? new Promise((resolve) => resolve(decoded as Promise<In>))
      : Promise.resolve(decoded as In);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** This is not an async generator, because that would cost two more microtasks for each message. */
class Messages<In> implements AsyncIterator<In> {
  readonly #codec: Codec<In, never>;
  readonly #stream: Stream;
  readonly #turns: MessageTurns;
  #ended = false;

  constructor(codec: Codec<In, never>, stream: Stream, turns: MessageTurns) {
    this.#codec = codec;
    this.#stream = stream;
    this.#turns = turns;
  }

  next(): Promise<IteratorResult<In>> {
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (!this.#turns.begin()) return this.#nextInTurn();
    return decode(this.#codec, this.#stream).then(this.#wrap, this.#fail);
  }

  return(): Promise<IteratorResult<In>> {
    this.#ended = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  #nextInTurn(): Promise<IteratorResult<In>> {
    const budget = CallBudget.ofMessage(this.#stream, undefined);
    return settled(this.#turns.wait(budget.left), (resolve, reject) => {
      if (this.#ended) {
        this.#turns.end();
        return resolve({ done: true, value: undefined });
      }
      void decode(this.#codec, this.#stream, budget.left).then(
        (value) => resolve(this.#wrap(value)),
        (error) => reject(this.#failure(turnFailure(error, budget, this.#stream))),
      );
    });
  }

  readonly #wrap = (value: In | null): IteratorResult<In> => {
    this.#turns.end();
    if (value !== null) return { done: false, value };
    this.#ended = true;
    return { done: true, value: undefined };
  };

  readonly #fail = (error: unknown): never => {
    throw this.#failure(error);
  };

  /** Ends the iterator after a failure, which it returns. */
  #failure(error: unknown): unknown {
    this.#turns.end();
    this.#ended = true;
    return error;
  }
}
