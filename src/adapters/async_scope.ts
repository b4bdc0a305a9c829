/**
 * The async context in which a socket calls its program: the one in which the socket was made, as
 * `AsyncLocalStorage` needs it.
 *
 * `AsyncResource` is the public way to it, and cheap in Bun. In Deno each call of `runInAsyncScope`
 * makes an entry in a weak map and leaves a context that is not empty, which makes `node:http` do
 * the same again. Together this costs a tenth of the CPU of a small request, and more in the
 * collector. Deno's core reads and sets the context in 9 ns. Where a version of Deno has no such
 * functions, the public way is taken.
 *
 * @module
 */
import { ResourceScope } from "./resource_scope.ts";
import { type ContextAccess, SwitchedScope } from "./switched_scope.ts";

// deno-lint-ignore no-explicit-any
type AnyFunction = (this: any, ...args: any[]) => unknown;

export interface AsyncScope {
  /** Calls `body` in the context, with up to two arguments, and returns what it returns. */
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

/** The context of this moment. */
function capture(): AsyncScope {
  return found === null ? new ResourceScope() : new SwitchedScope(found);
}

/** `switches`: scopes are of the cheap kind, which only Deno has. */
export const asyncScope = { capture, switches: found !== null };
