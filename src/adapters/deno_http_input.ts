/**
 * The way of received bytes into the parser of a server of `node:http` in Deno, for one connection.
 * The bytes bypass the stream.
 *
 *   the server listens to 'data' alone, and the stream flows --> feed: parser.execute, the server
 *   anything else -------------------------------------------> the stream, as for every socket
 *
 * Over the runtime's own sockets, the native parser reads from the native handle. Through the
 * stream, each chunk costs an event, two closures of the parser and an assertion with its array of
 * arguments. So this class calls the function that the server gives to the native parser.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { denoHttpEnd } from "./deno_http_end.ts";
import { loneListener } from "./lone_listener.ts";

/** The parser of one connection. Parsers of a server have a function under `kOnExecute`. */
export interface Parser {
  _asyncResource?: { runInAsyncScope?: unknown } | null;
  execute(chunk: Uint8Array): unknown;
  readonly constructor: { readonly kOnExecute?: number };
  readonly [callback: number]: unknown;
}

type Executed = (result: unknown, chunk: Uint8Array) => void;

/** The name of the function with which the server listens to 'data'. */
const LISTENER_NAME = "bound socketOnData";

export class DenoHttpInput {
  readonly #parser: Parser;
  /** The key of the function that the server wants to be called after each chunk. */
  readonly #executed: number;
  /** The server's listener, once it was seen. */
  #listener: object | null = null;
  /** Whether a response may be written to the handle as one text. */
  readonly writesTexts: boolean = denoHttpEnd.isKnown();

  constructor(parser: Parser, executed: number) {
    this.#parser = parser;
    this.#executed = executed;
  }

  /** Whether the server alone takes the next bytes of `stream`. */
  mayFeed(stream: Duplex): boolean {
    if (!loneListener.isTransparent(stream)) return false;
    if (loneListener.of(stream) !== this.#listener) {
      const found = loneListener.named(stream, LISTENER_NAME);
      if (found === null) return false;
      this.#listener = found;
    }
    return typeof this.#parser[this.#executed] === "function";
  }

  /** Parses the chunk, and tells the server. */
  feed(chunk: Uint8Array): void {
    const parser = this.#parser;
    // Read first: a program that destroys its socket takes the function away.
    const executed = parser[this.#executed] as Executed;
    executed(parser.execute(chunk), chunk);
  }
}
