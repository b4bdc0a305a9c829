/**
 * An async context that is switched by an `AsyncResource`: the public way.
 *
 * @module
 */
import { AsyncResource } from "node:async_hooks";
import type { AnyFunction } from "./any_function.ts";

/** A scope that the runtime switches, and reports to `async_hooks`. */
export class ResourceScope {
  readonly #resource = new AsyncResource("TCPWRAP");

  run(body: AnyFunction, self?: unknown, first?: unknown, second?: unknown): unknown {
    return this.#resource.runInAsyncScope(body, self, first, second);
  }
}
