/**
 * Parsers of `node:http` in Deno call the program through an `AsyncResource` of their own, once for
 * each chunk, unless Deno feeds them itself. That costs a request what `async_scope.ts` avoids, and
 * more, as the server then makes such a scope for each request. A parser that is given to a socket
 * of this library gets the cheap one, which has the same context.
 *
 * @module
 */
import { asyncScope } from "./async_scope.ts";
import { SocketStream, STATE } from "./socket_stream.ts";

interface Parser {
  _asyncResource?: { runInAsyncScope?: unknown } | null;
}

class ParserScope {
  readonly #scope = asyncScope.capture();

  runInAsyncScope(body: () => unknown, self?: unknown): unknown {
    return this.#scope.run(body, self);
  }
}

function isParser(value: unknown): value is Parser {
  if (typeof value !== "object" || value === null) return false;
  return typeof (value as Parser)._asyncResource?.runInAsyncScope === "function";
}

/** Lets sockets see the parsers that they are given. */
function install(): void {
  if (!asyncScope.switches) return;
  Object.defineProperty(SocketStream.prototype, "parser", {
    configurable: true,
    get(this: SocketStream): unknown {
      return this[STATE].parser;
    },
    set(this: SocketStream, parser: unknown): void {
      if (isParser(parser)) parser._asyncResource = new ParserScope();
      this[STATE].parser = parser;
    },
  });
}

export const denoHttpParser = { install };
