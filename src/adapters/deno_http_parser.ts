/**
 * Parsers of `node:http` in Deno that are given to sockets of this library.
 *
 * A parser that is not fed by Deno itself calls the program through an `AsyncResource` of its own,
 * once for each chunk. Each request then pays the cost that `async_scope.ts` avoids, and the server
 * makes another such scope for each request. So the parser is given the cheap scope, which has the
 * same context, and the socket's handle an input that feeds the parser without the stream.
 *
 * @module
 */
import { asyncScope } from "./async_scope.ts";
import { DenoHttpInput, type Parser } from "./deno_http_input.ts";
import { denoHttpRequests } from "./deno_http_requests.ts";
import { SocketStream, STATE } from "./socket_stream.ts";

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

function inputOf(parser: Parser): DenoHttpInput | null {
  const { kOnExecute } = parser.constructor;
  return typeof kOnExecute === "number" ? new DenoHttpInput(parser, kOnExecute) : null;
}

/** Gives each parser that is assigned to a socket the cheap scope, and the handle its input. */
function install(): void {
  if (!asyncScope.switches) return;
  Object.defineProperty(SocketStream.prototype, "parser", {
    configurable: true,
    get(this: SocketStream): unknown {
      return this[STATE].parser;
    },
    set(this: SocketStream, parser: unknown): void {
      const state = this[STATE];
      state.parser = parser;
      const fed = isParser(parser);
      if (fed) {
        parser._asyncResource = new ParserScope();
        denoHttpRequests.keepFor(this.server);
      }
      if (state.handle !== null) state.handle.http = fed ? inputOf(parser) : null;
    },
  });
}

export const denoHttpParser = { install };
