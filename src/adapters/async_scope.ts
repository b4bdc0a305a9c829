/**
 * The async context in which a socket calls its program: the one in which the socket was made, as
 * `AsyncLocalStorage` needs it.
 *
 * `AsyncResource` is the public way to switch to it, and is cheap in Bun. In Deno each call of
 * `runInAsyncScope` adds an entry to a weak map and leaves a context that is not empty, so that
 * `node:http` does the same again. Both together cost a tenth of the CPU of a small request, and
 * more in the garbage collector. Deno's core reads and sets the context in 9 ns. The public way is
 * used where a version of Deno lacks these functions.
 *
 * @module
 */
import type { AnyFunction } from "./any_function.ts";
import { ResourceScope } from "./resource_scope.ts";
import { type ContextAccess, SwitchedScope } from "./switched_scope.ts";

export interface AsyncScope {
  /** Calls `body` in the context, with up to two arguments, and returns its result. */
  run(body: AnyFunction, self?: unknown, first?: unknown, second?: unknown): unknown;
}

interface DenoGlobal {
  internal: symbol;
  [internal: symbol]: { core?: Partial<ContextAccess> } | undefined;
}

function findAccess(): ContextAccess | null {
  const { Deno } = globalThis as unknown as { Deno?: DenoGlobal };
  const core = Deno?.[Deno.internal]?.core;
  const usable = typeof core?.getAsyncContext === "function" &&
    typeof core.setAsyncContext === "function";
  return usable ? core as ContextAccess : null;
}

const found = findAccess();

/** The context in which it is called. */
function capture(): AsyncScope {
  return found === null ? new ResourceScope() : new SwitchedScope(found);
}

/** `body`, called in the context in which `bind` was. */
function bind<First>(body: (first?: First) => void): (first?: First) => void {
  const scope = capture();
  return (first) => void scope.run(body, undefined, first);
}

/** `switches` is whether scopes are of the cheap kind, which only Deno has. */
export const asyncScope = { bind, capture, switches: found !== null };
