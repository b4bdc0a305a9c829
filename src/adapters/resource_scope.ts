/**
 * An async context that is switched by an `AsyncResource`: the public way.
 *
 * @module
 */
import { AsyncResource } from "node:async_hooks";

// deno-lint-ignore no-explicit-any
type AnyFunction = (this: any, ...args: any[]) => unknown;

/** A scope that the runtime switches, and reports to `async_hooks`. */
export class ResourceScope {
  readonly #resource = new AsyncResource("TCPWRAP");

  run(body: AnyFunction, self?: unknown, first?: unknown, second?: unknown): unknown {
    return this.#resource.runInAsyncScope(body, self, first, second);
  }
}
