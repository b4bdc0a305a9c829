/**
 * An async context that is switched by the functions of the runtime's core.
 *
 * @module
 */
import type { AnyFunction } from "./any_function.ts";

/** The functions of Deno's core for this; both are there, or neither. */
export interface ContextAccess {
  getAsyncContext(): unknown;
  setAsyncContext(context: unknown): void;
}

/** A scope that switches the context itself. */
export class SwitchedScope {
  readonly #access: ContextAccess;
  readonly #context: unknown;

  constructor(access: ContextAccess) {
    this.#access = access;
    this.#context = access.getAsyncContext();
  }

  run(body: AnyFunction, self?: unknown, first?: unknown, second?: unknown): unknown {
    const access = this.#access;
    const before = access.getAsyncContext();
    access.setAsyncContext(this.#context);
    try {
      return body.call(self, first, second);
    } finally {
      access.setAsyncContext(before);
    }
  }
}
