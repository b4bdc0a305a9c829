/**
 * In Deno, a parser of `node:http` that is not fed by Deno itself calls the program through an
 * `AsyncResource` of its own, once for each chunk. Each request then pays the cost that
 * `async_scope.ts` avoids, and the server makes another such scope for each request. So a parser
 * that is given to a socket of this library gets the cheap scope, which has the same context.
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

/** Gives each parser that is assigned to a socket the cheap scope. */
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
